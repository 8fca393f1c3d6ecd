"""Streams on a real socket: when they start, how they break, and what happens when the caller leaves."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from starlette.types import Message

from ..streams import unless_caller_leaves
from .fake_provider import DONE, END, ROLE, STOP, STREAM_HEAD, Gate, completion, data, framed, token
from .running import DEADLINE_SECONDS, Running, eventually

REPLY, SUMMARY = "/api/tickets/7/reply", "/api/tickets/7/summary"
FAILED_EVENT = b'event: error\ndata: {"detail": "The assistant could not answer.", "code": "assistant_failed"}\n\n'
TIMEOUT_EVENT = (
    b'event: error\ndata: {"detail": "The assistant took too long to answer.", "code": "assistant_timeout"}\n\n'
)


def raw_answer(service: Running, path: str = REPLY) -> bytes:
    """Everything that comes over the wire until the service closes the connection."""
    with service.connection() as connection:
        connection.sendall(service.request_bytes(path))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_the_first_event_arrives_before_the_provider_has_said_its_last_word(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("first"), gate, token("last") + STOP + DONE + END)

    with service.client() as client, client.stream("POST", REPLY) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b'event: delta\ndata: {"text": "first"}\n\n'
        gate.open()
        rest = b"".join(pieces)

    assert b'"last"' in rest
    assert b"event: done" in rest


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        END,
        DONE + END,
        STOP + END,
        data({"error": {"message": "overloaded"}}) + END,
        framed(b"event: error\ndata: {}\n\n") + END,
        data("{half") + END,
        data({"choices": [{"index": 0, "delta": {"content": 5}}]}) + END,
    ],
    ids=range(8),
)
def test_a_stream_that_breaks_says_so_and_is_cut(
    service: Running, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + token("Hi"), gate, broken)

    with service.connection() as connection:
        connection.sendall(service.request_bytes(REPLY))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            gate.open()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert FAILED_EVENT in answer
    assert b"event: done" not in answer
    assert not answer.endswith(END)
    assert service.outcomes() == ["failed"]
    assert "Traceback" not in caplog.text


def test_a_client_sees_that_a_cut_stream_is_incomplete(service: Running) -> None:
    service.provider.will(STREAM_HEAD + token("Hi"))

    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        service.post(REPLY)


def test_a_stream_that_stalls_is_cut_at_the_idle_deadline(start: Callable[..., Running]) -> None:
    service = start(llm_idle_seconds=0.2)
    service.provider.will(STREAM_HEAD + token("Hi"), Gate())

    answer = raw_answer(service)

    assert TIMEOUT_EVENT in answer
    assert not answer.endswith(END)
    assert service.outcomes() == ["timeout"]
    assert service.provider.hung_up.wait(DEADLINE_SECONDS)


def test_comments_do_not_keep_a_stalled_stream_alive(start: Callable[..., Running]) -> None:
    service = start(llm_first_token_seconds=0.3)
    service.provider.will(STREAM_HEAD + framed(b": keepalive\n\n"), Gate())

    assert service.post(REPLY).status_code == 504


def test_a_stream_that_drips_is_cut_at_the_total_deadline(start: Callable[..., Running]) -> None:
    service = start(llm_timeout_seconds=2, llm_connect_seconds=2)
    first = Gate()
    service.provider.will(STREAM_HEAD + token("Hi"), first, token("there"), Gate())

    with service.connection() as connection:
        connection.sendall(service.request_bytes(REPLY))
        answer = connection.recv(65536)
        first.open()
        while piece := connection.recv(65536):
            answer += piece

    assert TIMEOUT_EVENT in answer
    assert service.provider.hung_up.wait(DEADLINE_SECONDS)


@pytest.mark.parametrize("path", [REPLY, SUMMARY])
def test_the_provider_is_left_when_the_caller_leaves_before_the_first_chunk(service: Running, path: str) -> None:
    gate = Gate()
    service.provider.will(gate)
    with service.connection() as connection:
        connection.sendall(service.request_bytes(path))
        assert gate.reached.wait(DEADLINE_SECONDS)

    assert service.provider.hung_up.wait(DEADLINE_SECONDS)
    eventually(lambda: service.outcomes() == ["aborted"])


def test_the_provider_is_left_when_the_caller_leaves_between_chunks(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    service.provider.will(STREAM_HEAD + token("Hi"), Gate())
    with service.connection() as connection:
        connection.sendall(service.request_bytes(REPLY))
        while b"Hi" not in connection.recv(65536):
            pass

    assert service.provider.hung_up.wait(DEADLINE_SECONDS)
    eventually(lambda: service.outcomes() == ["aborted"])
    assert "Traceback" not in caplog.text


def test_a_caller_who_stops_reading_counts_as_gone(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extracted_service.streams.SLOWEST_READER_SECONDS", 0.2)
    service.provider.will(STREAM_HEAD + token("x" * 100_000) * 200, Gate())
    with service.connection() as connection:
        connection.sendall(service.request_bytes(REPLY))

        assert service.provider.hung_up.wait(DEADLINE_SECONDS)
        eventually(lambda: service.outcomes() == ["aborted"])


def test_a_summary_whose_caller_left_is_not_stored(service: Running) -> None:
    gate = Gate()
    service.provider.will(gate, completion("Too late."))
    with service.connection() as connection:
        connection.sendall(service.request_bytes(SUMMARY))
        assert gate.reached.wait(DEADLINE_SECONDS)

    eventually(lambda: service.outcomes() == ["aborted"])
    assert service.rows("SELECT * FROM assistant_summary") == []


def test_text_survives_however_the_network_cuts_it(service: Running) -> None:
    text = "line\u2028separator\u0085next \U0001f4a1 é مرحبا"
    event = token(text).split(b"\r\n", 1)[1][:-2]
    service.provider.will(
        STREAM_HEAD + b"".join(framed(bytes([byte])) for byte in event.replace(b"\n", b"\r\n")) + STOP + DONE + END
    )

    answer = service.post(REPLY)

    escaped = (
        text.encode("ascii", "backslashreplace").replace(b"\\U0001f4a1", b"\\ud83d\\udca1").replace(b"\\x", b"\\u00")
    )
    assert b'event: delta\ndata: {"text": "' + escaped + b'"}\n\n' in answer.content


def test_no_connection_is_held_while_the_provider_speaks(start: Callable[..., Running]) -> None:
    service = start(database_connections=1, database_busy_seconds=DEADLINE_SECONDS)
    first, second = Gate(), Gate()
    service.provider.will(STREAM_HEAD + token("one"), first, STOP + DONE + END)
    service.provider.will(STREAM_HEAD + token("two"), second, STOP + DONE + END)

    with service.client() as client, client.stream("POST", REPLY) as one, client.stream("POST", REPLY) as two:
        for answer, gate in ((one, first), (two, second)):
            pieces = answer.iter_raw()
            next(pieces)
            gate.open()
            assert b"event: done" in b"".join(pieces)

    assert service.outcomes() == ["ok", "ok"]


def test_a_failure_before_the_first_text_but_after_the_first_chunk_is_an_event(service: Running) -> None:
    gate = Gate()
    service.provider.will(STREAM_HEAD + ROLE, gate, END)

    with service.client() as client, client.stream("POST", REPLY) as answer:
        assert answer.status_code == 200
        gate.open()
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


@pytest.mark.anyio
async def test_a_server_that_cannot_say_whether_the_caller_left_is_an_error_and_no_caller_who_left() -> None:
    stopped = asyncio.Event()

    async def receive() -> Message:
        raise RuntimeError("the server is broken")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(RuntimeError, match="the server is broken"):
        await unless_caller_leaves(receive, work())

    assert stopped.is_set()
