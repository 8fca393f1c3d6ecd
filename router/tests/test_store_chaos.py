"""Whatever becomes of the database: nobody who hands evidence over waits, and what is lost is counted."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .evidence import SECONDS, comparison, eventually, kept, skip_without_sqlalchemy
from .postgresql import Server, running_postgresql

skip_without_sqlalchemy()

from sqlalchemy import Connection, event, insert  # noqa: E402
from sqlalchemy.exc import OperationalError  # noqa: E402

from ..evidence import database, reading  # noqa: E402
from ..evidence import store as module  # noqa: E402
from ..evidence.database import open_engine, open_for_reading, prepare  # noqa: E402
from ..evidence.store import FULL, REFUSED, UNREACHABLE, Store  # noqa: E402
from ..evidence.tables import VERSION, schema  # noqa: E402

CALLER_SECONDS = 0.5
"""No single hand-over may work so long, on however busy a machine."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evidence.db"


@pytest.fixture
def store(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    store = Store(kept(url_of(file)))
    store.add(comparison(0))
    assert store.flush(SECONDS)
    yield store
    store.close(1.0)


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


def number_in(url: str) -> int:
    return sum(each.comparisons for each in reading.counts(open_for_reading(url)))


def longest_of(store: Store, number: int, first: int = 1) -> float:
    """The longest that one of so many hand-overs takes, in seconds of this thread's own work."""
    longest = 0.0
    for each in range(first, first + number):
        began = time.thread_time()
        store.add(comparison(each))
        store.count("ticket-summary", "offered")
        longest = max(longest, time.thread_time() - began)
    return longest


def test_a_locked_database_is_waited_for_by_the_store_alone(store: Store, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    longest = longest_of(store, 300)  # whoever waited would wait for ever: the lock goes only then
    assert not store.flush(0.5)
    other.execute("ROLLBACK")
    other.close()

    assert longest < CALLER_SECONDS
    assert store.flush(SECONDS)
    assert (number_in(url_of(file)), dict(store.dropped)) == (301, {})


def test_a_deleted_file_is_made_anew(store: Store, file: Path) -> None:
    for each in file.parent.glob("evidence.db*"):
        each.unlink()

    store.add(comparison(1))
    assert store.flush(SECONDS)

    assert number_in(url_of(file)) == 1


def test_a_folder_that_went_away_is_made_anew(store: Store, file: Path) -> None:
    shutil.rmtree(file.parent)

    store.add(comparison(1))
    assert store.flush(SECONDS)

    assert number_in(url_of(file)) == 1


def test_a_full_disk_costs_what_does_not_fit_in_the_queue(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(store)
    disk.is_full = True
    monkeypatch.setattr(store._waiting, "maxsize", 50)

    assert longest_of(store, 1000) < CALLER_SECONDS
    assert not store.flush(0.2)
    assert store.dropped[FULL] >= 1000 - 50 - module.BATCH
    disk.is_full = False
    assert store.flush(SECONDS)

    assert number_in(url_of(file)) == 1001 - store.dropped[FULL]
    assert reading.counted(open_for_reading(url_of(file)))["ticket-summary"] == {
        "offered": 1000,
        FULL: store.dropped[FULL],
    }


def test_what_cannot_be_written_for_long_is_lost_and_counted(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    disk = Disk(store)
    disk.is_full = True

    longest_of(store, 10)
    eventually(lambda: store.dropped[UNREACHABLE] == 10, "it was tried for ever")
    disk.is_full = False

    assert store.flush(SECONDS)
    assert reading.counted(open_for_reading(url_of(file)))["ticket-summary"][UNREACHABLE] == 10


def test_one_write_that_is_refused_takes_no_other_with_it(store: Store, file: Path) -> None:
    def wrong(connection: Connection) -> None:
        connection.execute(insert(schema).values(version=VERSION))  # there is one already

    store.add(comparison(1))
    store.write(wrong)
    store.add(comparison(2))
    assert store.flush(SECONDS)

    assert (number_in(url_of(file)), dict(store.dropped)) == (3, {REFUSED: 1})


def test_what_is_large_is_limited_by_its_size(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_BYTES", 1000)
    disk = Disk(store)
    disk.is_full = True

    taken = [store.write(lambda _: None, size=600) for _ in range(2)]

    assert taken == [True, False]
    disk.is_full = False
    assert store.flush(SECONDS)
    assert store.write(lambda _: None, size=600)


def test_tables_of_another_version_cost_the_evidence_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    engine = open_engine(url_of(file), writes=True)
    prepare(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE evidence_schema SET version = 99")
    engine.dispose()
    store = Store(kept(url_of(file)))

    assert longest_of(store, 10) < CALLER_SECONDS
    eventually(lambda: store.dropped[UNREACHABLE] == 10, "it was tried for ever")

    store.close()
    assert f"has tables of version 99, this router's are of version {VERSION}" in caplog.text


def test_whoever_waits_for_the_store_does_not_wait_for_what_may_still_come(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GATHER_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(module, name, 3600.0)
    store = Store(kept(url_of(file)))

    store.add(comparison(1))
    assert store.flush(SECONDS)
    assert number_in(url_of(file)) == 1
    store.add(comparison(2))
    store.close(SECONDS)

    assert number_in(url_of(file)) == 2


def test_closing_does_not_wait_for_a_database_that_is_away(store: Store) -> None:
    Disk(store).is_full = True
    store.add(comparison(1))
    began = time.monotonic()

    store.close(SECONDS)

    assert time.monotonic() - began < SECONDS
    assert store.dropped[UNREACHABLE] == 1
    assert not store.add(comparison(2))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with running_postgresql() as server:
        yield server


def test_a_postgresql_that_crashes_is_found_again(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 600.0)  # it may take its time to start again
    url = postgresql.new_database()
    store = Store(kept(url))
    store.add(comparison(0))
    assert store.flush(SECONDS)

    postgresql.kill()
    longest = longest_of(store, 300)
    assert not store.flush(0.5)
    postgresql.start()

    assert longest < CALLER_SECONDS
    assert store.flush(3 * SECONDS)
    assert (number_in(url), dict(store.dropped)) == (301, {})
    store.close()


class Disk:
    """Of a store: when it is full, every statement fails as SQLite says it."""

    def __init__(self, store: Store) -> None:
        self.is_full = False
        event.listen(store._engine, "before_cursor_execute", self._before)

    def _before(self, *_: object) -> None:
        if self.is_full:
            raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))
