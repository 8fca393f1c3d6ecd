"""What a call to the provider says about the exchange that it belongs to: its id, and the role of who asks.

The id is the trace id of `traceparent`; the role is an entry of the W3C baggage that the router set, `strangler.role`,
and `strangler.effects=live` beside it lets a shadow's call through to the provider.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..headers import Headers

ROLE, EFFECTS, LIVE = b"strangler.role", b"strangler.effects", b"live"

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class Marks(NamedTuple):
    exchange_id: str = ""
    role: str = ""
    is_live: bool = False


def marks_of(headers: Headers) -> Marks:
    traces = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(traces[0].strip()) if len(traces) == 1 else None
    baggage = b",".join(value for name, value in headers if name == b"baggage")
    entries = dict(_entry(member) for member in baggage.split(b","))
    role = entries.get(ROLE, b"").decode("ascii", "replace")
    return Marks(match[1].decode() if match else "", role, entries.get(EFFECTS) == LIVE)


def _entry(member: bytes) -> tuple[bytes, bytes]:
    name, _, value = member.partition(b";")[0].partition(b"=")
    return name.strip(), value.strip()
