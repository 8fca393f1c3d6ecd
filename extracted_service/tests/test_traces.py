"""What the service's spans and measurements say of a request, and what they must never say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from extracted_service import telemetry, traces_file
from extracted_service.app import create_app
from extracted_service.settings import Settings
from extracted_service.telemetry import OFF, Telemetry
from extracted_service.traces_file import TracesFile

from .fake_provider import (
    DONE,
    END,
    ROLE,
    STOP,
    STREAM_HEAD,
    USAGE,
    Gate,
    answer,
    completion,
    fake_provider,
    token,
)
from .identities import SigningKey
from .running import DEADLINE_SECONDS, Running, eventually, serving

SUMMARY, REPLY = "/api/tickets/7/summary", "/api/tickets/7/reply"
MARKER = "a lamp that nobody may read about"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "baggage": f"secret={MARKER.replace(' ', '_')}"}


class Traced:
    """A service with tracing on."""

    def __init__(self, running: Running, file: Path, metrics: InMemoryMetricReader) -> None:
        self.running = running
        self.file = file
        self._metrics = metrics

    def spans(self) -> dict[str, dict[str, Any]]:
        """By kind and name, once the SERVER span, which ends last, is written."""
        eventually(lambda: self.file.exists() and '"SERVER"' in self.file.read_text())
        found = [json.loads(line) for line in self.file.read_text().splitlines()]
        return {f"{span['kind']} {span['name']}": span for span in found}

    def measured(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Attributes and sums, by metric."""
        data = json.loads(self._metrics.get_metrics_data().to_json())  # type: ignore[union-attr]
        metrics = [metric for scope in data["resource_metrics"][0]["scope_metrics"] for metric in scope["metrics"]]
        return {
            metric["name"]: [(point["attributes"], point.get("sum", 0)) for point in metric["data"]["data_points"]]
            for metric in metrics
        }


@pytest.fixture
def traced(key: SigningKey, jwks_file: Path, database_file: Path, tmp_path: Path) -> Iterator[Traced]:
    file, reader = tmp_path / "traces.jsonl", InMemoryMetricReader()
    tracers = TracerProvider(resource=Resource({"service.name": "extracted"}), shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(TracesFile(file)))
    with fake_provider() as provider:
        settings = Settings(
            database_url=f"sqlite:///{database_file}",
            identity_jwks_file=jwks_file,
            llm_base_url=provider.url,
            llm_attempts=1,
        )
        app = create_app(settings, Telemetry(tracers, MeterProvider([reader], shutdown_on_exit=False)))
        with serving(app) as (url, _):
            yield Traced(Running(url, provider, key, str(settings.database_url)), file, reader)


CHAT = "CLIENT chat helpdesk-small"


