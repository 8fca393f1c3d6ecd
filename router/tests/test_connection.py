"""What a connection makes of the bytes of an answer, however they are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ..errors import AnswerCut, AnswerMalformed, AnswerTimeout, UpstreamError
from ..upstream import Connection, Request
from ..upstream.connection import BUFFERED_BYTES, HEAD_BYTES

Value = TypeVar("Value")


class Wire(asyncio.Transport):
    """A transport that only remembers what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False
        self.is_reading_now = True
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Result(NamedTuple):
    """What became of an answer; `ending` is "complete", "waiting" or the name of an error."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    ending: str


GET = Request(b"GET / HTTP/1.1\r\n\r\n", is_head=False, is_replayable=True)
HEAD = Request(b"HEAD / HTTP/1.1\r\n\r\n", is_head=True, is_replayable=True)
POST = Request(b"POST / HTTP/1.1\r\n\r\n", is_head=False, is_replayable=False)
WAITING = object()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def opened(loop: asyncio.AbstractEventLoop, request: Request = GET) -> tuple[Connection, Wire]:
    wire, connection = Wire(), Connection(loop)
    connection.connection_made(wire)
    connection.start(request, first_byte_seconds=60, idle_seconds=60)
    return connection, wire


def now(step: Coroutine[Any, Any, Value]) -> Value | object:
    """The result of a step that does not have to wait, or WAITING."""
    try:
        step.send(None)
    except StopIteration as done:
        value: Value = done.value
        return value
    step.close()
    return WAITING


def result(connection: Connection) -> Result:
    body = b""
    try:
        if now(connection.answered()) is WAITING:
            return Result(0, [], b"", "waiting")
        while True:
            piece = now(connection.read())
            if piece is WAITING:
                return Result(connection.status, connection.headers, body, "waiting")
            if not piece:
                return Result(connection.status, connection.headers, body, "complete")
            assert isinstance(piece, bytes)
            body += piece
    except UpstreamError as error:
        # What stood in the head of an answer that failed is nobody's business: where it was cut decides.
        return Result(0, [], b"", type(error).__name__)


def feed(connection: Connection, pieces: list[bytes], *, is_closed: bool) -> Result:
    for piece in pieces:
        if connection.is_open:
            connection.data_received(piece)
    if is_closed and connection.is_open:
        connection.eof_received()
        connection.connection_lost(None)
    return result(connection)


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def as_h11_reads_it(data: bytes, method: bytes, *, is_closed: bool) -> Result:
    """The same by another parser; its refusals are AnswerMalformed or AnswerCut."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    parser.send(h11.Request(method=method, target="/", headers=[("host", "h")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    status, body = 0, b""
    headers: list[tuple[bytes, bytes]] = []
    try:
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA and is_closed:
                parser.receive_data(b"")
                is_closed = False
            elif event is h11.NEED_DATA:
                return Result(status, headers, body, "waiting")
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, list(event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return Result(status, headers, body, "complete")
    except h11.RemoteProtocolError:
        return Result(0, [], b"", "refused")


NAMES = st.from_regex(rb"[Xx]-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True)
VALUES = st.from_regex(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,30}[!-~\x80-\xff])?)?", fullmatch=True)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
BODIES = st.binary(max_size=400)
EXTENSIONS = st.sampled_from([b"", b";a", b";a=b", b';a="b c"'])


def head(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return b"HTTP/1.1 %d Reason\r\n%b\r\n" % (status, lines)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Request, bool]:
    """A right answer in any of HTTP/1.1's shapes, the request it answers, whether the upstream closes after it."""
    interim = b"".join(draw(st.lists(st.sampled_from([head(100, []), head(103, [(b"Link", b"</x>")])]), max_size=2)))
    headers, body = draw(HEADERS), draw(BODIES)
    status = draw(st.sampled_from([200, 201, 301, 404, 500, 599]))
    match draw(st.sampled_from(["length", "chunked", "close", "head", "bodiless"])):
        case "length":
            data = head(status, [*headers, (b"Content-Length", b"%d" % len(body))]) + body
        case "chunked":
            data = head(status, [*headers, (b"Transfer-Encoding", b"chunked")])
            for piece in cut_at(body, draw(st.lists(st.integers(0, 400), max_size=4))):
                data += b"%x%b\r\n%b\r\n" % (len(piece), draw(EXTENSIONS), piece)
            trailers = draw(st.sampled_from([b"", b"X-Trailer: t\r\n", b"Set-Cookie: a=b\r\nX-Two: 2\r\n"]))
            data += b"0\r\n" + trailers + b"\r\n"
        case "close":
            return interim + head(status, headers) + body, GET, True
        case "head":
            data = head(status, [*headers, (b"Content-Length", b"%d" % len(body))])
            return interim + data, HEAD, draw(st.booleans())
        case _:
            data = head(draw(st.sampled_from([204, 304])), headers)
    return interim + data, GET, draw(st.booleans())


