"""What the monolith's spans say of a request, seen in the file that its real processes write."""

import http.client
import json
import threading
from contextlib import closing, contextmanager
from types import SimpleNamespace

import pytest
from django.db import connection
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from legacy_app import telemetry, traces_file
from legacy_app.assistant import spans as assistant_spans
from legacy_app.assistant.tests import servers
from legacy_app.assistant.tests.conftest import DONE, END, ROLE, USAGE_CHUNK, chunk

SECRET_KEY = "for the processes of this test only, " * 2
MARKER = "a lamp that nobody may read about"

real_server = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="copies the test database as a file"),
]


@pytest.fixture
def stage(lumen, sign_in, settings, tmp_path):
    """The test's data as a file, and what the processes need to know."""
    settings.SECRET_KEY = SECRET_KEY
    lumen.ticket.body = MARKER
    lumen.ticket.save()
    cookies = f"sessionid={sign_in(lumen.agent).cookies['sessionid'].value}; csrftoken={'c' * 32}"
    database = tmp_path / "helpdesk.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(database)])
    file = tmp_path / "traces.jsonl"
    return SimpleNamespace(
        file=file,
        environment={
            "DATABASE_URL": f"sqlite:///{database}",
            "SECRET_KEY": SECRET_KEY,
            "TRACES_FILE": str(file),
            "GUNICORN_CMD_ARGS": "--config legacy_app/gunicorn.conf.py",
        },
        headers={"Cookie": cookies, "X-CSRFToken": "c" * 32},
        reply=f"/api/tickets/{lumen.ticket.pk}/reply",
    )


@contextmanager
def running(stage, script):
    """A caller's connection to gunicorn, with a provider behind it."""
    with (
        servers.provider(script) as provider,
        servers.gunicorn(stage.environment | {"LLM_BASE_URL": provider.url}) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=servers.DEADLINE_SECONDS)) as caller,
    ):
        yield caller


def spans(stage, *, server_spans=1):
    """The spans by name, as soon as the outermost, which ends last, is written."""

    def written():
        lines = stage.file.read_text().splitlines() if stage.file.exists() else []
        return [json.loads(line) for line in lines]

    servers.eventually(lambda: sum(span["kind"] == "SERVER" for span in written()) == server_spans)
    return {f"{span['kind']} {span['name']}": span for span in written()}


SERVER = "SERVER POST /api/tickets/<int:pk>/reply"
CHAT = "CLIENT chat helpdesk-small"


class TestReply:
    pytestmark = real_server

    def test_a_stream_is_one_trace_whose_spans_last_as_long_as_it(self, stage):
        heard = threading.Event()

        def speak(provider):
            provider.sendall(servers.HEAD + ROLE + chunk("One"))
            assert heard.wait(servers.DEADLINE_SECONDS)
            provider.sendall(END + USAGE_CHUNK + DONE)

        with running(stage, speak) as caller:
            caller.request("POST", stage.reply, headers=stage.headers)
            response = caller.getresponse()
            response.read1()
            heard.set()
            response.read()
            seen = spans(stage)

        server, chat, post = seen[SERVER], seen[CHAT], seen["CLIENT POST"]
        assert {span["trace_id"] for span in seen.values()} == {server["trace_id"]}
        assert post["parent_id"] == chat["span_id"]
        assert chat["end"] <= server["end"]
        assert post["end"] < chat["end"]  # the request's own span ends with the head of the answer
        assert server["attributes"]["http.route"] == "/api/tickets/<int:pk>/reply"
        assert server["attributes"]["http.response.status_code"] == 200
        assert chat["attributes"].pop("gen_ai.response.time_to_first_chunk") > 0
        assert chat["attributes"] == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "helpdesk-small",
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "helpdesk-small-2",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 812,
            "gen_ai.usage.output_tokens": 64,
        }

    def test_no_prompt_query_cookie_or_key_is_in_the_file(self, stage):
        def speak(provider):
            provider.sendall(servers.HEAD + ROLE + chunk(MARKER) + END + USAGE_CHUNK + DONE)

        with running(stage, speak) as caller:
            headers = {**stage.headers, "baggage": f"secret={MARKER}"}
            caller.request("POST", f"{stage.reply}?q={MARKER.replace(' ', '+')}", headers=headers)
            assert MARKER in caller.getresponse().read().decode()
            spans(stage)

        text = stage.file.read_text()
        cookie = stage.headers["Cookie"].partition(";")[0].partition("=")[2]
        assert not [secret for secret in (MARKER, MARKER.replace(" ", "+"), cookie, "c" * 32) if secret in text]
        assert "sandbox-key" not in text

    def test_a_failure_in_the_middle_of_a_stream_is_an_error_on_both_spans(self, stage):
        def break_off(provider):
            provider.sendall(servers.HEAD + ROLE + chunk("One"))

        with running(stage, break_off) as caller:
            caller.request("POST", stage.reply, headers=stage.headers)
            with pytest.raises(http.client.IncompleteRead):
                caller.getresponse().read()
            seen = spans(stage)

        assert (seen[SERVER]["status"], seen[CHAT]["status"]) == ("ERROR", "ERROR")
        assert seen[CHAT]["attributes"]["error.type"] == "Failed"
        assert "gen_ai.usage.output_tokens" not in seen[CHAT]["attributes"]

    def test_a_caller_who_leaves_is_noted_and_no_usage_is_invented(self, stage):
        def speak_on(provider):
            provider.sendall(servers.HEAD + ROLE)
            while True:
                provider.sendall(chunk("word " * 1000))

        with running(stage, speak_on) as caller:
            caller.request("POST", stage.reply, headers=stage.headers)
            response = caller.getresponse()
            response.read1()
            response.close()
            caller.close()
            seen = spans(stage)

        assert seen[CHAT]["attributes"]["strangler.caller_left"] is True
        assert seen[SERVER]["attributes"]["strangler.caller_left"] is True
        assert not [name for name in seen[CHAT]["attributes"] if name.startswith("gen_ai.usage")]