def server_of(spans: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (server,) = (span for span in spans.values() if span["kind"] == "SERVER")
    return server


@pytest.mark.parametrize("path", [SUMMARY, REPLY])
def test_a_request_is_one_trace_with_one_server_span_and_the_provider_gets_its_id(traced: Traced, path: str) -> None:
    """The aiohttp transport too carries the trace on; the caller's baggage goes nowhere."""
    script = [STREAM_HEAD + ROLE, token("Hello"), STOP, USAGE, DONE, END] if path == REPLY else [completion("Hello")]
    traced.running.provider.will(*script)

    assert traced.running.post(path, headers=SAMPLED).status_code == 200

    spans = traced.spans()
    server, chat, post = server_of(spans), spans[CHAT], spans["CLIENT POST"]
    assert {span["trace_id"] for span in spans.values()} == {TRACE_ID}
    assert (server["parent_id"], chat["parent_id"], post["parent_id"]) == (
        PARENT_ID,
        server["span_id"],
        chat["span_id"],
    )
    assert len(spans) == 3
    asked = traced.running.provider.asked[0].headers
    assert asked["traceparent"] == f"00-{TRACE_ID}-{post['span_id']}-01"
    assert "baggage" not in asked


@pytest.mark.parametrize("path", [SUMMARY, REPLY])
def test_the_provider_gets_what_the_router_says_of_the_exchange_and_nothing_else(traced: Traced, path: str) -> None:
    script = [STREAM_HEAD + ROLE, token("Hello"), STOP, USAGE, DONE, END] if path == REPLY else [completion("Hello")]
    traced.running.provider.will(*script)
    said = {**SAMPLED, "baggage": f"{SAMPLED['baggage']},strangler.role=primary"}

    assert traced.running.post(path, headers=said).status_code == 200

    assert traced.running.provider.asked[0].headers["baggage"] == "strangler.role=primary"


def test_the_span_of_a_stream_lasts_as_long_as_the_stream(traced: Traced) -> None:
    gate = Gate()
    traced.running.provider.will(STREAM_HEAD + ROLE, token("Hello"), gate, STOP, USAGE, DONE, END)

    with traced.running.client() as client, client.stream("POST", REPLY) as response:
        pieces = response.iter_bytes()
        next(pieces)
        assert gate.reached.wait(DEADLINE_SECONDS)
        early = traced.file.read_text()
        gate.open()
        list(pieces)

    spans = traced.spans()
    assert '"POST"' in early
    assert CHAT.removeprefix("CLIENT ") not in early
    assert spans["CLIENT POST"]["end"] < spans[CHAT]["end"] <= server_of(spans)["end"]
    assert spans[CHAT]["attributes"].pop("gen_ai.response.time_to_first_chunk") > 0
    assert spans[CHAT]["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "helpdesk-small",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "helpdesk-small",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 2,
    }


def test_a_stream_that_breaks_is_an_error_on_both_spans(traced: Traced) -> None:
    traced.running.provider.will(STREAM_HEAD + ROLE, token("Hello"))

    with pytest.raises(Exception, match="closed"):
        traced.running.post(REPLY)

    spans = traced.spans()
    assert server_of(spans)["attributes"]["http.response.status_code"] == 200
    for span in (server_of(spans), spans[CHAT]):
        assert span["status"] == "ERROR"
        assert span["attributes"]["error.type"] == "Failed"


def test_a_caller_who_leaves_is_noted_and_no_usage_is_invented(traced: Traced) -> None:
    gate = Gate()
    traced.running.provider.will(STREAM_HEAD + ROLE, token("Hello"), gate)

    with traced.running.client() as client, client.stream("POST", REPLY) as response:
        next(response.iter_bytes())

    spans = traced.spans()
    gate.open()
    for span in (server_of(spans), spans[CHAT]):
        assert span["attributes"]["strangler.caller_left"] is True
    assert not [name for name in spans[CHAT]["attributes"] if name.startswith("gen_ai.usage")]


def test_a_refusal_of_the_provider_is_an_error_of_its_own_kind(traced: Traced) -> None:
    traced.running.provider.will(answer("429 Too Many Requests", b"{}", "Retry-After: 7"))

    assert traced.running.post(SUMMARY).status_code == 503

    assert traced.spans()[CHAT]["attributes"]["error.type"] == "Busy"


def test_a_request_that_the_router_did_not_sample_makes_no_span_but_keeps_its_id(traced: Traced) -> None:
    traced.running.provider.will(completion("Hello"))

    traced.running.post(SUMMARY, headers={"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-00"})

    assert not traced.file.exists()
    asked = traced.running.provider.asked[0].headers
    assert asked["traceparent"].startswith(f"00-{TRACE_ID}-")
    assert asked["traceparent"].endswith("-00")


def test_no_prompt_query_identity_or_key_is_in_a_span(traced: Traced) -> None:
    traced.running.change(f"UPDATE tickets_ticket SET body = '{MARKER}'")  # noqa: S608
    traced.running.provider.will(completion(MARKER))

    with traced.running.client() as client:
        assert MARKER in client.post(f"{SUMMARY}?q={MARKER}", json={"instructions": MARKER}, headers=SAMPLED).text
        identity = client.headers["X-Internal-Identity"]

    traced.spans()
    text = traced.file.read_text()
    assert not [secret for secret in ("nobody", identity, "sandbox-key") if secret in text]


def test_duration_and_tokens_are_measured(traced: Traced) -> None:
    traced.running.provider.will(completion("Hello"))

    traced.running.post(SUMMARY)
    traced.spans()

    measured = traced.measured()
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "helpdesk-small",
        "gen_ai.response.model": "helpdesk-small",
    }
    ((duration_of, seconds),) = measured["gen_ai.client.operation.duration"]
    assert duration_of == common
    assert seconds > 0
    assert measured["gen_ai.client.token.usage"] == [
        (common | {"gen_ai.token.type": "input"}, 812),
        (common | {"gen_ai.token.type": "output"}, 64),
    ]
    ((route, _),) = measured["http.server.request.duration"]
    assert route["http.response.status_code"] == 200


def test_nothing_is_on_if_the_environment_says_nothing_or_switches_the_sdk_off(tmp_path: Path) -> None:
    assert telemetry.open_telemetry({}) is OFF
    assert telemetry.open_telemetry({"TRACES_FILE": str(tmp_path), "OTEL_SDK_DISABLED": "true"}) is OFF


def test_a_traces_file_in_the_environment_switches_tracing_on(tmp_path: Path) -> None:
    opened = telemetry.open_telemetry({"TRACES_FILE": str(tmp_path / "traces.jsonl"), "OTEL_SERVICE_NAME": "mine"})

    with opened.span("search", {"a": (1, 2)}):
        pass
    opened.close()

    (line,) = (tmp_path / "traces.jsonl").read_text().splitlines()
    written = json.loads(line)
    assert (written["service"], written["attributes"], written["links"]) == ("mine", {"a": [1, 2]}, [])


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318/v1/metrics"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_say_whether_spans_go_to_a_collector(environ: dict[str, str], expected: bool) -> None:
    assert telemetry.sends(environ, "TRACES") is expected


def test_a_file_that_cannot_take_spans_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces_file, "LARGEST_FILE_BYTES", 2)
    (tmp_path / "traces.jsonl").write_text("full")
    exporter = TracesFile(tmp_path / "traces.jsonl")

    exporter.export([])
    exporter.export([])

    assert (tmp_path / "traces.jsonl").read_text() == "full"
    assert len(caplog.records) == 1
    assert "holds more than 2 bytes; delete it to go on" in caplog.text
