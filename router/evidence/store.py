"""Takes evidence from a running router: never waits, never raises; one thread writes it down, in batches.

A database that is slow, full, locked or gone costs observations, which are counted, and nothing else. What was
handed over is written within half a second, so a process that is killed loses no more than that.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..config import Evidence
from ..errors import EvidenceError
from .database import cause_of, file_of, open_engine, prepare
from .observations import Comparison
from .retention import forget
from .writing import HOUR_SECONDS, write_comparison, write_counts

QUEUE = 10_000
"""Writes that wait; the next is dropped and counted."""
QUEUE_BYTES = 64 * 1_048_576
BATCH = 500
GATHER_SECONDS = 0.1
"""So long a batch is gathered."""
LOOK_SECONDS = 0.25
"""So long counts wait if nothing else comes."""
RETRY_SECONDS = 30.0
"""So long a batch is tried again while the database cannot be reached; then it is dropped and counted."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
"""Between two attempts."""
FORGET_EVERY_SECONDS = 60.0
CLOSE_SECONDS = 5.0

FULL, UNREACHABLE, REFUSED = "dropped: store full", "dropped: database unreachable", "dropped: database refused"
"""The names under which a route's lost observations are counted."""

Write = Callable[[Connection], object]

_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    write: Write
    route: str
    size: int


