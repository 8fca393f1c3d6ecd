"""What a running router hands over is in the database within a second, and comes out as a report needs it."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from .evidence import (
    OTHER_MODEL,
    SECONDS,
    comparison,
    eventually,
    history_of,
    kept,
    mismatch,
    skip_without_sqlalchemy,
)
from .postgresql import running_postgresql

skip_without_sqlalchemy()

from ..errors import EvidenceError  # noqa: E402
from ..evidence import reading  # noqa: E402
from ..evidence.database import open_engine, open_for_reading, prepare, size_of  # noqa: E402
from ..evidence.gates import Gate, History  # noqa: E402
from ..evidence.observations import Difference, Kind, Second, Verdict  # noqa: E402
from ..evidence.store import GATHER_SECONDS, LOOK_SECONDS, Store  # noqa: E402
from ..evidence.tables import VERSION  # noqa: E402
from ..evidence.writing import EXEMPLARS, GROUPS, Move, write_move  # noqa: E402

PACKAGE = __package__.rpartition(".")[0]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[object]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/evidence.db"
    return str(request.getfixturevalue("postgresql").new_database())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(kept(url))
    yield store
    store.close()


def test_comparisons_come_out_as_they_went_in_and_in_order(store: Store, url: str) -> None:
    given = [
        comparison(0),
        mismatch(1),
        comparison(2, candidate_failed=True, verdict=Verdict.MISMATCH),
        comparison(3, control_failed=True, verdict=Verdict.INCONCLUSIVE, reason="the control failed"),
        comparison(4, candidate_seconds=0.1751),
        comparison(5, candidate_seconds=0.1749, second=Second.FAILED),
    ]

    for each in given:
        assert store.add(each)
    assert store.flush(SECONDS)

    engine = open_for_reading(url)
    assert reading.latest(engine, "ticket-summary") == given[::-1]
    assert reading.history(engine, "ticket-summary", "one", Gate()) == history_of(given, Gate())
    assert reading.history(engine, "ticket-summary", "another", Gate()) == History()


def test_a_route_is_counted_by_epoch(store: Store, url: str) -> None:
    for each in (
        comparison(0),
        comparison(1, candidate_seconds=0.2),
        mismatch(2),
        comparison(3, verdict=Verdict.INCONCLUSIVE, reason="the state moved"),
        comparison(4, verdict=Verdict.MISMATCH, candidate_failed=True),
        comparison(5, verdict=Verdict.MATCH, candidate_failed=True, control_failed=True),
        comparison(6, epoch="two"),
    ):
        store.add(each)
    assert store.flush(SECONDS)

    two, one = reading.counts(open_for_reading(url), factor=1.5)

    assert (two.epoch, two.comparisons) == ("two", 1)
    assert one[2:9] == (6, 3, 2, 1, 1, 1, 6)
    assert (one.first_at, one.last_at) == (comparison(0).at, comparison(5).at)


def test_differences_of_the_same_places_and_kinds_are_one_group(store: Store, url: str) -> None:
    for number in range(EXEMPLARS + 3):
        store.add(mismatch(number, Difference(f"body /citations/{number}/score", Kind.TYPE, "a", "b")))
    store.add(mismatch(50, Difference("event 3 delta /text", Kind.VALUE)))
    store.add(mismatch(51, Difference("event 7 delta /text", Kind.VALUE)))
    store.add(mismatch(52))
    assert store.flush(SECONDS)

    engine = open_for_reading(url)
    scores, texts, models = reading.groups(engine, "ticket-summary", "one")

    assert (scores.places, scores.count) == ((("body /citations/*/score", Kind.TYPE),), EXEMPLARS + 3)
    assert (scores.first_at, scores.last_at) == (comparison(0).at, comparison(EXEMPLARS + 2).at)
    assert (texts.places, texts.count) == ((("event * delta /text", Kind.VALUE),), 2)
    assert models.places == ((OTHER_MODEL.place, Kind.VALUE),)
    assert [each.differences[0].place for each in reading.exemplars(engine, [scores])] == [
        f"body /citations/{number}/score" for number in range(EXEMPLARS)
    ]


def test_of_many_differences_of_one_group_fresh_ones_are_kept_now_and_then(store: Store, url: str) -> None:
    for number in range(320):
        store.add(mismatch(number))
    assert store.flush(SECONDS)

    engine = open_for_reading(url)
    kept = reading.exemplars(engine, reading.groups(engine, "ticket-summary", "one"))

    numbers = [int(each.exchange_id, 16) for each in kept]
    assert numbers == [1, 2, 3, 4, 5, *range(10, 100, 10), 100, 200, 300]


def test_counts_of_several_processes_add_up(store: Store, url: str) -> None:
    other = Store(kept(url))
    for each in (store, other):
        each.count("ticket-summary", "offered", 3)
        each.count("ticket-summary", "offered")
        each.count("search", "copied")
    assert store.flush(SECONDS)
    other.close()

    found = reading.counted(open_for_reading(url))

    assert found == {"search": {"copied": 2}, "ticket-summary": {"offered": 8}}
    assert reading.counted(open_for_reading(url), since=time.time() + 7200) == {}


def test_the_journal_keeps_who_moved_what_and_the_evidence_it_rested_on(store: Store, url: str) -> None:
    forward = Move(1.0, "search", "maya", "shadow 100 %", "split 10 %", evidence={"comparisons": 400, "mismatches": 0})
    back = Move(2.0, "search", "gate", "split 10 %", "shadow 100 %", "the verdict turned", evidence={})

    for move in (forward, back):
        store.write(partial(write_move, move=move))
    assert store.flush(SECONDS)

    assert reading.moves(open_for_reading(url)) == [back, forward]
    assert reading.moves(open_for_reading(url), "ticket-summary") == []


def test_what_is_old_is_forgotten_and_the_journal_is_not(url: str) -> None:
    store = Store(kept(url, keep_days=1))
    store.add(comparison(0))
    store.add(comparison(1, at=time.time()))
    store.write(partial(write_move, move=Move(1.0, "search", "maya", "legacy", "shadow")))
    assert store.flush(SECONDS)

    store._forget_at = 0.0  # its own clock runs in minutes
    store.count("search", "offered")
    eventually(lambda: len(reading.latest(open_for_reading(url), "ticket-summary")) == 1, "nothing was forgotten")

    assert len(reading.moves(open_for_reading(url))) == 1
    store.close()


def test_above_its_size_the_database_forgets_the_oldest(url: str) -> None:
    store = Store(kept(url, keep_mib=1))
    store._forget_at = math.inf  # of its own accord
    for number in range(300):
        places = [f"body /{random.randbytes(500).hex()}/{number}x" for _ in range(10)]  # does not compress
        store.add(mismatch(number, *(Difference(place, Kind.VALUE) for place in places)))
    assert store.flush(SECONDS)
    engine = open_for_reading(url)
    newest = reading.latest(engine, "ticket-summary", 1)

    with engine.connect() as connection:
        assert size_of(connection) > 2 * 1_048_576

    store._forget()

    with engine.connect() as connection:
        assert size_of(connection) <= 1_048_576
    assert reading.latest(engine, "ticket-summary", 1) == newest
    store.close()


def test_places_without_end_become_one_group(store: Store, url: str) -> None:
    for number in range(GROUPS + 10):
        store.add(mismatch(number, Difference(f"body /by id/x{number}", Kind.ADDED)))
    assert store.flush(SECONDS)

    groups = reading.groups(open_for_reading(url), "ticket-summary", "one")

    assert (len(groups), groups[0].count, groups[0].places) == (GROUPS + 1, 10, ())


def test_tables_of_another_version_are_named_and_left_alone(url: str) -> None:
    engine = open_engine(url, writes=True)
    prepare(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE evidence_schema SET version = 99")
    engine.dispose()

    with pytest.raises(EvidenceError, match=f"version 99, this router's are of version {VERSION}: name another"):
        open_for_reading(url)


def test_no_database_yet_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="There is no evidence yet"):
        open_for_reading(f"sqlite:///{tmp_path}/evidence.db")


@pytest.mark.parametrize("wrong", ["mysql://root@localhost/x", "evidence.db"])
def test_a_url_that_can_never_work_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(EvidenceError, match=r"\[evidence\] url"):
        Store(kept(wrong))


WRITER = f"""
import sys, time
from {PACKAGE}.config import Evidence
from {PACKAGE}.evidence.store import Store
from {PACKAGE}.tests.evidence import comparison, kept
first, number = int(sys.argv[2]), int(sys.argv[3])
store = Store(kept(sys.argv[1]))
for each in range(first, first + number):
    store.add(comparison(each, at=time.time()))
    store.count("ticket-summary", "offered")
    time.sleep(0.001)
