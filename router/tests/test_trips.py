"""When a route goes back to legacy by itself, and how it finds its way to the extracted upstream again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..cli.status import warnings_of
from ..config import Route
from ..limits import Trip
from ..trips import PROBES, ROUNDS, Attempt, Counts, RouteTrip, Window, broken, is_probe, trips_of
from ..upstream.health import Standing
from .conftest import Front
from .serving import Serving
from .wire import OK, SECONDS, Talk, always, once, until, upstream


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A trip with a clock that stands still until it is moved."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, ...]] = []
        self.trip = RouteTrip(route(**limits), Trip(**limits), self.clock, lambda *words: self.told.append(words))

    @property
    def state(self) -> str:
        return self.trip.state().state

    def ask(self, *statuses: int) -> None:
        for status in statuses:
            attempt = self.trip.admit()
            if attempt is not None:
                attempt.answered(status)
                attempt.over()

    def admitted(self) -> Attempt:
        attempt = self.trip.admit()
        assert attempt is not None
        return attempt

    def pass_a_round(self) -> None:
        """Requests a fifth of a second apart are probes, whatever the share."""
        for _ in range(PROBES + 1):
            self.clock.now += 0.2
            self.ask(200)


def route(name: str = "r", stage: str = "extracted", to: str = "new", **limits: Any) -> Route:
    return Route.model_validate({"name": name, "path": "/r", "stage": stage, "to": to, "trip": limits})


LIMITS = Trip(errors=0.2, slow_seconds=5, slow=0.5)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(20, 4, 10), ""),
        (Counts(20, 5, 0), "5 of 20 answers failed, more than 20 %"),
        (Counts(20, 0, 11), "11 of 20 answers took over 5 s, more than 50 %"),
        (Counts(19, 19, 19), ""),
        (Counts(0, 1, 0), ""),
    ],
)
def test_a_limit_is_broken_by_a_greater_share_of_enough_answers(counts: Counts, expected: str) -> None:
    assert broken(LIMITS, counts, 20) == expected


def test_a_probe_is_one_request_of_sixteen_then_of_eight_of_four_of_two() -> None:
    shares = [sum(is_probe(turn, seen, 0, 0.0) for seen in range(160)) for turn in range(ROUNDS)]

    assert shares == [10, 20, 40, 80]


def test_a_quiet_route_probes_with_every_request() -> None:
    assert is_probe(0, 1, 0, 0.2)
    assert not is_probe(0, 1, 0, 0.1)


def test_no_more_than_a_few_probes_are_under_way() -> None:
    assert [is_probe(0, 0, PROBES - 1, 9), is_probe(0, 0, PROBES, 9)] == [True, False]
    assert [is_probe(1, 0, PROBES * 2 - 1, 9), is_probe(1, 0, PROBES * 2, 9)] == [True, False]


@given(st.lists(st.tuples(st.floats(0, 4), st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_a_window_holds_what_came_in_its_buckets_and_nothing_older(steps: list[tuple[float, int, int]]) -> None:
    window, now, history = Window(10), 5000.0, []

    for pause, errors, slow in steps:
        now += pause
        history.append((int(now), Counts(1, errors, slow)))

        found = window.add(now, Counts(1, errors, slow))

        recent = [counts for second, counts in history if second > int(now) - 10]
        assert found == tuple(sum(column) for column in zip(*recent, strict=True))


def test_a_route_whose_upstream_fails_goes_back_to_legacy_at_once_and_says_why() -> None:
    watched = Watched(at_least=10)

    watched.ask(*[200] * 8, 500, 500, 500)

    assert watched.state == "open"
    assert watched.trip.admit() is None
    assert watched.trip.state().why == "3 of 11 answers failed, more than 20 %"
    assert watched.told == [("strangler.trips", "r", "open")]


def test_a_few_answers_trip_nothing() -> None:
    watched = Watched(at_least=20)

    watched.ask(*[500] * 19)

    assert watched.state == "closed"


def test_failures_are_forgotten_with_their_window() -> None:
    watched = Watched(at_least=10, window_seconds=10)

    watched.ask(*[500] * 9)
    watched.clock.now += 11
    watched.ask(*[200] * 9, 500)

    assert watched.state == "closed"


def test_a_failure_within_an_answer_counts_once_more_as_an_error_not_as_an_answer() -> None:
    watched = Watched(at_least=4, errors=0.4)
    attempts = [watched.admitted() for _ in range(4)]

    for attempt in attempts:
        attempt.answered(200)
    attempts[0].failed()
    assert watched.state == "closed"
    attempts[1].failed()

    assert watched.trip.state().why.startswith("2 of 4 answers failed")


def test_an_upstream_that_hangs_trips_before_anything_has_timed_out() -> None:
    watched = Watched(at_least=3, slow_seconds=5)
    hanging = [watched.admitted() for _ in range(3)]

    watched.clock.now += 5

    assert watched.trip.admit() is None
    assert watched.trip.state().why == "3 of 3 answers took over 5 s, more than 50 %"
    for attempt in hanging:
        attempt.over()


def test_a_caller_who_leaves_in_time_says_nothing_about_the_upstream() -> None:
    watched = Watched(at_least=2, slow_seconds=5)

    for _ in range(10):
        watched.admitted().over()

    assert watched.state == "closed"
    assert len(watched.trip._overdue_next) <= 1


def test_a_caller_who_leaves_after_a_slow_time_does() -> None:
    watched = Watched(at_least=1, slow_seconds=5)
    attempt = watched.admitted()

    watched.clock.now += 6
    attempt.over()

    assert watched.state == "open"


def test_it_probes_after_its_time_and_comes_back_when_all_rounds_are_passed() -> None:
    watched = Watched(at_least=1, probe_seconds=5)
    watched.ask(500)

    watched.clock.now += 4.9
    assert watched.trip.admit() is None
    watched.clock.now += 0.1
    watched.ask(200)
    assert watched.state == "probing"
    for _ in range(ROUNDS):
        watched.pass_a_round()

    assert watched.state == "closed"
    assert [words[2] for words in watched.told] == ["open", "probing", "closed"]


def test_a_probe_round_that_breaks_a_limit_opens_it_again() -> None:
    watched = Watched(at_least=1, probe_seconds=5)
    watched.ask(500)
    watched.clock.now += 5

    for _ in range(PROBES):
        watched.clock.now += 0.2
        watched.ask(500)

    assert watched.state == "open"
    assert watched.trip.admit() is None


def test_a_hanging_upstream_keeps_no_more_than_a_few_probes() -> None:
    watched = Watched(at_least=1, probe_seconds=5)
    watched.ask(500)
    watched.clock.now += 5

    admitted = [watched.trip.admit() for _ in range(1000)]

    assert len([attempt for attempt in admitted if attempt is not None]) == PROBES


def test_an_answer_to_a_request_of_an_earlier_state_says_nothing_about_the_probes() -> None:
    watched = Watched(at_least=1, probe_seconds=5)
    early = [watched.admitted() for _ in range(20)]
    watched.ask(500)
    watched.clock.now += 5
    watched.ask(200)

    for attempt in early:
        attempt.failed()
        attempt.over()

    assert watched.state == "probing"
    assert watched.trip._under_way == 0


def test_a_reload_keeps_the_state_of_a_route_that_did_not_move() -> None:
    def tell(*_: str) -> None: ...

    before = trips_of([route(at_least=1), route("other", at_least=1)], tell, {})
    attempt = before["r"].admit()
    assert attempt is not None
    attempt.failed()

    same = trips_of([route(at_least=1)], tell, before)
    moved = trips_of([route(at_least=1, stage="split")], tell, before)
    changed = trips_of([route(at_least=2)], tell, before)
    without = trips_of([Route(name="r", path="/r", stage="extracted", to="new")], tell, before)

    assert [each["r"].state().state for each in (same, moved, changed)] == ["open", "closed", "closed"]
    assert not without


def test_status_warns_of_a_route_that_went_back_and_of_an_upstream_that_is_down() -> None:
    watched = Watched(at_least=1)
    watched.ask(500)
    down, well = Standing(True, 0.0, "/healthz answers 500"), Standing()
    worker = {
        "worker": 0,
        "table": "t",
        "routes": [{"name": "r", "trip": watched.trip.state()._asdict()}, {"name": "plain", "trip": None}],
        "upstreams": {
            "new": {"health": down._asdict()}, "old": {"health": well._asdict()}, "unasked": {"health": None}
        },
    }  # fmt: skip

    route, upstream = warnings_of({"problems": [], "workers_silent": [], "workers": [worker]})

    assert route.startswith("route r is back on legacy in worker 0 since ")
    assert route.endswith(": 1 of 1 answers failed, more than 20 %")
    assert upstream.startswith("upstream new is down for worker 0 since ")
    assert upstream.endswith(": /healthz answers 500")


@given(st.lists(st.tuples(st.sampled_from("aaasfclt"), st.integers(0, 40)), max_size=300))
def test_whatever_happens_the_probes_under_way_are_counted_and_bounded(steps: list[tuple[str, int]]) -> None:
    watched = Watched(at_least=3, slow_seconds=2, probe_seconds=3)
    under_way: list[Attempt] = []

    for what, number in steps:
        if what == "a":
            attempt = watched.trip.admit()
            under_way += [attempt] if attempt else []
            assert watched.state != "open" or attempt is None
        elif what == "t":
            watched.clock.now += number / 10
        elif under_way:
            attempt = under_way.pop(number % len(under_way))
            if what in "sf":
                attempt.answered(200 if what == "s" else 500)
            if what == "c":
                attempt.failed()
            attempt.over()
        probes = [each for each in under_way if each.epoch == watched.trip._epoch]
        assert watched.trip._under_way == len(probes)
        assert watched.state != "probing" or len(probes) <= PROBES << (ROUNDS - 1)


TRIPPING = """
[upstreams.new]
url = "{url}"
[[routes]]
name = "r"
path = "/r"
stage = "extracted"
trip = {{ at_least = 5, probe_seconds = 0.2 }}
"""
GET = b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n"
SICK = b"HTTP/1.1 500 Sick\r\ncontent-length: 0\r\n\r\n"


def stopped(router: Serving) -> Clock:
    """The trip's clock, which stands still until it is moved."""
    clock = Clock()
    clock.now = time.monotonic()
    router.live.trips["r"]._clock = clock
    return clock


