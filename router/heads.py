"""What a request's head may say, beyond what llhttp in its strict mode checks: decided by pure functions.

One Host, and the same one in an absolute target; one transfer coding; HTTP/1.0 or 1.1. Whatever two readers could
take for two different requests is refused.
"""

from __future__ import annotations

import re

from .headers import Headers

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")  # RFC 3986 §3.2.2, no user
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)
_LENGTH_DIGITS = 18
"""Of a Content-Length: more is no body but a way to make the router and an upstream count differently."""
_LOOKED_AT = frozenset((b"host", b"expect", b"content-length", b"transfer-encoding"))


class Refused(Exception):
    """The head is not to be acted upon; `status` is what the caller gets."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


def checked(method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bool]:
    """The target in origin form, and whether the caller waits for a 100. Raises Refused.

    `headers` (names in lower case) get a Host if an HTTP/1.0 caller named it only in an absolute target.
    """
    if version not in ("1.1", "1.0"):
        raise Refused(505)
    host, expects_continue = _looked_at(headers, is_old=version == "1.0")
    if host is None and version == "1.1":
        raise Refused(400)
    if target.startswith(b"/"):
        if b"#" in target:
            raise Refused(400)
        return target, expects_continue
    if target == b"*" and method == "OPTIONS":
        return target, expects_continue
    authority, target = _split(target)
    if host is None:
        headers.append((b"host", authority))
    elif host.lower() != authority.lower():
        raise Refused(400)  # two sites at once: which of them is meant depends on who reads it
    return target, expects_continue


def _looked_at(headers: Headers, *, is_old: bool) -> tuple[bytes | None, bool]:
    host: bytes | None = None
    expects_continue = False
    for name, value in headers:
        if name not in _LOOKED_AT:
            continue
        if name == b"host":
            if host is not None or not _HOST.fullmatch(value):
                raise Refused(400)  # a second one could mean another site to whoever reads it (RFC 9112 §3.2)
            host = value
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue" and not is_old
        elif name == b"content-length":
            if len(value) > _LENGTH_DIGITS:
                raise Refused(413)
        elif is_old:
            raise Refused(400)  # RFC 9112 §6.1
        elif value.lower() != b"chunked":
            is_last_chunked = value.lower().rpartition(b",")[2].strip() == b"chunked"
            raise Refused(501 if is_last_chunked else 400)  # RFC 9112 §6.1 and §6.3
    return host, expects_continue


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Authority and origin form of an absolute target (RFC 9112 §3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or b"#" in target or not _HOST.fullmatch(absolute[1]):
        raise Refused(400)
    return absolute[1], absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]


def is_other_protocol(method: str, target: bytes, head: bytes | bytearray) -> bool:
    """Whether it is a request of RTSP or ICE, which llhttp takes for one of HTTP with the same version."""
    return re.search(rb"(?m)^%b +%b +(?:RTSP|ICE)/" % (method.encode(), re.escape(target)), head) is not None


def is_websocket_offer(method: str, headers: Headers) -> bool:
    """RFC 6455 §4.1: a GET without a body."""
    names = dict(headers)
    has_body = b"content-length" in names or b"transfer-encoding" in names
    return method == "GET" and names.get(b"upgrade", b"").lower() == b"websocket" and not has_body
