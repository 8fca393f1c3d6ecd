"""What is kept of one exchange while it passes, so that it can be copied; all of it within limits."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, time

from starlette.types import Message, Receive, Send

from ..errors import ExchangeError, UpstreamError
from ..evidence.observations import Observation, Piece
from ..headers import Headers, first
from .counts import Dropped

PIECE_BYTES = 256
"""What a piece of a body takes beside its bytes, about: the limits are on memory, not only on bodies."""


class Room:
    """So many bytes may be kept at once, of all exchanges and copies together."""

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        self.used -= size


class Recording:
    """Of one exchange. However that ends, `end` must be called: it says so to `ended`, with why it is not copied."""

    def __init__(self, room: Room, body_bytes: int, request: Headers, ended: Callable[[Recording, str], None]) -> None:
        self._room = room
        self._body_bytes = body_bytes
        self._ended = ended
        self._dropped = ""
        self._is_request_whole = not has_body(request)
        self._is_answer_whole = False
        self._begin()
        self._seconds = 0.0
        self._request: list[bytes] = []
        self._answer: list[bytes] = []
        self._pieces: list[Piece] = []
        self._request_bytes = 0
        self._answer_bytes = 0
        self._status = 0
        self._headers: Headers = ()
        self._error = ""
        self.size = 0
        """Bytes of the room that are taken; whoever takes the recording over gives them back."""

    def hears(self, receive: Receive) -> Receive:
        """The same, with the request's body kept."""

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body = message.get("body", b"")
                self._request_bytes += len(body)
                self._keep(self._request, body, self._request_bytes)
                if not message.get("more_body"):
                    self._is_request_whole = True
                    self._begin()  # an answer's time counts from the last of its request
            return message

        return heard

    def _begin(self) -> None:
        self._began, self.sent_at = perf_counter(), time()

    def sees(self, send: Send) -> Send:
        """The same, with the answer kept."""

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status, self._headers = message["status"], message["headers"]
                await send(message)
                return
            body = message.get("body", b"")
            self._seconds = perf_counter() - self._began
            self._answer_bytes += len(body)
            if body and self._keep(self._answer, body, self._answer_bytes):
                self._pieces.append(Piece(self._seconds, self._answer_bytes))
            await send(message)
            self._is_answer_whole = not message.get("more_body")

        return seen

    def end(self, error: ExchangeError | None) -> None:
        """The exchange is over."""
        if error is not None:
            self._error = type(error).__name__
        if self._is_answer_whole and error is not None:
            self._status, self._headers = 0, ()  # that was the router's own answer
            self._answer, self._pieces = [], []
        if not self._dropped:
            if error is None and not self._is_answer_whole:
                self._dropped = Dropped.CALLER_LEFT
            elif not self._is_request_whole or not (error is None or isinstance(error, UpstreamError)):
                self._dropped = Dropped.NOT_COMPARABLE
        if self._dropped:
            self._drop(self._dropped)
        self._ended(self, self._dropped)

    @property
    def body(self) -> bytes:
        """Of the request."""
        return b"".join(self._request)

    def observation(self, upstream: str) -> Observation:
        """What was answered."""
        return Observation(
            upstream,
            self._status,
            tuple(self._headers),
            b"".join(self._answer),
            tuple(self._pieces),
            self._seconds,
            self._error,
        )

    def _keep(self, pieces: list[bytes], body: bytes, so_far: int) -> bool:
        if self._dropped:
            return False
        size = len(body) + PIECE_BYTES
        if so_far > self._body_bytes or self.size > 3 * self._body_bytes:
            self._drop(Dropped.TOO_LARGE)
        elif not self._room.take(size):
            self._drop(Dropped.NO_ROOM)
        else:
            self.size += size
            pieces.append(body)
        return not self._dropped

    def _drop(self, why: str) -> None:
        """Forget at once what is kept."""
        self._dropped = why
        self._room.give_back(self.size)
        self.size = 0
        self._request, self._answer, self._pieces = [], [], []


def has_body(request: Headers) -> bool:
    """Whether these headers announce one (RFC 9112 §6.3)."""
    length = first(request, b"content-length")
    return length not in (None, b"0") or first(request, b"transfer-encoding") is not None