@pytest.mark.anyio
async def test_callers_get_legacy_while_the_extracted_upstream_is_sick_and_it_again_when_it_is_well(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    is_sick = True

    async def extracted(talk: Talk) -> None:
        while await talk.request() is not None:
            await talk.send(SICK if is_sick else OK)

    async with upstream(extracted) as new:
        router, legacy = await front(always(OK), rest=TRIPPING.format(url=new.url))
        clock, trip = stopped(router), router.live.trips["r"]
        statuses = [(await router.ask(GET)).status for _ in range(8)]
        asked_when_sick = len(new.asked)
        is_sick = False

        async with asyncio.timeout(SECONDS):
            while trip.state().state != "closed":
                clock.now += 0.25  # more than the probes' gap, however the sum is rounded
                await router.ask(GET)

    assert statuses == [500] * 5 + [200] * 3
    assert asked_when_sick == 5
    assert len(legacy.asked) == 3
    assert "Route r trips, legacy answers: 5 of 5 answers failed" in caplog.text
    assert "Route r is back at new" in caplog.text


@pytest.mark.anyio
async def test_an_answer_that_is_cut_is_an_error_to_the_trip(front: Front) -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
    async with upstream(once(half)) as new:
        router, _ = await front(always(OK), rest=TRIPPING.format(url=new.url))

        stopped(router)
        cut = [(await router.ask(GET)).is_cut for _ in range(6)]

    await until(lambda: not router.state.tasks)
    assert cut == [True] * 5 + [False]
