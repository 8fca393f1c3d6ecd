"""Who is calling: the monolith is asked, and its answer is carried to the extracted upstream as a signed token.

The router never reads a session and never holds a key. It sends the caller's credentials to the monolith, which
checks them and the CSRF token with its own code, and returns a short-lived token for one audience. Whatever else
happens (no answer, a strange answer) the request fails: it never becomes anonymous, and nothing is remembered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .config import Identity
from .errors import IdentityUnavailable, UpstreamError
from .headers import IDENTITY_SECRET, Headers, answer_headers, request_head
from .upstream import Connection, Pool, Request

BODY_BYTES = 65_536
"""The longest answer of the exchange that is read."""

_CREDENTIALS = frozenset((b"cookie", b"authorization", b"origin", b"referer", b"x-csrftoken", b"host"))


class Token(NamedTuple):
    """A verified caller: the token for the upstream, and the cookies that the monolith set while it looked."""

    value: bytes
    set_cookies: list[tuple[bytes, bytes]]


class Refusal(NamedTuple):
    """The monolith's 401 or 403, to be passed on as it is; the extracted upstream sees nothing of the request."""

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

    async def ask(
        self, method: str, headers: Headers, audience: str, ours: Iterable[tuple[bytes, bytes]]
    ) -> Token | Refusal:
        """Raises IdentityUnavailable if the monolith does not answer 200, 401 or 403 in time."""
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
        if connection.status in (401, 403):
            return Refusal(connection.status, headers, body)
        if connection.status != 200:
            raise IdentityUnavailable(f"the identity exchange answered {connection.status}")
        return Token(_token(body), [(name, value) for name, value in headers if name == b"set-cookie"])


def is_same_path(raw_path: bytes, path: bytes) -> bool:
    """Whether an application takes the caller's bytes for this plain path, percent-encoded or not."""
    return raw_path == path or (b"%" in raw_path and unquote_to_bytes(raw_path) == path)


def _token(body: bytes) -> bytes:
    try:
        answer: Any = json.loads(body)
        token = answer["token"].encode("ascii")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IdentityUnavailable("the identity exchange answered without a token") from None
    if not token or not token.replace(b".", b"").replace(b"-", b"").replace(b"_", b"").isalnum():
        raise IdentityUnavailable("the identity exchange answered with something that is no token")
    return bytes(token)
