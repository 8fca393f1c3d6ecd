"""Shadow copies: whatever a request that the router marked would write is rolled back, and told in a header.

The mark is an entry of the W3C baggage, `strangler.role=shadow`; the router takes baggage away from its callers, so
that only it can mark. Every answer to a marked request says `X-Shadow-Writes: assistant_call=1, assistant_summary=1`,
or `none`: its absence means that the service did not see the mark, and wrote.
"""

from collections import Counter
from dataclasses import replace

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MARK = ("strangler.role", "shadow")
BAGGAGE = "=".join(MARK)
HEADER = "X-Shadow-Writes"

Writes = Counter[str]


class Shadow:
    """Gives a marked request a service that keeps nothing. ASGI, so that streams pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_shadow(",".join(Headers(scope=scope).getlist("baggage"))):
            await self.app(scope, receive, send)
            return

        writes, service = Writes(), scope["state"]["service"]

        async def send_with_report(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = report(writes)
            await send(message)

        shadow = replace(
            service,
            database=service.database.shadow(writes),
            monolith=replace(service.monolith, shadow_writes=writes),
        )
        await self.app({**scope, "state": {**scope["state"], "service": shadow}}, receive, send_with_report)


def is_shadow(baggage: str) -> bool:
    """Whether this baggage header (https://www.w3.org/TR/baggage/) has the mark among its entries."""
    return any(_entry(member) == MARK for member in baggage.split(","))


def report(writes: Writes) -> str:
    return ", ".join(f"{table}={times}" for table, times in sorted((+writes).items())) or "none"


def reported(header: str) -> Writes:
    """What another side's report says."""
    found = (entry.strip().partition("=") for entry in header.split(",") if "=" in entry)
    return Writes({table: int(times) for table, _, times in found})


def _entry(member: str) -> tuple[str, str]:
    key, _, value = member.split(";")[0].partition("=")
    return key.strip(), value.strip()
