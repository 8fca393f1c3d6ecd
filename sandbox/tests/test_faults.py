"""Each fault does on a real socket what its name says."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from sandbox.faults import UNICODE_SAMPLE

from .conftest import DEADLINE_SECONDS, KEY, RunningProvider

pytestmark = pytest.mark.anyio
WORDS = "one two three four five six seven eight"
BODY: dict[str, Any] = {"model": "helpdesk-small", "messages": [{"role": "user", "content": WORDS}]}
STREAM = {**BODY, "stream": True}
HEADERS = {"Authorization": f"Bearer {KEY}"}
SILENCE_SECONDS = 1.0
"""Whoever says nothing for so long says nothing more: the provider is in this process, and has nothing else to do."""


def ask(provider: RunningProvider, body: object = STREAM, timeout: float = DEADLINE_SECONDS) -> httpx.Response:
    return provider.control.post("/v1/chat/completions", json=body, headers=HEADERS, timeout=timeout)


def received(provider: RunningProvider, body: object = STREAM, timeout: float = SILENCE_SECONDS) -> bytes:
    """What came before the stream broke off."""
    parts = b""
    request = {"json": body, "headers": HEADERS, "timeout": timeout}
    try:
        with provider.control.stream("POST", "/v1/chat/completions", **request) as answer:  # type: ignore[arg-type]
            for part in answer.iter_raw():
                parts += part
    except httpx.TransportError as failure:
        return parts + f" [{type(failure).__name__}]".encode()
    return parts


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("insufficient_quota", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("context_length_exceeded", openai.BadRequestError),
    ],
)
def test_an_error_status_is_the_clients_own_error(
    provider: RunningProvider, client: openai.OpenAI, kind: str, error: type[Exception]
) -> None:
    provider.fault(kind)

    with pytest.raises(error):
        client.chat.completions.create(**BODY)


def test_retry_after_is_sent_as_it_was_asked_for(provider: RunningProvider) -> None:
    provider.fault("429", retry_after=1)

    answer = ask(provider)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_fault_lasts_for_its_count_and_its_path(provider: RunningProvider) -> None:
    provider.fault("500", count=2, path="/v1/chat/completions")

    listed = provider.control.get("/v1/models", headers=HEADERS).status_code
    answered = [ask(provider).status_code for _ in range(3)]

    assert (listed, answered) == (200, [500, 500, 200])


def test_a_fault_can_wait_for_one_text(provider: RunningProvider) -> None:
    provider.fault("500", contains="seven eight")
    other = {**BODY, "messages": [{"role": "user", "content": "other"}]}

    assert [ask(provider, other).status_code, ask(provider).status_code] == [200, 500]


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_timeout_never_answers_and_the_ledger_sees_the_caller_leave(provider: RunningProvider, body: object) -> None:
    provider.fault("timeout")

    with pytest.raises(httpx.ReadTimeout):
        ask(provider, body, timeout=SILENCE_SECONDS)

    wait_for_left_early(provider)


def test_a_caller_that_leaves_between_tokens_is_noticed_at_once(provider: RunningProvider) -> None:
    """Long before it is to say its second token."""
    provider.control.put("/sandbox/settings", json={"tokens_per_second": 1 / (2 * DEADLINE_SECONDS)})

    with provider.control.stream("POST", "/v1/chat/completions", json=STREAM, headers=HEADERS) as answer:
        next(answer.iter_raw())

    wait_for_left_early(provider)


def wait_for_left_early(provider: RunningProvider) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while provider.calls()["left_early"] != 1:
        assert time.monotonic() < deadline, "the provider did not notice that its caller left"
        time.sleep(0.01)


def test_a_stream_that_is_held_goes_on_when_the_faults_are_forgotten(provider: RunningProvider) -> None:
    provider.fault("held", after=2)

    with provider.control.stream("POST", "/v1/chat/completions", json=STREAM, headers=HEADERS) as answer:
        pieces = answer.iter_raw()
        early = next(pieces)
        [held] = calls(provider)
        provider.control.delete("/sandbox/faults")
        late = b"".join(pieces)

    assert early.count(b'"content":"') - 1 == 2  # the first is the role chunk's empty one
    assert (held["tokens_sent"], held["seconds"]) == (2, None)
    assert late.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", BODY), ("/v1/embeddings", {"model": "helpdesk-embed", "input": "one"})]
)
def test_a_whole_answer_that_is_held_comes_when_the_faults_are_forgotten(
    provider: RunningProvider, path: str, body: object
) -> None:
    provider.fault("held")

    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(provider.control.post, path, json=body, headers=HEADERS)
        while not calls(provider) or calls(provider)[0]["fault"] != "held":
            time.sleep(0.01)
        assert not answer.done()
        provider.control.delete("/sandbox/faults")

    assert answer.result().status_code == 200


def calls(provider: RunningProvider) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = provider.calls()["calls"]  # type: ignore[assignment]
    return found


def test_slow_adds_seconds_before_the_first_token(provider: RunningProvider) -> None:
    provider.fault("slow", seconds=0.2)
    began = time.monotonic()

    ask(provider)

    assert time.monotonic() - began >= 0.19  # a timer may be early by a millisecond


def test_stall_stops_after_some_tokens_and_keeps_the_connection(provider: RunningProvider) -> None:
    provider.fault("stall", after=2)

    got = received(provider)

    assert got.count(b'"content":"') - 1 == 2  # the first is the role chunk's empty one
    assert b"[ReadTimeout]" in got


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_cut_ends_the_connection_in_the_middle(provider: RunningProvider, body: object) -> None:
    provider.fault("cut", after=2)

    got = received(provider, body, timeout=DEADLINE_SECONDS)

    assert b"[RemoteProtocolError]" in got
    assert b"[DONE]" not in got


def test_no_done_ends_cleanly_without_the_mark(provider: RunningProvider) -> None:
    provider.fault("no_done")

    text = ask(provider).text

    assert '"finish_reason":"stop"' in text
    assert "[DONE]" not in text


def test_open_after_done_says_more_and_keeps_the_connection(provider: RunningProvider) -> None:
    provider.fault("open_after_done")

    got = received(provider)

    assert b"[DONE]" in got
    assert got.endswith(b"[ReadTimeout]")


@pytest.mark.parametrize("body", [BODY, STREAM])
def test_html_is_a_200_that_is_no_json(provider: RunningProvider, body: object) -> None:
    provider.fault("html")

    answer = ask(provider, body)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_error_in_stream_is_an_error_of_the_client(provider: RunningProvider, client: openai.OpenAI) -> None:
    provider.fault("error_in_stream")

    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**STREAM))


def test_empty_choices_never_says_anything(provider: RunningProvider) -> None:
    provider.fault("empty_choices", count=2)

    assert ask(provider, BODY).json()["choices"] == []
    assert '"finish_reason":"stop"' not in ask(provider).text


def test_bad_json_cannot_be_read(provider: RunningProvider) -> None:
    provider.fault("bad_json", count=2)

    with pytest.raises(json.JSONDecodeError):
        ask(provider, BODY).json()
    assert '{"choices": [{"delta"\n' in ask(provider).text


def test_invalid_output_is_json_that_no_schema_allows(provider: RunningProvider) -> None:
    provider.fault("invalid_output")

    content = ask(provider, BODY).json()["choices"][0]["message"]["content"]

    assert json.loads(content) == {"unexpected": True}


@pytest.mark.parametrize("kind", ["split_bytes", "unicode"])
def test_awkward_characters_arrive_whole_at_a_right_client(
    provider: RunningProvider, client: openai.OpenAI, kind: str
) -> None:
    provider.fault(kind)

    chunks = list(client.chat.completions.create(**STREAM))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == WORDS + "." + "".join(UNICODE_SAMPLE)


def test_split_bytes_cuts_inside_characters(provider: RunningProvider) -> None:
    provider.fault("split_bytes")
    parts = []

    with provider.control.stream("POST", "/v1/chat/completions", json=STREAM, headers=HEADERS) as answer:
        parts = list(answer.iter_raw())

    assert len(parts) > 100
    assert any(not readable(part) for part in parts)


def readable(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "mark"), [("keepalive", b": keep-alive\n\n"), ("crlf", b"\r\n\r\n"), ("no_space", b"data:{")]
)
def test_legal_but_unusual_framing_is_read_by_the_official_client(
    provider: RunningProvider, client: openai.OpenAI, kind: str, mark: bytes
) -> None:
    provider.fault(kind, count=2)

    raw = ask(provider).content
    chunks = list(client.chat.completions.create(**STREAM))

    assert mark in raw
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == WORDS + "."


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "nonsense"}, {"kind": "429", "count": 0}, {"kind": "429", "often": 1}, {"kind": "cut", "after": "x"}],
)
def test_a_fault_that_makes_no_sense_is_refused(provider: RunningProvider, wrong: object) -> None:
    answer = provider.control.post("/sandbox/faults", json=wrong)

    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_deleted_faults_do_not_happen(provider: RunningProvider) -> None:
    provider.fault("500")

    provider.control.delete("/sandbox/faults")

    assert ask(provider).status_code == 200
