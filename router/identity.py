"""Who is calling: the monolith is asked, and its answer is carried to the extracted upstream as a signed token.

The router never reads a session and never holds a key. It sends the caller's credentials to the monolith, which
checks them and the CSRF token with its own code, and returns a short-lived token for one audience. Whatever else
happens (no answer, a strange answer) the request fails: it never becomes anonymous.

Only the token of a safe request is remembered, for seconds, under all credentials that it was given for; requests
with the same credentials that come meanwhile wait for the same answer. An unsafe request always asks, because its
CSRF token must be checked; and so does everybody after an answer that changed the caller's cookies.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .config import Identity
from .errors import IdentityUnavailable, UpstreamError
from .headers import IDENTITY_SECRET, Headers, answer_headers, request_head
from .upstream import Connection, Pool, Request

BODY_BYTES = 65_536
"""The longest answer of the exchange that is read."""

REMEMBERED = 10_000
"""So many tokens are remembered at the most; the oldest goes first."""

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))

REFUSALS = (400, 401, 403)
"""What the monolith would say to the request itself: its Host is unknown, nobody is signed in, it may not."""

_CREDENTIALS = frozenset((b"cookie", b"authorization", b"origin", b"referer", b"x-csrftoken", b"host"))


class Token(NamedTuple):
    """A verified caller: the token for the upstream, and the cookies that the monolith set while it looked."""

    value: bytes
    lasts_seconds: float
    set_cookies: list[tuple[bytes, bytes]]


class Refusal(NamedTuple):
    """What the monolith says to a request that it refuses, to be passed on as it is; the service sees nothing."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Exchange:
    """Session in, token out. `pool` leads to the monolith, which knows the router by `secret`."""

    def __init__(self, identity: Identity, secret: bytes, pool: Pool) -> None:
        self.upstream = identity.upstream
        self.path = identity.path.encode("ascii")
        self._secret = secret
        self._pool = pool
        self._timeout_seconds = identity.timeout_seconds
        self._remember_seconds = identity.remember_seconds
        self._remembered: dict[bytes, tuple[float, Token]] = {}
        self._under_way: dict[bytes, asyncio.Task[Token | Refusal]] = {}

    async def ask(
        self, method: str, headers: Headers, audience: str, ours: Iterable[tuple[bytes, bytes]]
    ) -> Token | Refusal:
        """Raises IdentityUnavailable if the monolith gives neither a token nor one of REFUSALS in time."""
        if method not in SAFE_METHODS or not self._remember_seconds:
            return await self._exchange(method, headers, audience, ours)
        key = _key(headers, audience)
        until, token = self._remembered.get(key, (0.0, None))
        if token is not None and until > asyncio.get_running_loop().time():
            return token
        asking = self._under_way.get(key)
        if asking is None:
            # A task of its own: the others still want the answer when the first of them leaves.
            asking = asyncio.create_task(self._exchange(method, headers, audience, ours))
            self._under_way[key] = asking
            asking.add_done_callback(partial(self._answered, key))
        return await asyncio.shield(asking)

    def _answered(self, key: bytes, asking: asyncio.Task[Token | Refusal]) -> None:
        del self._under_way[key]
        if asking.cancelled() or asking.exception() is not None:
            return
        answer = asking.result()
        if isinstance(answer, Refusal) or answer.set_cookies:
            return
        seconds = min(self._remember_seconds, answer.lasts_seconds / 2)
        self._remembered.pop(key, None)
        self._remembered[key] = (asking.get_loop().time() + seconds, answer)
        if len(self._remembered) > REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    async def _exchange(
        self, method: str, headers: Headers, audience: str, ours: Iterable[tuple[bytes, bytes]]
    ) -> Token | Refusal:
        request = Request(self._opening(method, headers, audience, ours), is_head=False, is_replayable=True)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                connection = await self._pool.answered(await self._pool.connect(request), request)
                return await self._read(connection)
        except (UpstreamError, TimeoutError) as error:
            raise IdentityUnavailable(f"the identity exchange failed: {error!r}") from error

    def _opening(self, method: str, headers: Headers, audience: str, ours: Iterable[tuple[bytes, bytes]]) -> bytes:
        credentials = [(name, value) for name, value in headers if name in _CREDENTIALS]
        said_by_us = [
            (IDENTITY_SECRET, self._secret),
            (b"x-original-method", method.encode("ascii")),
            (b"x-identity-audience", audience.encode("ascii")),
            *ours,
        ]
        return request_head("POST", self.path, credentials, length=0, ours=said_by_us)

    async def _read(self, connection: Connection) -> Token | Refusal:
        body = b""
        try:
            while chunk := await connection.read():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise IdentityUnavailable("the answer of the identity exchange is too long")
        finally:
            self._pool.give_back(connection)
        headers = answer_headers(connection.status, connection.headers)
        if connection.status in REFUSALS:
            return Refusal(connection.status, headers, body)
        if connection.status != 200:
            raise IdentityUnavailable(f"the identity exchange answered {connection.status}")
        return _token(body, [(name, value) for name, value in headers if name == b"set-cookie"])


def is_same_path(raw_path: bytes, path: bytes) -> bool:
    """Whether an application takes the caller's bytes for this plain path, percent-encoded or not."""
    return raw_path == path or (b"%" in raw_path and unquote_to_bytes(raw_path) == path)


def _key(headers: Headers, audience: str) -> bytes:
    """Stands for everything that the monolith's answer to a safe request depends on; tells nothing about it."""
    digest = hashlib.sha256(audience.encode())
    for name, value in headers:
        if name in (b"cookie", b"authorization", b"host"):
            digest.update(b"\n%b:%d:" % (name, len(value)))
            digest.update(value)
    return digest.digest()


def _token(body: bytes, set_cookies: list[tuple[bytes, bytes]]) -> Token:
    try:
        answer: Any = json.loads(body)
        token, lasts_seconds = answer["token"].encode("ascii"), float(answer.get("expires_in", 0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IdentityUnavailable("the identity exchange answered without a token") from None
    if not token or not token.replace(b".", b"").replace(b"-", b"").replace(b"_", b"").isalnum():
        raise IdentityUnavailable("the identity exchange answered with something that is no token")
    return Token(bytes(token), lasts_seconds, set_cookies)
