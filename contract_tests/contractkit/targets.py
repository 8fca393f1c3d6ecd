"""Whom a request is put to: an address, on live sockets, and what came back from there."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from router.evidence.observations import Observation, Piece

from .document import Answer

PATIENCE_SECONDS = 30.0
MOST_BYTES = 16 * 1024 * 1024
"""Of an answer's body; the rest is not read."""
_SHOWN_BYTES = 2000
_SECRET = frozenset(("authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrftoken"))


class TargetError(Exception):
    """No request can be put to it; the sentence says why."""


@dataclass(frozen=True)
class Request:
    """One request as it is sent, less who sends it."""

    method: str
    target: str
    """Path and query, percent-encoded; sent as it is written."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    is_chunked: bool = False
    """The body is sent without saying how long it is."""
    may_be_answered_early: bool = False
    """A server may answer before it has read all of it, and reset the connection; a reset can take the answer along
    (RFC 9112, 9.6), and then it is asked again."""

    @property
    def head(self) -> str:
        """In one text, names of headers in small letters."""
        headers = [*self.headers, *([("transfer-encoding", "chunked")] if self.is_chunked else [])]
        return "\n".join([f"{self.method} {self.target}", *(f"{name.lower()}: {value}" for name, value in headers)])

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def by(self, caller: Mapping[str, str]) -> Request:
        """With a caller's headers, where the request does not say otherwise; an empty value leaves one out."""
        said = {name.lower() for name, _ in self.headers}
        theirs = [(name, value) for name, value in caller.items() if name.lower() not in said]
        headers = tuple((name, value) for name, value in (*self.headers, *theirs) if value)
        return replace(self, headers=headers)

    def curl(self, site: str = "$SITE") -> str:
        """A line that repeats it. Secrets stand in it as variables of the shell."""
        words = ["curl -sS -i --path-as-is -X", shlex.quote(self.method)]
        for name, value in self.headers:
            secret = f'"{name}: ${name.upper().replace("-", "_")}"'
            words += ["-H", secret if name.lower() in _SECRET else _quoted(f"{name}: {value}")]
        if self.is_chunked:
            words += ["-H", "'Transfer-Encoding: chunked'"]
        if self.body is not None:
            long = len(self.body) > _SHOWN_BYTES
            words += ["--data-binary", f"@FILE-OF-{len(self.body)}-BYTES" if long else _quoted(self.body)]
        return " ".join([*words, f'"{site}"{_quoted(self.target)}'])


@dataclass
class Target:
    """Somebody to be held to a promise. Connections are kept; cookies are not, they are the caller's."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request that does not say otherwise: who calls."""

    def __post_init__(self) -> None:
        """Raises TargetError if the address is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TargetError(f'"{self.url}" is no address: write http://HOST:PORT, or NAME=http://HOST:PORT')
        self.url = self.url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._client = httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False)

    def send(self, request: Request) -> Observation:
        """What it answered, or why it did not. A failure is an observation, never an exception."""
        sent, began = self._built(request.by(self.headers)), time.monotonic()
        pieces: list[Piece] = []
        body = b""
        answer: httpx.Response | None = None
        error = ""
        try:
            answer = self._client.send(sent, stream=True)
            for piece in answer.iter_raw():
                body += piece
                pieces.append(Piece(time.monotonic() - began, len(body)))
                if len(body) > MOST_BYTES:
                    break
        except httpx.TransportError as failure:
            error = type(failure).__name__
        finally:
            if answer is not None:
                answer.close()
            self._client.cookies.clear()
        headers = () if answer is None else tuple((name.lower(), value) for name, value in answer.headers.raw)
        status, seconds = (0 if answer is None else answer.status_code), time.monotonic() - began
        is_cut_off = len(body) > MOST_BYTES
        return Observation(self.name, status, headers, body, tuple(pieces), seconds, error, is_cut_off)

    def _built(self, request: Request) -> httpx.Request:
        content = iter([request.body or b""]) if request.is_chunked else request.body
        target = {"target": (self._prefix + request.target).encode("ascii")}
        headers = [(name.encode(), value.encode("utf-8")) for name, value in request.headers]
        return httpx.Request(request.method, self.url + "/", headers=headers, content=content, extensions=target)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def named(texts: Iterable[str], headers: Mapping[str, str]) -> Iterator[Target]:
    """Targets from the words of a command line, `http://…` or `NAME=http://…`. Raises TargetError."""
    for number, text in enumerate(texts):
        name, equals, url = text.partition("=")
        if not equals or "/" in name:
            name, url = ("first", "second", "third", "fourth")[number] if number < 4 else f"number {number + 1}", text
        yield Target(name, url, headers)


def answer_of(observation: Observation) -> Answer:
    """As the promise reads it."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in observation.headers]
    return Answer(observation.status, headers, observation.body)


def _quoted(text: str | bytes) -> str:
    """For a shell, whatever bytes there are."""
    raw = text.encode() if isinstance(text, str) else text
    if all(32 <= byte < 127 for byte in raw):
        return shlex.quote(raw.decode())
    return "$'" + "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in raw) + "'"