class Store:
    """Made once per process; the thread begins with it and ends with `close`."""

    def __init__(self, evidence: Evidence, tape_seconds: float | None = None) -> None:
        """Raises EvidenceError if the URL can never be used; whether the database is there is another matter.

        `tape_seconds`: whoever records says how long the tape is kept.
        """
        self._evidence = evidence
        self._tape_seconds = tape_seconds
        self._engine: Engine = open_engine(evidence.url, writes=True)
        self._file = file_of(evidence.url)
        self._mark: tuple[int, int] | None = None
        self._is_prepared = False
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(QUEUE)  # None: write what there is now
        self._bytes = 0
        self._counted: Counter[tuple[int, str, str]] = Counter()
        self._lock = threading.Lock()
        self._done = threading.Condition(self._lock)
        self._taken = self._settled = 0
        self._is_counting = False
        self._closing = threading.Event()
        self._forget_at = time.monotonic() + GATHER_SECONDS
        self.dropped: Counter[str] = Counter()
        """By reason, since the process began."""
        self.away_at = 0.0
        """When the database last took nothing, in seconds since 1970: what others wrote then may be late or lost."""
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    # --- for the event loop: none of these waits or raises

    def add(self, comparison: Comparison) -> bool:
        """Keep a comparison. False if it was dropped."""
        return self.write(partial(write_comparison, comparison=comparison), comparison.route)

    def count(self, route: str, name: str, number: int = 1) -> None:
        """Count something of a route; counts are added up in memory until they are written, and never dropped."""
        with self._lock:
            self._counted[int(time.time() / HOUR_SECONDS), route, name] += number

    def write(self, write: Write, route: str = "", size: int = 0) -> bool:
        """Have any write done in its turn; `size` in bytes of what it holds. False if it was dropped."""
        with self._lock:
            fits = self._bytes + size <= QUEUE_BYTES and not self._closing.is_set()
            if fits:
                self._taken += 1
                self._bytes += size
        if fits:
            try:
                self._waiting.put_nowait(_Waiting(write, route, size))
                return True
            except queue.Full:
                self._settle(1, size)
        self._drop(FULL, route)
        return False

    # --- for commands, tests and the end of a process: these wait

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until everything handed over so far is written or dropped, and counts too. False if time ran out."""
        self._hurry()
        with self._done:
            wanted = self._taken
            return self._done.wait_for(
                lambda: self._settled >= wanted and not self._counted and not self._is_counting, seconds
            )

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what is there, if the database lets us in that time, and take nothing more."""
        self._closing.set()
        self._hurry()
        self._thread.join(seconds)
        if self._thread.is_alive():
            _log.warning("Evidence was lost: the database did not take it within %g s", seconds)

    def _hurry(self) -> None:
        with contextlib.suppress(queue.Full):  # it has enough to do
            self._waiting.put_nowait(None)

    # --- the thread

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty() and not self._counted):
            self._write_down(self._batch())
            if time.monotonic() >= self._forget_at and not self._closing.is_set():
                self._forget_at = time.monotonic() + FORGET_EVERY_SECONDS
                self._forget()
        self._engine.dispose()

    def _batch(self) -> list[_Waiting]:
        """What has come within a moment of the first; without any, the counts are looked after all the same."""
        batch: list[_Waiting] = []
        until = time.monotonic() + LOOK_SECONDS
        while len(batch) < BATCH:
            seconds = 0.0 if self._closing.is_set() else max(0.0, until - time.monotonic())
            try:
                each = self._waiting.get(timeout=seconds)
            except queue.Empty:
                break
            if each is None:
                break
            batch.append(each)
            if len(batch) == 1:
                until = time.monotonic() + GATHER_SECONDS
        return batch

    def _write_down(self, batch: list[_Waiting]) -> None:
        """All of it in one transaction, again and again while the database is away."""
        pause, give_up_at = FIRST_PAUSE_SECONDS, time.monotonic() + RETRY_SECONDS
        while batch or self._counted:
            try:
                self._transact(batch)
            except (DBAPIError, PoolTimeout, EvidenceError, OSError) as error:
                self._forget_connection()
                if not _may_pass(error):
                    self._one_by_one(batch)
                    return
                if self._closing.is_set() or time.monotonic() > give_up_at:
                    self._lose(batch, UNREACHABLE, error)
                    return
                if pause == FIRST_PAUSE_SECONDS:
                    _log.warning("The evidence database takes nothing at the moment: %s", _words(error))
                self._closing.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                self._settle(len(batch), sum(each.size for each in batch))
                return

    def _transact(self, batch: list[_Waiting]) -> None:
        self._ready()
        with self._lock:
            counted, self._counted, self._is_counting = self._counted, Counter(), True
        try:
            with self._engine.begin() as connection:
                for each in batch:
                    each.write(connection)
                write_counts(connection, counted)
            counted = Counter()
        finally:
            with self._done:
                self._counted.update(counted)
                self._is_counting = False
                self._done.notify_all()

    def _one_by_one(self, batch: list[_Waiting]) -> None:
        """One of them is at fault: it shall not take the others with it."""
        for each in batch:
            try:
                self._transact([each])
                self._settle(1, each.size)
            except (SQLAlchemyError, EvidenceError, OSError) as error:
                self._lose([each], REFUSED, error)

    def _ready(self) -> None:
        """Connected to the file that is there now, not to one that was deleted under us, and with our tables."""
        if self._file is not None and self._is_prepared and _mark(self._file) != self._mark:
            self._forget_connection()
        if not self._is_prepared:
            prepare(self._engine)
            self._mark = _mark(self._file) if self._file else None
            self._is_prepared = True

    def _forget_connection(self) -> None:
        self.away_at = time.time()
        self._engine.dispose()
        self._is_prepared = False

    def _forget(self) -> None:
        try:
            self._ready()
            with self._engine.begin() as connection:
                forgotten = forget(connection, self._evidence, self._tape_seconds, time.time())
            if forgotten and self._file is not None:
                with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("PRAGMA incremental_vacuum")).close()
        except (SQLAlchemyError, EvidenceError, OSError) as error:
            self._forget_connection()
            _log.warning("Old evidence could not be deleted: %s", _words(error))

    def _lose(self, batch: list[_Waiting], reason: str, error: Exception) -> None:
        _log.warning("%d writes to the evidence database are lost: %s", len(batch), _words(error))
        for each in batch:
            self._drop(reason, each.route)
        self._settle(len(batch), sum(each.size for each in batch))
        if self._closing.is_set():
            with self._lock:
                self._counted.clear()

    def _drop(self, reason: str, route: str) -> None:
        with self._lock:
            self.dropped[reason] += 1
        self.count(route, reason)

    def _settle(self, number: int, size: int) -> None:
        with self._done:
            self._settled += number
            self._bytes -= size
            self._done.notify_all()


def _may_pass(error: Exception) -> bool:
    """Whether waiting may help: the database is locked, full, restarting or away, or another version's."""
    return not isinstance(error, DBAPIError) or isinstance(error, OperationalError | InterfaceError)


def _words(error: Exception) -> str:
    return cause_of(error) if isinstance(error, SQLAlchemyError) else str(error)


def _mark(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_dev
