"""One call while it is recorded: written to the tape as it goes on, so that a shadow can follow it."""

from __future__ import annotations

import time
from functools import partial

from ..evidence.store import Store, Write
from ..evidence.tape import Call, State, write_call, write_end, write_head, write_part
from ..headers import Headers

PART_SECONDS = 0.1
PART_BYTES = 65_536
"""Pieces that come close together are written together."""
DONE = b"data: [DONE]"
"""Ends a stream of events for every client; many then close before the provider does."""

_NOT_KEPT = frozenset((b"set-cookie", b"set-cookie2", b"authorization", b"connection", b"keep-alive"))


class Recording:
    """Begun when the request is known; none of its methods waits or raises."""

    def __init__(self, store: Store, call: Call, answer_bytes: int) -> None:
        self._store = store
        self._call = call
        self._left = answer_bytes
        self.is_kept = store.write(partial(write_call, call=call), size=len(call.request))
        self._began = time.monotonic()
        self._number = 0
        self._pieces: list[tuple[float, int]] = []
        self._body: list[bytes] = []
        self._waiting = 0
        self._written_at = self._began - PART_SECONDS
        self._tail = b""
        self._is_cut = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def head(self, status: int, headers: Headers) -> None:
        kept = [(name, value) for name, value in headers if name not in _NOT_KEPT]
        self._write(partial(write_head, call_id=self._call.id, status=status, headers=kept, seconds=self.seconds))

    def piece(self, body: bytes) -> None:
        if not body or self._is_cut:
            return
        self._tail = (self._tail + body)[-64:]
        self._left -= len(body)
        if self._left < 0:
            self._is_cut = True
            return
        self._pieces.append((round(self.seconds, 6), len(body)))
        self._body.append(body)
        self._waiting += len(body)
        if self._waiting >= PART_BYTES or time.monotonic() - self._written_at >= PART_SECONDS:
            self._part()

    def end(self, state: State) -> None:
        """Once; `CUT` if the application left, which may have been after it had got everything."""
        if state is State.CUT and DONE in self._tail:
            state = State.WHOLE
        self._part()
        self._write(
            partial(
                write_end,
                call_id=self._call.id,
                state=State.CUT if self._is_cut else state,
                seconds=self.seconds,
            )
        )

    def _part(self) -> None:
        if self._pieces:
            body, pieces = b"".join(self._body), self._pieces
            self._write(
                partial(write_part, call_id=self._call.id, number=self._number, pieces=pieces, body=body), len(body)
            )
            self._number += 1
            self._pieces, self._body, self._waiting = [], [], 0
        self._written_at = time.monotonic()

    def _write(self, write: Write, size: int = 0) -> None:
        """What has a gap is not whole, whatever comes after it."""
        if self.is_kept and not self._store.write(write, size=size):
            self._is_cut = True
