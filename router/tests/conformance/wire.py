"""HTTP/1.1 messages as bytes: read strictly, kept as they came. A parser of the suite's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Headers = list[tuple[bytes, bytes]]

END = b"\r\n\r\n"


@dataclass(eq=False)
class Message:
    """A head, and what followed it."""

    head: bytes
    body: bytes = b""
    """Without its chunk framing."""
    trailers: Headers = field(default_factory=list)
    is_whole: bool = False

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def headers(self) -> Headers:
        return fields(self.head.removesuffix(END).split(b"\r\n")[1:])

    def values(self, wanted: bytes) -> list[bytes]:
        """The values of a header, as they came."""
        return [value for name, value in self.headers if name.lower() == wanted.lower()]


class Answer(Message):
    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])


class Asked(Message):
    connection = 0
    """The number of the origin's connection that it came on."""
    is_left = False
    """The connection ended while it was being answered."""

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    @property
    def method(self) -> bytes:
        return self.line.split(b" ")[0]


def fields(lines: list[bytes]) -> Headers:
    return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]


def is_chunked(message: Message) -> bool:
    return any(b"chunked" in value.lower() for value in message.values(b"transfer-encoding"))


def answers_in(data: bytes, methods: list[bytes], *, is_ended: bool) -> tuple[list[Answer], bytes]:
    """The answers that a caller has got, interim ones among them, and the bytes that are none (yet).

    An answer that has begun is among them with `is_whole` False.
    """
    answers: list[Answer] = []
    asked = list(methods)
    while END in data:
        end = data.index(END) + len(END)
        answer, data = Answer(data[:end]), data[end:]
        if not re.match(rb"HTTP/1\.[01] \d\d\d", answer.head):
            return answers, answer.head + data
        answers.append(answer)
        if 100 <= answer.status <= 199 and answer.status != 101:
            answer.is_whole = True
            continue
        method = asked.pop(0) if asked else b"GET"
        data = _with_body(answer, data, method, is_ended=is_ended)
        if not answer.is_whole:
            return answers, b""
    return answers, data


def _with_body(answer: Answer, data: bytes, method: bytes, *, is_ended: bool) -> bytes:
    """Fill in the body and return what is left (RFC 9112 §6.3)."""
    lengths = answer.values(b"content-length")
    if method == b"HEAD" or answer.status in (101, 204, 304):
        answer.is_whole = True
        return data
    if is_chunked(answer):
        return dechunk(answer, data)
    if lengths:
        length = int(lengths[0])
        answer.body, answer.is_whole = data[:length], len(data) >= length
        return data[length:]
    answer.body, answer.is_whole = data, is_ended
    return b""


def dechunk(message: Message, data: bytes) -> bytes:
    """Fill in body and trailers from chunked bytes and return what is left; not whole if they end early."""
    while True:
        line, found, rest = data.partition(b"\r\n")
        size = line.partition(b";")[0]
        if not found or not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
            return b""
        if int(size, 16) == 0:
            return _with_trailers(message, rest)
        chunk, rest = rest[: int(size, 16)], rest[int(size, 16) :]
        message.body += chunk
        if not rest.startswith(b"\r\n"):
            return b""
        data = rest[2:]


def _with_trailers(message: Message, data: bytes) -> bytes:
    if data.startswith(b"\r\n"):
        message.is_whole = True
        return data[2:]
    block, found, rest = data.partition(END)
    if found:
        message.trailers, message.is_whole = fields(block.split(b"\r\n")), True
    return rest
