"""One copy on its way: the same request to the other upstream, marked, and what it answered within limits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from time import perf_counter, time
from typing import NamedTuple

from ..config import Config, Upstream
from ..errors import AnswerTimeout, ExchangeError
from ..evidence.observations import Observation, Piece
from ..headers import IDENTITY, LIVE_SHADOW, SHADOW, TRACEPARENT, Headers, request_head
from ..identity import Exchange, Refusal
from ..upstream import Pool, Request
from .recording import PIECE_BYTES, has_body
from .words import Copy

Ours = list[tuple[bytes, bytes]]


class Upstreams:
    """The shadow process's own connections, which no caller shares."""

    def __init__(self) -> None:
        self._pools: dict[Upstream, Pool] = {}

    def take_over(self, configs: Iterable[Config]) -> None:
        """Keep what any of these still needs."""
        needed = {_ours(config, name) for config in configs for name in config.upstreams}
        for upstream in self._pools.keys() - needed:
            self._pools.pop(upstream).close()

    def pool(self, config: Config, name: str) -> Pool:
        upstream = _ours(config, name)
        if upstream not in self._pools:
            self._pools[upstream] = Pool(upstream)
        return self._pools[upstream]

    def close(self) -> None:
        self.take_over(())


def _ours(config: Config, name: str) -> Upstream:
    """A new connection for each copy: a kept one that had died would look like a failure of the candidate."""
    limits = {"connections": 2 * config.copies.workers, "keep_seconds": 0.0, "health": None}
    return config.upstreams[name].model_copy(update=limits)


class Side(NamedTuple):
    """An upstream that can be asked, under one routes.toml."""

    pool: Pool
    identity: Exchange | None
    """Where a token for it comes from, if its requests carry one."""


class Answered(NamedTuple):
    """What an upstream said, and when it was asked, in seconds since 1970."""

    observation: Observation
    sent_at: float


async def ask(
    copy: Copy, upstream: str, side: Side, body_bytes: int, deadline: float, *, is_live: bool = False
) -> Answered:
    """What this upstream says to the copied request; an answer that is too long is cut off, one too late ended.

    `deadline` is on the loop's clock.
    """
    ours: Ours = [*copy.forwarded, LIVE_SHADOW if is_live else SHADOW, (TRACEPARENT, _traceparent(copy))]
    seen = _Seen(upstream)
    try:
        async with asyncio.timeout_at(deadline):
            if side.identity is not None:
                who = await side.identity.ask(copy.method, copy.headers, upstream, ours)
                if isinstance(who, Refusal):
                    return Answered(Observation(upstream, who.status, tuple(who.headers), who.body), seen.sent_at)
                ours.append((IDENTITY, who.value))
            await _sent(copy, side.pool, ours, body_bytes, seen)
    except TimeoutError:
        return seen.answered(AnswerTimeout.__name__)
    except ExchangeError as error:
        return seen.answered(type(error).__name__)
    return seen.answered("")


async def _sent(copy: Copy, pool: Pool, ours: Ours, body_bytes: int, seen: _Seen) -> None:
    length = len(copy.body) if has_body(copy.headers) or copy.body else _no_length(copy.headers)
    head = request_head(copy.method, copy.target, copy.headers, length=length, ours=ours)
    request = Request(head + copy.body, copy.method == "HEAD", is_replayable=False)
    connection = await pool.connect(request)
    seen.begins()
    try:
        connection = await pool.answered(connection, request)
        seen.status, seen.headers = connection.status, tuple(connection.headers)
        while chunk := await connection.read():
            if not seen.takes(chunk, body_bytes):
                return
        seen.ends()
    finally:
        pool.give_back(connection)  # an answer that was not read to its end takes the connection with it


class _Seen:
    """An answer, as far as it has come."""

    def __init__(self, upstream: str) -> None:
        self.begins()
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self._upstream = upstream
        self._seconds = 0.0
        self._chunks: list[bytes] = []
        self._pieces: list[Piece] = []
        self._bytes = 0
        self._is_cut_off = False

    def begins(self) -> None:
        self.began, self.sent_at = perf_counter(), time()

    def takes(self, chunk: bytes, body_bytes: int) -> bool:
        """False once it is longer than what may be kept."""
        self.ends()
        kept = chunk[: body_bytes - self._bytes]
        self._is_cut_off = len(kept) < len(chunk) or len(self._chunks) * PIECE_BYTES > 3 * body_bytes
        self._bytes += len(kept)
        self._chunks.append(kept)
        self._pieces.append(Piece(self._seconds, self._bytes))
        return not self._is_cut_off

    def ends(self) -> None:
        self._seconds = perf_counter() - self.began

    def answered(self, error: str) -> Answered:
        if error:
            self.ends()
        body = b"".join(self._chunks)
        pieces = tuple(self._pieces)
        observation = Observation(
            self._upstream, self.status, self.headers, body, pieces, self._seconds, error, self._is_cut_off
        )
        return Answered(observation, self.sent_at)


def _traceparent(copy: Copy) -> bytes:
    """The exchange's trace, with a span of the copy's own."""
    return b"00-%032x-%016x-%b" % (copy.exchange_id, random.getrandbits(64) or 1, copy.trace_flags)


def _no_length(headers: Headers) -> int | None:
    return 0 if any(name == b"content-length" for name, _ in headers) else None
