"""A trace is shown as a tree."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sandbox.cli import app


def span(trace_id: str, span_id: str, parent_id: str | None, start: int, end: int, **more: Any) -> str:
    """Times in milliseconds."""
    common = {"service": "router", "name": f"span {span_id}", "kind": "SERVER", "status": "UNSET", "attributes": {}}
    ids = {"trace_id": trace_id, "span_id": span_id, "parent_id": parent_id}
    return json.dumps(common | ids | {"start": start * 10**6, "end": end * 10**6} | more) + "\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    facts = {"http.response.status_code": 200, "url.path": "/", "gen_ai.response.time_to_first_chunk": 0.21666}
    lines = [
        span("aaa", "3", "2", 12, 20, kind="CLIENT", name="[chat]"),
        span("aaa", "2", "1", 11, 30),
        span("aaa", "1", None, 10, 40, attributes=facts),
        span("bbb", "4", "gone", 1, 2),
    ]
    (tmp_path / "traces.jsonl").write_text("".join(lines))
    return tmp_path


def said(*words: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, ["trace", *words], env={"COLUMNS": "200"})
    return result.exit_code, [line.rstrip() for line in result.output.splitlines()]


def test_the_latest_trace_is_shown_with_its_durations_and_facts(data: Path) -> None:
    assert said("--data", str(data)) == (
        0,
        [
            "trace aaa",
            "router SERVER span 1 30.0 ms status_code=200 time_to_first_chunk=0.217",
            "└── router SERVER span 2 19.0 ms",
            "    └── router CLIENT [chat] 8.0 ms",
        ],
    )


def test_a_trace_is_found_by_the_beginning_of_its_id(data: Path) -> None:
    assert said("b", "--data", str(data)) == (0, ["trace bbb", "router SERVER span 4 1.0 ms"])


@pytest.mark.parametrize("text", ["a log line\n", "{}\n"])
def test_a_file_that_is_no_trace_is_said_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "traces.jsonl").write_text(text)

    status, lines = said("--data", str(tmp_path))

    assert status == 1
    assert "was not written by a stack: name its folder with --data" in " ".join(lines)


def test_a_trace_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    status, lines = said("--data", str(tmp_path))

    assert status == 1
    assert "Start the stack, send a request, look again." in " ".join(lines)