CUTS = st.lists(st.integers(0, 5000), max_size=8)


@given(answers(), CUTS)
def test_however_an_answer_is_cut_it_is_what_h11_reads_in_it(
    loop: asyncio.AbstractEventLoop, shape: tuple[bytes, Request, bool], places: list[int]
) -> None:
    data, request, is_closed = shape
    connection, _ = opened(loop, request)

    mine = feed(connection, cut_at(data, places), is_closed=is_closed)

    assert mine == as_h11_reads_it(data, request.opening.split(b" ")[0], is_closed=is_closed)


@given(answers(), st.integers(0, 5000), st.booleans())
def test_an_answer_that_ends_too_early_is_never_complete(
    loop: asyncio.AbstractEventLoop, shape: tuple[bytes, Request, bool], place: int, is_bytewise: bool
) -> None:
    data, request, _ = shape
    part = data[: place % len(data)]
    theirs = as_h11_reads_it(part, request.opening.split(b" ")[0], is_closed=True)
    connection, _ = opened(loop, request)

    mine = feed(connection, cut_at(part, list(range(len(part))) if is_bytewise else []), is_closed=True)

    if theirs.ending == "refused" or not theirs.status:
        assert mine.ending == "AnswerCut"
    else:
        assert mine == theirs


@given(answers(), st.integers(0, 5000), st.binary(min_size=1, max_size=3), CUTS)
@example((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", GET, False), 9, b"0", [])
@example((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", GET, False), 9, b"9", [])
def test_damaged_answers_mean_the_same_however_they_are_cut(
    loop: asyncio.AbstractEventLoop,
    shape: tuple[bytes, Request, bool],
    place: int,
    damage: bytes,
    places: list[int],
) -> None:
    data, request, is_closed = shape
    place %= len(data)
    data = data[:place] + damage + data[place + len(damage) :]
    whole, _ = opened(loop, request)
    cut, _ = opened(loop, request)

    assert feed(cut, cut_at(data, places), is_closed=is_closed) == feed(whole, [data], is_closed=is_closed)


@pytest.mark.parametrize(
    "data",
    [
        head(200, [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")]) + b"0\r\n\r\n",
        head(200, [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"1")]) + b"0\r\n\r\n",
        head(200, [(b"Content-Length", b"1"), (b"Content-Length", b"1")]) + b"a",
        head(200, [(b"Content-Length", b"1"), (b"Content-Length", b"2")]) + b"ab",
        head(200, [(b"Content-Length", b"1, 1")]) + b"a",
        head(200, [(b"Content-Length", b"-1")]),
        head(200, [(b"Content-Length", b"")]),
        head(200, [(b"Transfer-Encoding", b"gzip")]) + b"a",
        head(200, [(b"Transfer-Encoding", b"gzip, chunked")]) + b"0\r\n\r\n",
        head(200, [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")]) + b"0\r\n\r\n",
        head(200, [(b"Transfer-Encoding", b"chunked, identity")]) + b"0\r\n\r\n",
        head(200, [(b"X", b"a\r\n  folded")]),
        head(200, [(b"X", b"a\x00b")]),
        head(200, [(b"X y", b"a")]),
        b"HTTP/1.1 099 Reason\r\n\r\n",
        head(600, []),
        head(999, []),
        head(101, [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")]),
        b"HTTP/1.1 200 OK\r\nX: a\n folded\nContent-Length: 0\n\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        head(200, [(b"X", b"a" * (HEAD_BYTES + 1))]),
        head(200, [(b"X", b"a" * 1000)] * 66),
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_or_none_is_malformed(
    loop: asyncio.AbstractEventLoop, data: bytes
) -> None:
    connection, wire = opened(loop)

    connection.data_received(data)

    with pytest.raises(AnswerMalformed):
        now(connection.answered())
    assert wire.is_aborted


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nok",
        b"HTTP/1.2 200 OK\r\nX: a\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n2 \t\r\nok\r\n0 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\nTransfer-Encoding: chunked\r\n\r\n2 ;a=b\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_what_is_not_quite_right_and_has_one_meaning_is_understood(
    loop: asyncio.AbstractEventLoop, data: bytes
) -> None:
    connection, _ = opened(loop)

    connection.data_received(data)

    now(connection.answered())
    assert (connection.status, connection.headers[0], now(connection.read())) == (200, (b"x", b"a"), b"ok")
    assert connection.is_complete
    assert connection.rest()


def test_what_comes_behind_a_last_answer_is_no_answer(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)

    connection.data_received(head(200, [(b"Connection", b"close"), (b"Content-Length", b"2")]) + b"ok" + head(200, []))

    now(connection.answered())
    assert now(connection.read()) == b"ok"
    assert connection.is_complete
    assert not connection.rest()


def test_a_header_without_an_end_is_refused_before_it_fills_the_memory(loop: asyncio.AbstractEventLoop) -> None:
    connection, wire = opened(loop)
    connection.data_received(b"HTTP/1.1 200 OK\r\nX-Endless: ")

    for _ in range(HEAD_BYTES // 1000 + 1):
        connection.data_received(b"a" * 1000)

    with pytest.raises(AnswerMalformed):
        now(connection.answered())
    assert wire.is_aborted


def test_a_trailer_without_an_end_is_refused_before_it_fills_the_memory(loop: asyncio.AbstractEventLoop) -> None:
    connection, wire = opened(loop)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Endless: ")

    for _ in range(HEAD_BYTES // 1000 + 1):
        connection.data_received(b"a" * 1000)

    assert now(connection.read()) == b"a"
    with pytest.raises(AnswerMalformed):
        now(connection.read())
    assert wire.is_aborted


def test_a_length_or_an_encoding_may_have_blanks_around_it(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)

    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding:  Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n")

    assert result(connection).body == b"a"


def test_trailers_never_become_headers(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)
    connection.data_received(head(200, [(b"Transfer-Encoding", b"chunked")]) + b"0\r\nSet-Cookie: a=b\r\n\r\n")

    assert result(connection).headers == [(b"transfer-encoding", b"chunked")]
    assert connection.rest()


@pytest.mark.parametrize("surplus", [b"X", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\0"])
@pytest.mark.parametrize("first", [head(200, [(b"Content-Length", b"1")]) + b"a", head(204, [])])
def test_bytes_after_the_answer_never_reach_the_next_exchange(
    loop: asyncio.AbstractEventLoop, first: bytes, surplus: bytes
) -> None:
    connection, _ = opened(loop)
    connection.data_received(first + surplus)
    assert result(connection).ending == "complete"

    assert not connection.rest()


def test_bytes_on_an_idle_connection_close_it(loop: asyncio.AbstractEventLoop) -> None:
    connection, wire = opened(loop)
    connection.data_received(head(204, []))
    assert connection.rest()

    connection.data_received(head(200, [(b"Content-Length", b"4")]) + b"evil")

    assert wire.is_aborted
    assert not connection.is_open


@pytest.mark.parametrize(
    "data",
    [
        head(200, [(b"Content-Length", b"1"), (b"Connection", b"close")]) + b"a",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    ],
)
def test_a_connection_that_the_upstream_will_close_is_not_used_again(
    loop: asyncio.AbstractEventLoop, data: bytes
) -> None:
    connection, _ = opened(loop)

    connection.data_received(data)

    assert result(connection).ending == "complete"
    assert not connection.rest()


def test_a_connection_serves_one_exchange_after_another(loop: asyncio.AbstractEventLoop) -> None:
    connection, wire = opened(loop, HEAD)
    connection.data_received(head(200, [(b"Content-Length", b"1")]))
    assert result(connection).ending == "complete"
    assert connection.rest()

    connection.start(POST, 60, 60)
    connection.data_received(head(201, [(b"Content-Length", b"1")]) + b"a")

    assert result(connection) == Result(201, [(b"content-length", b"1")], b"a", "complete")
    assert connection.rest()
    assert wire.written == HEAD.opening + POST.opening


def test_a_connection_that_rests_already_does_not_become_idle_twice(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)
    connection.data_received(head(204, []))

    assert connection.rest()
    assert not connection.rest()


def test_half_a_request_on_a_connection_means_it_is_not_used_again(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop, POST)
    connection.is_request_sent = False
    connection.data_received(head(413, [(b"Content-Length", b"0")]))

    assert result(connection).status == 413
    assert not connection.rest()


def test_a_request_that_still_waits_to_be_written_is_not_followed_by_another(
    loop: asyncio.AbstractEventLoop,
) -> None:
    connection, wire = opened(loop, POST)
    wire.unsent = 1
    connection.data_received(head(413, [(b"Content-Length", b"0")]))

    assert result(connection).status == 413
    assert not connection.rest()


def test_an_answer_that_nobody_read_to_its_end_is_not_followed_by_another(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)
    connection.data_received(head(200, [(b"Content-Length", b"1")]) + b"a")

    assert not connection.rest()


def test_a_connection_that_died_before_the_request_says_so_at_once(loop: asyncio.AbstractEventLoop) -> None:
    connection = Connection(loop)
    connection.connection_made(Wire())
    connection.connection_lost(None)

    connection.start(GET, 60, 60)

    with pytest.raises(AnswerCut):
        now(connection.answered())


def test_a_timeout_in_an_answer_that_ends_by_closing_is_no_end(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)
    connection.data_received(head(200, []) + b"half")
    assert now(connection.read()) == b"half"

    connection.fail(AnswerTimeout("silent"))
    connection.connection_lost(None)

    with pytest.raises(AnswerTimeout):
        now(connection.read())


def test_a_reset_in_an_answer_that_ends_by_closing_is_no_end(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)
    connection.data_received(head(200, []) + b"half")
    assert now(connection.read()) == b"half"

    connection.connection_lost(ConnectionResetError())

    with pytest.raises(AnswerCut):
        now(connection.read())


def test_a_kept_connection_whose_upstream_has_said_goodbye_is_not_open(loop: asyncio.AbstractEventLoop) -> None:
    connection, _ = opened(loop)
    connection.data_received(head(204, []))
    assert connection.rest()

    connection.eof_received()

    assert not connection.is_open


def test_a_slow_reader_makes_the_upstream_wait(loop: asyncio.AbstractEventLoop) -> None:
    connection, wire = opened(loop)
    connection.data_received(head(200, [(b"Content-Length", b"10000000")]))

    fed = 0
    while wire.is_reading_now:
        connection.data_received(b"a" * 65_536)
        fed += 65_536

    assert fed <= BUFFERED_BYTES + 65_536
    assert connection.deadline == float("inf")
    body = now(connection.read())
    assert isinstance(body, bytes)
    assert len(body) == fed
    assert wire.is_reading_now
    assert connection.deadline < float("inf")


def test_a_caller_who_has_not_said_a_word_of_a_body_is_not_the_upstreams_silence(
    loop: asyncio.AbstractEventLoop,
) -> None:
    connection, _ = opened(loop, POST)

    connection.await_caller()

    assert connection.deadline == float("inf")
    connection.write(b"a")
    assert connection.deadline < float("inf")


@pytest.mark.anyio
async def test_a_reader_waits_for_the_next_bytes_and_gets_them_as_they_come() -> None:
    connection, _ = opened(asyncio.get_running_loop())
    connection.data_received(head(200, [(b"Content-Length", b"3")]))

    first = asyncio.ensure_future(connection.read())
    await asyncio.sleep(0)
    connection.data_received(b"a")

    assert await first == b"a"
    connection.data_received(b"b")
    connection.data_received(b"c")
    assert await connection.read() == b"bc"
    assert await connection.read() == b""


@pytest.mark.anyio
async def test_writing_waits_until_the_upstream_takes_more_or_is_gone() -> None:
    connection, _ = opened(asyncio.get_running_loop(), POST)
    steps: list[Callable[[], Any]] = [connection.resume_writing, lambda: connection.connection_lost(None)]
    for step in steps:
        connection.pause_writing()
        waiting: Awaitable[None] = asyncio.ensure_future(connection.drain())
        await asyncio.sleep(0)
        assert not asyncio.ensure_future(waiting).done()

        step()

        await asyncio.wait_for(waiting, 20)
