"""What the router tells about an exchange, seen in the file that it writes, and what callers cannot make it tell."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import get_current_span

from .. import traces_file
from ..app import RouterApp
from ..errors import ConfigError
from ..telemetry import COUNTERS, Telemetry, TraceId, open_telemetry, sends
from .conftest import Front
from .serving import routes_file
from .wire import OK, SECONDS, Talk, caller

pytestmark = pytest.mark.anyio

ROUTE = """
[[routes]]
name = "summary"
path = "/api/tickets/{id}/summary"
stage = "legacy"
to = "assistant"
"""
ASSISTANT = '[upstreams.assistant]\nurl = "http://127.0.0.1:9"\n'
REQUEST = b"GET /api/tickets/7/summary?q=secret HTTP/1.1\r\nhost: helpdesk\r\ncookie: sessionid=secret\r\n%b\r\n"
THEIRS = b"4bf92f3577b34da6a3ce929d0e0e4736"


async def answers(talk: Talk) -> None:
    while await talk.head():
        await talk.send(OK)


class Traces:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "traces.jsonl"
        self.environ = {"TRACES_FILE": str(self.file)}

    async def spans(self) -> dict[str, dict[str, Any]]:
        """By kind, once the SERVER span, which ends last, is written."""
        async with asyncio.timeout(SECONDS):
            while not (self.file.exists() and '"SERVER"' in self.file.read_text()):  # noqa: ASYNC110  (a file)
                await asyncio.sleep(0.01)
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return {line["kind"]: line for line in lines}


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    return Traces(tmp_path)


async def test_a_request_is_a_server_span_and_a_client_span_whose_id_the_upstream_gets(
    front: Front, traces: Traces
) -> None:
    router, legacy = await front(answers, rest=ASSISTANT + ROUTE, environ=traces.environ)

    await router.ask(REQUEST % b"")

    spans = await traces.spans()
    server, client = spans["SERVER"], spans["CLIENT"]
    assert legacy.asked[0].values(b"traceparent") == [f"00-{server['trace_id']}-{client['span_id']}-01".encode()]
    assert (client["trace_id"], client["parent_id"]) == (server["trace_id"], server["span_id"])
    assert (server["service"], server["parent_id"], server["status"]) == ("router", None, "UNSET")
    assert server["name"] == client["name"] == "GET /api/tickets/{id}/summary"
    assert server["start"] <= client["start"] <= client["end"] <= server["end"]
    assert server["attributes"] == {
        "http.request.method": "GET",
        "http.route": "/api/tickets/{id}/summary",
        "http.response.status_code": 200,
        "strangler.route": "summary",
        "strangler.stage": "legacy",
        "strangler.upstream": "legacy",
    }
    assert client["attributes"] == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "strangler.upstream": "legacy",
    }
    assert "secret" not in traces.file.read_text()


async def test_the_spans_of_a_stream_last_until_its_last_byte(front: Front, traces: Traces) -> None:
    heard = asyncio.Event()
    ended_at = 0

    async def streams(talk: Talk) -> None:
        nonlocal ended_at
        await talk.head()
        await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none")
        await heard.wait()
        ended_at = time.time_ns()
        await talk.send(b"two")

    router, _ = await front(streams, environ=traces.environ)

    async with caller(router.port) as each:
        each.writer.write(REQUEST % b"")
        await each.reader.readuntil(b"one")
        heard.set()
        await each.reader.readuntil(b"two")

    spans = await traces.spans()
    assert ended_at <= spans["CLIENT"]["end"] <= spans["SERVER"]["end"]


@pytest.mark.parametrize("flags", [b"00", b"01"])
async def test_the_callers_trace_is_linked_and_decides_nothing(front: Front, traces: Traces, flags: bytes) -> None:
    router, legacy = await front(answers, environ=traces.environ)

    await router.ask(REQUEST % (b"traceparent: 00-" + THEIRS + b"-00f067aa0ba902b7-" + flags + b"\r\n"))

    server = (await traces.spans())["SERVER"]
    assert server["trace_id"] != THEIRS.decode()
    assert server["links"] == [{"trace_id": THEIRS.decode(), "span_id": "00f067aa0ba902b7"}]
    assert THEIRS not in legacy.asked[0].values(b"traceparent")[0]


@pytest.mark.parametrize(
    "header",
    [
        b"traceparent: garbage\r\n",
        b"traceparent: 00-" + b"0" * 32 + b"-00f067aa0ba902b7-01\r\n",
        (b"traceparent: 00-" + THEIRS + b"-00f067aa0ba902b7-01\r\n") * 2,
        b"baggage: tenant=acme\r\ntracestate: acme=1\r\n",
    ],
)
async def test_garbage_in_trace_headers_changes_nothing(front: Front, traces: Traces, header: bytes) -> None:
    router, legacy = await front(answers, environ=traces.environ)

    await router.ask(REQUEST % header)

    assert (await traces.spans())["SERVER"]["links"] == []
    assert legacy.asked[0].values(b"baggage") + legacy.asked[0].values(b"tracestate") == []


async def test_a_request_that_is_not_sampled_says_so_to_the_upstream_and_writes_nothing(
    front: Front, traces: Traces
) -> None:
    router, legacy = await front(answers, rest="[telemetry]\nsample = 0", environ=traces.environ)

    await router.ask(REQUEST % b"")

    assert legacy.asked[0].values(b"traceparent")[0].endswith(b"-00")
    assert not traces.file.exists()


async def test_a_router_without_traces_leaves_the_decision_to_the_upstream(front: Front) -> None:
    router, legacy = await front(answers)

    await router.ask(REQUEST % b"")

    assert legacy.asked[0].values(b"traceparent")[0].endswith(b"-01")


async def test_an_answer_that_is_cut_is_an_error_on_both_spans(front: Front, traces: Traces) -> None:
    async def cuts(talk: Talk) -> None:
        await talk.head()
        await talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none")

    router, _ = await front(cuts, environ=traces.environ)

    async with caller(router.port) as each:
        each.writer.write(REQUEST % b"")
        await each.reader.read()

    for span in (await traces.spans()).values():
        assert (span["status"], span["attributes"]["error.type"]) == ("ERROR", "AnswerCut")
        assert span["attributes"]["http.response.status_code"] == 200


async def test_an_upstream_that_cannot_be_reached_is_an_error_with_the_status_that_the_caller_got(
    front: Front, traces: Traces
) -> None:
    stage = ROUTE.replace('stage = "legacy"', 'stage = "extracted"')
    router, _ = await front(answers, rest=ASSISTANT + stage, environ=traces.environ)

    await router.ask(REQUEST % b"")

    server = (await traces.spans())["SERVER"]
    assert server["attributes"]["http.response.status_code"] == 502
    assert server["attributes"]["error.type"] == "ConnectFailed"
    assert server["attributes"]["strangler.upstream"] == "assistant"
    assert server["status"] == "ERROR"


async def test_a_caller_who_leaves_is_noted_and_is_nobodys_error(front: Front, traces: Traces) -> None:
    asked = asyncio.Event()

    async def is_silent(talk: Talk) -> None:
        await talk.head()
        asked.set()
        await talk.reader.read()

    router, _ = await front(is_silent, environ=traces.environ)

    async with caller(router.port) as each:
        each.writer.write(REQUEST % b"")
        await asked.wait()

    for span in (await traces.spans()).values():
        assert (span["status"], span["attributes"]["strangler.caller_left"]) == ("UNSET", True)


async def test_an_unknown_method_makes_no_name_of_its_own(front: Front, traces: Traces) -> None:
    telemetry = open_telemetry(traces.environ)

    with telemetry.begin("PROPFIND-77", [], 1.0, 0.0):
        pass

    server = (await traces.spans())["SERVER"]
    assert (server["name"], server["attributes"]["http.request.method"]) == ("HTTP", "_OTHER")


def test_the_share_of_sampled_requests_is_the_configured_one(traces: Traces) -> None:
    telemetry = open_telemetry(traces.environ)

    for number in range(10):
        with telemetry.begin("GET", [], 0.3, number / 10):
            pass

    assert len(traces.file.read_text().splitlines()) == 3


def test_every_request_is_measured_by_route_stage_and_upstream() -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = Telemetry(duration=meters.get_meter("router").create_histogram("http.server.request.duration"))

    for _ in range(2):
        with telemetry.begin("POST", [], 0.0, 0.5) as trace:
            trace.route, trace.path, trace.stage, trace.upstream = "reply", "/api/reply", "split", "assistant"
            trace.status = 200

    data = json.loads(reader.get_metrics_data().to_json())  # type: ignore[union-attr]
    (point,) = data["resource_metrics"][0]["scope_metrics"][0]["metrics"][0]["data"]["data_points"]
    assert point["count"] == 2
    assert point["attributes"] == {
        "http.request.method": "POST",
        "http.route": "/api/reply",
        "http.response.status_code": 200,
        "strangler.route": "reply",
        "strangler.stage": "split",
        "strangler.upstream": "assistant",
    }


def test_fallbacks_and_trips_are_counted_by_route() -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("router")
    telemetry = Telemetry(counters={name: meter.create_counter(name) for name in COUNTERS})

    telemetry.count("strangler.fallbacks", "reply", "ConnectFailed")
    telemetry.count("strangler.trips", "reply", "open")
    Telemetry().count("strangler.trips", "reply", "open")

    data = json.loads(reader.get_metrics_data().to_json())  # type: ignore[union-attr]
    metrics = data["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    points = {metric["name"]: metric["data"]["data_points"][0] for metric in metrics}
    assert {name: (point["value"], point["attributes"]) for name, point in points.items()} == {
        "strangler.fallbacks": (1, {"strangler.route": "reply", "error.type": "ConnectFailed"}),
        "strangler.trips": (1, {"strangler.route": "reply", "strangler.trip": "open"}),
    }


def test_a_log_line_has_the_id_of_its_exchange() -> None:
    record = logging.makeLogRecord({})

    with Telemetry().begin("GET", [], 1.0, 0.0) as trace:
        TraceId().filter(record)

    assert record.trace_id == f"{trace.exchange_id:032x}"  # type: ignore[attr-defined]


def test_a_request_that_is_not_sampled_touches_nothing_of_the_sdk() -> None:
    tracer = Mock()

    with Telemetry(tracer).begin("GET", [], 0.1, 0.5) as trace, trace.call("legacy"):
        assert not get_current_span().is_recording()

    assert tracer.mock_calls == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_METRICS_EXPORTER": "console, otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_METRICS_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_say_whether_measurements_go_to_a_collector(
    environ: dict[str, str], expected: bool
) -> None:
    assert sends(environ, "METRICS") is expected


def test_the_sdk_can_be_switched_off(traces: Traces) -> None:
    telemetry = open_telemetry(traces.environ | {"OTEL_SDK_DISABLED": "true"})

    with telemetry.begin("GET", [], 1.0, 0.0):
        pass

    assert not traces.file.exists()


def test_a_file_that_cannot_take_spans_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces_file, "LARGEST_FILE_BYTES", 2)
    (tmp_path / "traces.jsonl").write_text("full")
    exporter = traces_file.TracesFile(tmp_path / "traces.jsonl")

    exporter.export([])
    exporter.export([])

    assert (tmp_path / "traces.jsonl").read_text() == "full"
    assert len(caplog.records) == 1
    assert "holds more than 2 bytes; delete it to go on" in caplog.text


@pytest.mark.parametrize(
    ("environ", "gone"),
    [
        ({"TRACES_FILE": "traces.jsonl"}, "opentelemetry.sdk.trace"),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, "opentelemetry.exporter.otlp.proto.http"),
    ],
)
def test_what_is_to_be_told_and_cannot_be_is_said_at_the_start(
    environ: dict[str, str], gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = routes_file(tmp_path, 'upstreams = { legacy = "http://127.0.0.1:1" }')
    monkeypatch.setitem(sys.modules, gone, None)

    with pytest.raises(ConfigError, match=f"need {gone}: pip install opentelemetry-sdk"):
        RouterApp(file, environ)
