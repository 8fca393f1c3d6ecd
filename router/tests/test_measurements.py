"""The numbers: counted as they happen, told in Prometheus' text format, and what `status` makes of the same state."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ..admin import summary
from ..cli.status import warnings_of
from ..measurements import METRICS, Measurements, exposition
from ..telemetry import BUCKETS_SECONDS
from .serving import routes_file, serving
from .wire import OK, always, until, upstream

LINE = re.compile(r'[a-z_]+({([a-z_]+="(\\.|[^"\\\n])*",?)+})? -?[0-9.e+-]+')
"""A sample, as the text format's grammar has it."""


def worker(number: int, measured: Measurements, **more: Any) -> dict[str, Any]:
    state = {
        "worker": number, "pid": 7, "uptime_seconds": 1.5, "is_draining": False, "table": "abc", "problem": "",
        "routes": [], "upstreams": {}, "process": {"tasks": 3, "descriptors": None, "memory_bytes": 10}, **more,
        "measurements": measured.state(),
    }  # fmt: skip
    return dict(json.loads(json.dumps(state)))  # as it comes through the socket


def attributes(status: int, error: str = "") -> dict[str, str | int]:
    found: dict[str, str | int] = {"strangler.route": 'a"\\\n', "strangler.stage": "split", "strangler.upstream": "new"}
    return found | ({"http.response.status_code": status} if status else {}) | ({"error.type": error} if error else {})


def samples(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_durations_are_counted_in_buckets_that_add_up() -> None:
    measurements = Measurements()
    for seconds in (0.001, 0.005, 0.2, 61.0):
        measurements.record(seconds, attributes(200))

    found = samples(exposition([worker(0, measurements)], 1))

    labels = 'worker="0",route="a\\"\\\\\\n",stage="split",upstream="new",status="2xx"'
    name = "strangler_request_duration_seconds"
    buckets = [found[f'{name}_bucket{{{labels},le="{limit:g}"}}'] for limit in BUCKETS_SECONDS]
    assert buckets[0] == 2
    assert buckets == sorted(buckets)
    assert found[f'{name}_bucket{{{labels},le="+Inf"}}'] == found[f"{name}_count{{{labels}}}"] == 4
    assert found[f"{name}_sum{{{labels}}}"] == pytest.approx(61.206)


def test_an_exchange_without_an_answer_and_an_error_have_names_of_their_own() -> None:
    measurements = Measurements()
    measurements.record(1.0, attributes(0))
    measurements.record(1.0, attributes(502, "AnswerCut"))
    measurements.count("strangler.trips", "r", "open")

    text = exposition([worker(0, measurements), worker(1, Measurements())], 3)

    assert 'status="none"' in text
    assert 'error="AnswerCut"} 1' in text
    assert 'strangler_trips_total{worker="0",route="r",trip="open"} 1' in text
    assert "strangler_workers_expected 3" in text


@pytest.mark.anyio
async def test_all_that_a_router_says_is_in_the_formats_grammar(tmp_path: Path) -> None:
    async with upstream(always(OK)) as legacy, upstream(always(OK)) as new:
        text = (
            f'[upstreams]\nlegacy = "{legacy.url}"\nnew = {{ url = "{new.url}", health = {{ path = "/up" }} }}\n'
            f'[[routes]]\nname = "r"\npath = "/r"\nstage = "split"\nsplit = {{ percent = 5, by = "address" }}\n'
            f"trip = {{ errors = 0.1 }}\n"
        )
        async with serving(routes_file(tmp_path, text)) as router:
            await router.ask(b"GET /r HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: new.asked)
            said = exposition([worker(0, Measurements(), **router.app.standing())], 1)

    lines = said.splitlines()
    assert [line for line in lines if not line.startswith("# ") and not LINE.fullmatch(line)] == []
    types = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(types) == len(set(types))
    assert set(types) <= METRICS.keys()
    assert {
        'strangler_upstream_up{worker="0",upstream="new"}': 1.0,
        'strangler_route_tripped{worker="0",route="r"}': 0.0,
        'strangler_route_percent{worker="0",route="r"}': 5.0,
    }.items() <= samples(said).items()


@pytest.mark.anyio
async def test_nothing_is_measured_for_nobody(tmp_path: Path) -> None:
    file = routes_file(tmp_path, 'upstreams = { legacy = "http://127.0.0.1:1" }')
    async with serving(file) as router:
        await router.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

        assert router.app.standing()["measurements"]["durations"] == []


def test_status_warns_of_different_tables_of_silence_and_of_a_change_that_was_not_taken_over() -> None:
    states = [worker(0, Measurements()), worker(1, Measurements(), table="xyz", problem="routes.toml is wrong"), None]

    state = summary(states, Path("routes.toml"))

    assert state["table"] is None
    assert warnings_of(state) == [
        "an older table is served, because of this. routes.toml is wrong",
        "of 3 workers these do not answer: 2",
        "workers serve different tables; ask again in a second, and then see each worker's problem",
    ]
    assert warnings_of(summary([worker(0, Measurements())], Path("routes.toml"))) == []