class TestMeasurements:
    """In this process, whose own meters do nothing: only one provider of meters can be set up in each."""

    @pytest.fixture
    def measured(self, monkeypatch):
        reader = InMemoryMetricReader()
        meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("legacy_app")
        monkeypatch.setattr(assistant_spans, "_measurements", assistant_spans.Measurements(meter))

        def measured():
            metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
            return {m.name: [(dict(p.attributes), p.sum) for p in m.data.data_points] for m in metrics}

        return measured

    COMMON = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "helpdesk-small",
    }

    @pytest.mark.django_db
    def test_duration_and_tokens_of_a_call_are_measured(self, measured, lumen, sign_in, provider):
        sign_in(lumen.agent).post(f"/api/tickets/{lumen.ticket.pk}/summary", {}, content_type="application/json")

        common = self.COMMON | {"gen_ai.response.model": "helpdesk-small-2"}
        seen = measured()
        ((attributes, seconds),) = seen["gen_ai.client.operation.duration"]
        assert attributes == common
        assert seconds > 0
        assert seen["gen_ai.client.token.usage"] == [
            (common | {"gen_ai.token.type": "input"}, 812),
            (common | {"gen_ai.token.type": "output"}, 64),
        ]

    def test_a_call_that_fails_has_a_duration_and_no_tokens(self, measured):
        def fail():
            with assistant_spans.model_call("chat", "helpdesk-small"):
                raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011  (whatever it is)
            fail()

        seen = measured()
        ((attributes, _),) = seen["gen_ai.client.operation.duration"]
        assert attributes == self.COMMON | {"error.type": "ValueError"}
        assert "gen_ai.client.token.usage" not in seen


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318/v1/metrics"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_say_whether_spans_go_to_a_collector(environ, expected):
    assert telemetry.sends(environ, "TRACES") is expected


def test_everything_is_off_if_nothing_is_said_or_the_sdk_is_switched_off(tmp_path):
    assert not telemetry.is_on({})
    assert not telemetry.is_on({"TRACES_FILE": str(tmp_path), "OTEL_SDK_DISABLED": "true"})


def test_a_file_that_cannot_take_spans_is_told_once(tmp_path, caplog):
    exporter = traces_file.TracesFile(tmp_path / "missing" / "traces.jsonl")

    exporter.export([])
    exporter.export([])

    assert [record.message for record in caplog.records] == [
        f"Spans are lost: TRACES_FILE {tmp_path}/missing/traces.jsonl: No such file or directory."
    ]


def test_a_file_that_is_too_large_takes_no_more(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(traces_file, "LARGEST_FILE_BYTES", 2)
    file = tmp_path / "traces.jsonl"
    file.write_text("full")

    traces_file.TracesFile(file).export([])

    assert file.read_text() == "full"
    assert "holds more than 2 bytes; delete it to go on" in caplog.text
