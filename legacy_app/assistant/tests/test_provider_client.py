"""What the client asks of the provider, and what it makes of every kind of answer."""

from datetime import UTC, datetime

import httpx
import pytest

from legacy_app.assistant import provider as client
from legacy_app.assistant.errors import Busy, Failed, TimedOut
from legacy_app.assistant.provider import Completion, Delta, Finished, Usage
from legacy_app.assistant.tests.conftest import (
    DONE,
    END,
    ROLE,
    USAGE_CHUNK,
    WELL,
    body_sent,
    chunk,
    completed,
    data,
    streamed,
)

MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
HTML = httpx.Response(200, html="<h1>Welcome to the proxy</h1>")


def complete(**more):
    return client.complete(MESSAGES, temperature=0.2, max_tokens=160, until=client.deadline(), **more)


def stream():
    return list(client.stream(MESSAGES, temperature=0.7, max_tokens=600, until=client.deadline()))


def embed(*texts):
    return client.embed(texts, until=client.deadline())


def test_a_completion_is_asked_for_in_the_agreed_words(provider):
    complete(response_format={"type": "json_schema"})

    request = provider["chat"].calls.last.request
    assert request.headers["Authorization"] == "Bearer sandbox-key"
    assert request.headers["Content-Type"] == "application/json"
    assert list(body_sent(provider["chat"]).items()) == [
        ("model", "helpdesk-small"),
        ("messages", MESSAGES),
        ("temperature", 0.2),
        ("max_tokens", 160),
        ("response_format", {"type": "json_schema"}),
    ]


def test_a_stream_is_asked_for_in_the_agreed_words(provider):
    provider["chat"].mock(return_value=streamed(*WELL))

    stream()

    assert list(body_sent(provider["chat"])) == [
        "model",
        "messages",
        "temperature",
        "max_tokens",
        "stream",
        "stream_options",
    ]
    assert body_sent(provider["chat"])["stream_options"] == {"include_usage": True}


def test_embeddings_are_asked_for_in_the_agreed_words(provider):
    embed("a lamp", "an invoice")

    assert body_sent(provider["embeddings"]) == {
        "model": "helpdesk-embed",
        "input": ["a lamp", "an invoice"],
        "dimensions": 256,
    }


def test_a_completion_tells_text_reason_model_and_usage(provider):
    provider["chat"].mock(return_value=completed("Cut off", "length"))

    assert complete() == Completion("Cut off", "length", "helpdesk-small-2", Usage(812, 64))


def test_a_provider_that_names_no_model_and_no_usage_is_believed_all_the_same(provider):
    provider["chat"].mock(return_value=completed("Hi", model=None, usage=None))

    assert complete() == Completion("Hi", "stop", "helpdesk-small", Usage(0, 0))


@pytest.mark.parametrize("model", ["half of a pair: \ud83d", "nothing: \x00", 7, ""])
def test_a_model_whose_name_cannot_be_stored_goes_by_the_one_that_was_asked_for(provider, model):
    provider["chat"].mock(return_value=completed("Hi", model=model))

    assert complete().model == "helpdesk-small"


def test_a_stream_tells_each_piece_and_at_last_how_it_ended(provider):
    provider["chat"].mock(return_value=streamed(*WELL))

    *deltas, finished = stream()

    assert "".join(delta.text for delta in deltas) == "Hello Ida"
    assert finished == Finished("stop", "helpdesk-small-2", Usage(812, 64))


def test_nothing_is_read_after_the_end_of_a_stream(provider):
    provider["chat"].mock(return_value=streamed(*WELL, then=AssertionError("read on")))

    assert isinstance(stream()[-1], Finished)


def test_tokens_may_hold_any_character_and_be_cut_anywhere(provider):
    token = "a\u2028b\u0085c 🎉 «»"
    whole = b": keepalive\r\n\r\n" + b"".join([ROLE, chunk(token), END, DONE])
    provider["chat"].mock(return_value=streamed(*(whole[i : i + 1] for i in range(len(whole)))))

    assert "".join(item.text for item in stream() if isinstance(item, Delta)) == token


