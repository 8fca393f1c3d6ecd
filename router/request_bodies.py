"""A caller's request body on its way to an upstream: what goes out with the head, and how the rest is framed."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from starlette.types import Receive

from .errors import CallerLeft, RequestTooLarge
from .headers import Headers, first
from .upstream import Pool

FIRST_PIECE_SECONDS = 0.05
"""So long a head waits for the first of its body, as most callers say both at once; then it goes out alone."""


class Caller(Protocol):
    """A connection that knows what was said on it (see `server.py`)."""

    def speaks(self, seconds: float) -> Awaitable[bool]:
        """Whether some of the body, or its end, is here or comes in time."""


class Opening(NamedTuple):
    """What of the request's body goes out with the head."""

    body: bytes
    length: int | None
    """To be announced, in bytes; -1 for chunked, None where the caller announced none."""
    has_more: bool


async def opening_body(
    headers: Headers,
    receive: Receive,
    pool: Pool,
    spool_bytes: int,
    caller: Caller | None,
    in_hand: Opening | None = None,
) -> Opening:
    """As this upstream wants it; `in_hand` is what another one wanted, and did not get.

    A caller may want to hear something before they say more: a refusal, say, or the first word of a conversation.
    Without `caller` nobody can tell, and the first of the body is waited for.
    """
    announced = first(headers, b"content-length")
    is_chunked = announced is None and first(headers, b"transfer-encoding") is not None
    if not is_chunked and (announced is None or announced == b"0"):
        return NO_BODY if announced is None else _EMPTY
    if in_hand is not None:
        body, has_more = in_hand.body, in_hand.has_more
    elif caller is None or await caller.speaks(FIRST_PIECE_SECONDS):
        body, has_more = await received(receive)
    else:
        body, has_more = b"", True
    if not is_chunked:
        return Opening(body, int(announced or 0), has_more)
    if pool.upstream.chunked_requests == "stream":
        return Opening(body, -1, has_more)
    while has_more:
        if len(body) > spool_bytes:
            break
        more, has_more = await received(receive)
        body += more
    if len(body) > spool_bytes:
        raise RequestTooLarge(f"a chunked body is longer than the {spool_bytes} bytes that are held for it")
    return Opening(body, len(body), False)


NO_BODY, _EMPTY = Opening(b"", None, False), Opening(b"", 0, False)


async def received(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerLeft("while the request was on its way")
    return message.get("body", b""), message.get("more_body", False)


def framed(body: bytes, has_more: bool) -> bytes:
    """One piece of a chunked body (RFC 9112 §7.1), with the end if it is the last."""
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk if has_more else chunk + b"0\r\n\r\n"
