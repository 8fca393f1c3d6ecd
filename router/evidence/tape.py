"""The tape in the evidence database: the provider calls of exchanges that are shadowed, and who replayed them.

Writes are functions for the store's thread. What has to be read or claimed at once is a method of `Tape`, which does
it in threads of its own; it raises EvidenceError when the database does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, bindparam, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..errors import EvidenceError
from . import tables
from .database import cause_of, open_engine, prepare, shown
from .observations import Effect

PRIMARY, SHADOW = "primary", "shadow"

SETTLE_SECONDS = 0.5
"""So long after the end of an answer the last of its calls may take to be written."""
OPEN_SECONDS = 5.0
"""So long a call is waited for that has not ended although the answer has."""
LOOK_SECONDS = 0.05
THREADS = 4
CLOSEST = 50
"""So many of an exchange's calls are looked at for the closest to one that is not on the tape."""

Result = TypeVar("Result")

_NEW_CALL, _NEW_PART = insert(tables.calls), insert(tables.parts)
_CHANGED = update(tables.calls).where(tables.calls.c.id == bindparam("call_id"))


class State(StrEnum):
    """How far a call is, or how it ended."""

    OPEN = "open"
    WHOLE = "whole"
    DIED = "died"  # the provider ended it early, and so does the replay
    CUT = "cut"  # it went on without us: the recording has only its beginning
    MISSED = "missed"  # a shadow's: not on the tape, so it was not sent
    REFUSED = "refused"  # a shadow's: over the budget, so it was not sent
    LOST = "lost"  # a shadow's: the tape could not be read


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the provider, as it is kept: without its headers, which hold secrets."""

    id: str
    exchange_id: str
    role: str
    method: str
    path: str
    key: str
    """Equal for requests that ask the same (see `canonical.py`)."""
    request: bytes
    began: float
    """In seconds since 1970."""


class Recorded(NamedTuple):
    """A recording as far as it has come."""

    state: State
    status: int
    """0: no head yet, or never."""
    headers: list[tuple[bytes, bytes]]
    first_seconds: float
    """From the call to the head of its answer."""
    seconds: float
    """From the call to the end."""
    pieces: list[tuple[float, bytes]]
    """Those after the parts that are known already, with the seconds since the call."""
    parts: int
    """How many parts are known now."""


def write_call(connection: Connection, call: Call, state: State = State.OPEN, status: int = 0) -> None:
    row = asdict(call) | {"state": state.value, "status": status, "headers": []}
    connection.execute(_NEW_CALL, row | {"first_seconds": 0.0, "seconds": 0.0, "taken": False})


def write_head(
    connection: Connection, call_id: str, status: int, headers: list[tuple[bytes, bytes]], seconds: float
) -> None:
    text = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    _update(connection, call_id, status=status, headers=text, first_seconds=seconds)


def write_part(connection: Connection, call_id: str, number: int, pieces: list[tuple[float, int]], body: bytes) -> None:
    row = {"call_id": call_id, "number": number, "pieces": pieces, "body": body}
    connection.execute(_NEW_PART, row)


def write_end(connection: Connection, call_id: str, state: State, seconds: float) -> None:
    _update(connection, call_id, state=state.value, seconds=seconds)


def _update(connection: Connection, call_id: str, **values: Any) -> None:
    connection.execute(_CHANGED, values | {"call_id": call_id})


class Tape:
    """Reads and claims; made once per process."""

    def __init__(self, url: str) -> None:
        self._writing: Engine = open_engine(url, writes=True, connections=THREADS)
        self._reading: Engine = open_engine(url, writes=False, connections=THREADS)
        self._is_prepared = False
        self._threads = ThreadPoolExecutor(THREADS, "tape")
        self.away_at = 0.0
        """When the database last did not answer, in seconds since 1970."""

    async def claim(self, call: Call) -> str | None:
        """The id of the first recorded call that asks the same and no other has taken; the shadow's is noted with it.

        None if there is none (yet).
        """
        return await self.change(lambda connection: _claim(connection, call))

    async def recorded(self, call_id: str, parts: int) -> Recorded:
        """The recording after its first `parts` parts."""
        return await self._in_thread(self._reading, lambda connection: _recorded(connection, call_id, parts))

    async def calls_of(self, exchange_id: str) -> list[Call]:
        """What the primary asked, for whoever looks for the closest."""
        return await self._in_thread(self._reading, lambda connection: _calls_of(connection, exchange_id))

    async def effects_of(
        self, exchange_id: str, role: str, *, sent_at: float | None = None, ended_at: float | None = None
    ) -> tuple[Effect, ...]:
        """What the side of this role asked of the provider, in the order in which it began.

        `sent_at` and `ended_at` are when its request was sent and its answer ended, in seconds since 1970: the calls
        are told from the one on, and what a primary asked shortly before the other may still have to be written.
        """
        ended_at = ended_at or time.time()
        if role == PRIMARY:  # what a shadow asks is noted before it is answered
            await asyncio.sleep(max(0.0, ended_at + SETTLE_SECONDS - time.time()))
        while True:
            found = await self._in_thread(self._reading, partial(_effects_of, exchange_id, role, sent_at))
            if all(state != State.OPEN for state, _ in found) or time.time() > ended_at + OPEN_SECONDS:
                return tuple(effect for _, effect in found)
            await asyncio.sleep(LOOK_SECONDS)

    async def change(self, work: Callable[[Connection], Result]) -> Result:
        """Do something in a transaction of its own, now. Raises EvidenceError."""
        return await self._in_thread(self._writing, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._writing.dispose()
        self._reading.dispose()

    async def _in_thread(self, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transact, engine, work)

    def _transact(self, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        try:
            if not self._is_prepared:
                prepare(self._writing)
                self._is_prepared = True
            with engine.begin() as connection:
                return work(connection)
        except (SQLAlchemyError, OSError) as error:
            self._is_prepared, self.away_at = False, time.time()
            why = cause_of(error) if isinstance(error, SQLAlchemyError) else str(error)
            raise EvidenceError(f"The tape in {shown(engine)} does not answer: {why}") from None


def _claim(connection: Connection, call: Call) -> str | None:
    one = tables.calls.c
    wanted = (one.exchange_id == call.exchange_id, one.role == PRIMARY, one.key == call.key, one.taken.is_(False))
    first = select(one.id).where(*wanted).order_by(one.began, one.id).limit(1).with_for_update(skip_locked=True)
    found: str | None = connection.execute(first).scalar()
    if found is not None:
        _update(connection, found, taken=True)
        write_call(connection, call)
    return found


def _recorded(connection: Connection, call_id: str, parts: int) -> Recorded:
    one = tables.calls.c
    row = connection.execute(
        select(one.state, one.status, one.headers, one.first_seconds, one.seconds).where(one.id == call_id)
    ).first()
    if row is None:
        return Recorded(State.CUT, 0, [], 0.0, 0.0, [], parts)  # it expired
    state, status, text, first_seconds, seconds = row
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in text]
    part = tables.parts.c
    query = select(part.pieces, part.body).where(part.call_id == call_id, part.number >= parts).order_by(part.number)
    pieces: list[tuple[float, bytes]] = []
    for splits, body in connection.execute(query):
        parts += 1
        at = 0
        for when, length in splits:
            pieces.append((when, bytes(body[at : at + length])))
            at += length
    return Recorded(State(state), status, headers, first_seconds, seconds, pieces, parts)


def _calls_of(connection: Connection, exchange_id: str) -> list[Call]:
    one = tables.calls.c
    wanted = [one[name] for name in Call.__dataclass_fields__]
    query = select(*wanted).where(one.exchange_id == exchange_id, one.role == PRIMARY)
    return [Call(*row) for row in connection.execute(query.order_by(one.began, one.id).limit(CLOSEST))]


def _effects_of(
    exchange_id: str, role: str, sent_at: float | None, connection: Connection
) -> list[tuple[State, Effect]]:
    one = tables.calls.c
    wanted = (one.state, one.method, one.path, one.request, one.status, one.seconds, one.began)
    query = select(*wanted).where(one.exchange_id == exchange_id, one.role == role).order_by(one.began, one.id)
    found = []
    for name, method, path, request, status, seconds, began in connection.execute(query):
        state = State(name)
        effect = Effect(
            method,
            path,
            bytes(request),
            status,
            seconds,
            began_seconds=None if sent_at is None else began - sent_at,
            is_on_tape=state is not State.MISSED,
            is_whole=state not in (State.OPEN, State.CUT, State.LOST, State.REFUSED),
        )
        found.append((state, effect))
    return found