"""


def writer(url: str, first: int, number: int, then: str) -> subprocess.Popen[str]:
    """A process that keeps so many comparisons, made at the time that they say."""
    folder = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER + then, url, str(first), str(number)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_processes_write_into_one_database(url: str) -> None:
    writers = [writer(url, each * 1000, 200, "store.close(); print(dict(store.dropped))") for each in range(3)]
    said = [each.communicate(timeout=100)[0] for each in writers]

    (counts,) = reading.counts(open_for_reading(url))
    assert said == ["{}\n"] * 3
    assert counts.comparisons == 600
    assert reading.counted(open_for_reading(url))["ticket-summary"]["offered"] == 600


def test_what_is_handed_over_is_written_within_a_second() -> None:
    assert GATHER_SECONDS + LOOK_SECONDS < 0.5


def test_a_process_that_is_killed_loses_the_last_of_what_it_had_and_nothing_before(url: str) -> None:
    process = writer(url, 0, 100_000, "")
    try:
        eventually(lambda: _newest(url) > 500, "nothing was written")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        killed_at = time.time()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    written = reading.latest(open_for_reading(url), "ticket-summary", 100_000)
    assert killed_at - written[0].at < SECONDS  # it goes on being written; how soon is a matter of the machine
    exchanges = {each.exchange_id for each in written}
    assert exchanges == {comparison(number).exchange_id for number in range(len(written))}  # no gap before the end


def _newest(url: str) -> int:
    try:
        return sum(each.comparisons for each in reading.counts(open_for_reading(url)))
    except EvidenceError:
        return 0


def test_routing_does_not_load_the_database_library() -> None:
    program = f"import sys, {PACKAGE}.app, {PACKAGE}.server; print('sqlalchemy' in sys.modules)"

    told = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )

    assert told.stdout == "False\n"
