"""Answers that take long: work that ends when its caller leaves, and event streams that never end cleanly by mistake.

The stream guard: the first event is awaited before the answer starts, so that a provider's failure until then is
a real status. A failure after it is said in an `error` event, and then the connection is cut: a caller that counts
on a complete body sees that it has none.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, closing
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .errors import CallerLeft, ProviderError, StreamCut
from .patience import Patience
from .sse import written

SLOWEST_READER_SECONDS = 30.0  # a caller that takes no bytes for so long counts as gone

Result = TypeVar("Result")


async def guarded(request: Request, events: AsyncGenerator[bytes]) -> "EventStream":
    """The stream, once its first event is there; until then its errors are the caller's to see."""
    first = await unless_caller_leaves(request.receive, anext(events))
    return EventStream(first, events)


async def unless_caller_leaves(receive: Receive, work: Awaitable[Result]) -> Result:
    """The work's result; if the caller leaves before, the work is cancelled and this raises CallerLeft."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    leaving.add_done_callback(lambda _: working.cancel())
    try:
        return await working  # also waits for the end of what was cancelled
    except asyncio.CancelledError:
        if leaving.done():
            leaving.result()  # a server that cannot tell has an error of its own; nobody has left
            raise CallerLeft from None
        raise
    finally:
        leaving.cancel()


class EventStream(Response):
    """Sends events as they come, and closes their source as soon as the caller is gone."""

    media_type = "text/event-stream"

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        # Content-Type is given because Starlette would add a charset to it, which the monolith does not.
        super().__init__(
            headers={
                "Content-Type": self.media_type,
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        del self.headers["content-length"]
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            await unless_caller_leaves(receive, self._sent(send))

    async def _sent(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with closing(Patience()) as patience:
            await _send_piece(send, self._first, patience)
            try:
                async for piece in self._rest:
                    await _send_piece(send, piece, patience)
            except ProviderError as error:
                await _send_piece(send, written("error", error.body()), patience)
                raise StreamCut from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_piece(send: Send, piece: bytes, patience: Patience) -> None:
    try:
        with patience.seconds(SLOWEST_READER_SECONDS):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        raise CallerLeft from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