def test_vectors_come_in_the_order_of_the_texts(provider):
    vectors = embed("a lamp", "an invoice", "bees").vectors

    assert [vector.index(1.0) for vector in vectors] == [ord("a"), ord("a"), ord("b")]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("", 5),
        ("soon", 5),
        ("-3", 5),
        ("1.5", 5),
        ("٣", 5),
        ("Thu, 01 Jan 99999999999999 00:00:00 GMT", 5),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_not_there(header, seconds):
    assert client.retry_after_seconds(header, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("ask", [complete, stream, lambda: embed("a")])
def test_a_provider_at_its_limit_is_busy(provider, ask):
    for route in ("chat", "embeddings"):
        provider[route].mock(return_value=httpx.Response(429, headers={"Retry-After": "7"}))

    with pytest.raises(Busy) as busy:
        ask()

    assert busy.value.retry_after == 7


@pytest.mark.parametrize("ask", [complete, stream, lambda: embed("a")])
@pytest.mark.parametrize("error", [httpx.ConnectTimeout("slow"), httpx.ReadTimeout("slow")])
def test_a_provider_that_does_not_answer_in_time_timed_out(provider, ask, error):
    for route in ("chat", "embeddings"):
        provider[route].mock(side_effect=error)

    with pytest.raises(TimedOut):
        ask()


@pytest.mark.parametrize("ask", [complete, stream, lambda: embed("a")])
@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(400, json={"error": {"code": "context_length_exceeded"}}),
        httpx.Response(401),
        httpx.Response(307, headers={"Location": "http://elsewhere.test/"}),
        httpx.Response(500),
        httpx.Response(503, headers={"Retry-After": "7"}),
        HTML,
        httpx.Response(200, json={"error": {"message": "no"}}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={}),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=iter([b"no gzip"])),
    ],
    ids=lambda answer: str(getattr(answer, "status_code", answer)),
)
def test_every_other_answer_is_a_failure(provider, ask, answer):
    how = {"side_effect": answer} if isinstance(answer, Exception) else {"return_value": answer}
    for route in ("chat", "embeddings"):
        provider[route].mock(**how)

    with pytest.raises(Failed):
        ask()


@pytest.mark.parametrize(
    "answer",
    [
        completed(None),
        completed("  "),
        completed(["Hi"]),
        completed("half of a pair: \ud83d"),
        completed("nothing: \x00"),
        completed("Hi", finish_reason=None),
        completed("Hi", choices=[]),
        completed("Hi", choices="Hi"),
        completed("Hi", choices=[{"message": "Hi", "finish_reason": "stop"}]),
        completed("Hi", usage="much"),
    ],
)
def test_a_malformed_completion_is_a_failure(provider, answer):
    provider["chat"].mock(return_value=answer)

    with pytest.raises(Failed):
        complete()


@pytest.mark.parametrize(
    "parts",
    [
        [ROLE, chunk("Hi"), END],
        [ROLE, chunk("Hi"), DONE],
        [ROLE, chunk("Hi"), USAGE_CHUNK],
        [ROLE, chunk("Hi"), END, b"data: [DONE]"],
        [ROLE, b"data: {broken\n\n", END, DONE],
        [ROLE, b"data: 7\n\n", END, DONE],
        [ROLE, data({"error": {"message": "overloaded"}}), END, DONE],
        [ROLE, b'event: error\ndata: {"message": "overloaded"}\n\n', END, DONE],
        [ROLE, chunk(7), END, DONE],
        [ROLE, chunk(choices=["Hi"]), END, DONE],
        [],
    ],
    ids=[
        "no [DONE]",
        "no finish_reason",
        "neither",
        "broken off in [DONE]",
        "broken JSON",
        "no object",
        "error object",
        "error event",
        "text that is no text",
        "malformed choice",
        "nothing",
    ],
)
def test_a_stream_that_is_not_proven_complete_is_a_failure(provider, parts):
    provider["chat"].mock(return_value=streamed(*parts))

    with pytest.raises(Failed):
        stream()


def test_a_stream_that_is_cut_is_a_failure(provider):
    provider["chat"].mock(return_value=streamed(ROLE, chunk("Hi"), then=httpx.ReadError("cut")))

    with pytest.raises(Failed):
        stream()


@pytest.mark.parametrize(
    "vectors",
    [
        [],
        [{"index": 0, "embedding": [0.5] * 255}],
        [{"index": 1, "embedding": [0.5] * 256}],
        [{"index": 0, "embedding": ["x"] * 256}],
        [{"index": 0, "embedding": None}],
        [{"index": 0}],
        "none",
        None,
    ],
)
def test_malformed_embeddings_are_a_failure(provider, vectors):
    provider["embeddings"].mock(return_value=httpx.Response(200, json={"data": vectors}))

    with pytest.raises(Failed):
        embed("a lamp")


def test_no_call_is_ever_repeated(provider):
    provider["chat"].mock(return_value=httpx.Response(503))

    with pytest.raises(Failed):
        complete()

    assert provider["chat"].call_count == 1
