"""The reader of the streams benchmark tells a whole answer from one that is not."""

import asyncio

import pytest

from benchmarks.reading import Ask, Crowd, Stream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DONE, END = b'event: done\ndata: {"finish_reason": "stop"}\n\n', b"0\r\n\r\n"


def delta(text: str) -> bytes:
    return f'event: delta\ndata: {{"text": "{text}"}}\n\n'.encode()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def read(*pieces: bytes) -> Stream:
    """What the reader makes of an answer that comes in these pieces."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def ask() -> Stream:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/reply"
            (stream,) = await Crowd([Ask(url, {}, b"{}")], 0).read()
        return stream

    return asyncio.run(ask())


def test_a_whole_answer_is_its_text_with_a_time_for_each_token() -> None:
    stream = read(HEAD, chunk(delta("One") + delta(" two")), chunk(delta(" three")), chunk(DONE) + END)

    assert (stream.error, stream.text, len(stream.token_times)) == ("", "One two three", 3)
    assert stream.asked < stream.token_times[0] <= stream.token_times[-1] <= stream.ended


def test_the_cuts_of_the_network_change_nothing() -> None:
    whole = HEAD + chunk(delta("One")) + chunk(delta(" two")[:9]) + chunk(delta(" two")[9:] + DONE) + END

    stream = read(*(whole[at : at + 1] for at in range(len(whole))))

    assert (stream.error, stream.text, len(stream.token_times)) == ("", "One two", 2)


def test_the_providers_own_format_is_read_as_well() -> None:
    said = b'data: {"choices": [{"delta": {"content": "One"}}]}\n\ndata: {"choices": []}\n\ndata: [DONE]\n\n'

    assert read(HEAD + chunk(said) + END).text == "One"


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE + b"Content-Length: 2\r\n\r\n{}",
        WHOLE + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_an_answer_that_is_no_stream_counts_as_one_token(answer: bytes) -> None:
    stream = read(answer)

    assert (stream.error, stream.text, len(stream.token_times)) == ("", "{}", 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HEAD + chunk(delta("One")) + chunk(DONE), "the answer is not complete"),
        (HEAD + chunk(delta("One")) + END, "the answer is not complete"),
        (HEAD + chunk(delta("One"))[:-9], "the answer is not complete"),
        (WHOLE + b"Content-Length: 2\r\n\r\n{", "the answer is not complete"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 503 Service Unavailable"),
        (b"", "closed without an answer"),
    ],
    ids=["no last chunk", "no done", "cut inside a chunk", "too short", "refused", "nothing"],
)
def test_an_answer_that_is_not_whole_is_an_error(answer: bytes, error: str) -> None:
    assert read(answer).error == error


def test_nobody_listening_is_an_error() -> None:
    (stream,) = asyncio.run(Crowd([Ask("http://127.0.0.1:1/", {}, b"")], 0).read())

    assert stream.error == "ConnectionRefusedError"
