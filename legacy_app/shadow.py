"""Shadow copies: whatever a request that the router marked would write is rolled back, and told in a header.

The mark is an entry of the W3C baggage, `strangler.role=shadow`; the router takes baggage away from its callers, so
that only it can mark. Every answer to a marked request says `X-Shadow-Writes: assistant_call=1, assistant_summary=1`,
or `none`: its absence means that the mark was not seen, and that whatever was written stays.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

HEADER = "X-Shadow-Writes"
WRITE = re.compile(r'\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)

# What the copy that is being answered would have written, by table.
_writes: ContextVar[Counter[str] | None] = ContextVar("shadow_writes", default=None)


class ShadowMiddleware:
    """One transaction around a marked request and the stream of its answer, and none around any other.

    The first of all middleware, so that nothing is written outside of it. A copy's calls to the provider are answered
    from the tape, so the transaction is short; what waits for its end (`on_commit`: mail, jobs) never happens.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_shadow(request.headers.get("baggage", "")):
            return self.get_response(request)
        with ExitStack() as stack:
            writes = _nothing_is_kept(stack)
            response = self.get_response(request)
            response[HEADER] = report(writes)
            if response.streaming:
                # Still to come: what the stream writes at its end. The server closes it, however it ends.
                response.streaming_content = _Stream(response.streaming_content, stack.pop_all())
        return response


def is_shadow(baggage: str) -> bool:
    """Whether this W3C baggage header (https://www.w3.org/TR/baggage/) marks a shadow copy."""
    return any(_entry(member) == ("strangler.role", "shadow") for member in baggage.split(","))


@contextmanager
def promised(model: type[Model]) -> Iterator[None]:
    """Counts a write that comes at the end of the block, whatever happens in it.

    A stream's headers are gone before its audit row is written; the report in them knows of it all the same.
    """
    writes, table = _writes.get(), model._meta.db_table
    if writes is not None:
        writes[table] += 1
    try:
        yield
    finally:
        if writes is not None:
            writes[table] -= 1


def report(writes: Counter[str]) -> str:
    return ", ".join(f"{table}={times}" for table, times in sorted((+writes).items())) or "none"


def _nothing_is_kept(stack: ExitStack) -> Counter[str]:
    """Until the stack is closed: roll back, and count."""
    writes: Counter[str] = Counter()

    def counted(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if found := WRITE.match(sql):
            writes[found[1]] += 1
        return result

    token = _writes.set(writes)
    stack.callback(_writes.reset, token)
    stack.enter_context(transaction.atomic())
    stack.callback(transaction.set_rollback, True)
    stack.enter_context(connection.execute_wrapper(counted))
    return writes


class _Stream:
    """The body of an answer, and what ends with it."""

    def __init__(self, body: Iterator[bytes], stack: ExitStack) -> None:
        self.body, self.stack = body, stack

    def __iter__(self) -> Iterator[bytes]:
        return self.body

    def close(self) -> None:
        self.stack.close()


def _entry(member: str) -> tuple[str, str]:
    key, _, value = member.split(";")[0].partition("=")
    return key.strip(), value.strip()
