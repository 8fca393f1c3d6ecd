"""What a request's head may say, beyond what llhttp in its strict mode checks: decided by pure functions.

One Host, and the same one in an absolute target; one transfer coding; HTTP/1. Whatever two readers could take for two
different requests is refused.
"""

from __future__ import annotations

import re

from .headers import Headers

_HOST = re.compile(  # RFC 3986 §3.2.2, no user; within brackets also what IPv6 zones (RFC 6874) and its successors need
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[A-Za-z0-9._~!$&'()*+,;=%:-]+\])(?::[0-9]*)?"
)
_ABSOLUTE = re.compile(rb"(https?)://([^/?]*)(.*)", re.IGNORECASE)
_LENGTH_DIGITS = 18
"""Of a Content-Length: more is no body but a way to make the router and an upstream count differently."""
_LOOKED_AT = frozenset((b"host", b"expect", b"content-length", b"transfer-encoding"))


class Refused(Exception):
    """The head is not to be acted upon; `status` is what the caller gets."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


def checked(
    method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]], here: tuple[str, int] | None
) -> tuple[bytes, bool]:
    """The target in origin form, and whether the caller waits for a 100. Raises Refused.

    `headers` (names in lower case) get a Host if an HTTP/1.0 caller sent none: from an absolute target, or else
    `here`, the address that was connected to (RFC 9112 §3.3).
    """
    if not version.startswith("1."):
        raise Refused(505)
    if method == "CONNECT":
        raise Refused(501)  # whatever follows could be a tunnel, or another request
    is_old = version == "1.0"
    host, expects_continue = _looked_at(headers, is_old=is_old)
    if host is None and not is_old:
        raise Refused(400)
    if target.startswith(b"/") or (target == b"*" and method == "OPTIONS"):
        if b"#" in target:
            raise Refused(400)
        if host is None:
            headers.append((b"host", _authority(here)))
        return target, expects_continue
    scheme, authority, target = _split(target)
    if host is None:
        headers.append((b"host", authority))
    elif _site(scheme, host) != _site(scheme, authority):
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
            if len(value) > _LENGTH_DIGITS and len(value.lstrip(b"0")) > _LENGTH_DIGITS:
                raise Refused(413)
        elif is_old:
            raise Refused(400)  # RFC 9112 §6.1
        elif value.lower() != b"chunked":
            is_last_chunked = value.lower().rpartition(b",")[2].strip() == b"chunked"
            raise Refused(501 if is_last_chunked else 400)  # RFC 9112 §6.1 and §6.3
    return host, expects_continue


def _split(target: bytes) -> tuple[bytes, bytes, bytes]:
    """Scheme, authority and origin form of an absolute target (RFC 9112 §3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or b"#" in target or not _HOST.fullmatch(absolute[2]):
        raise Refused(400)
    return absolute[1].lower(), absolute[2], absolute[3] if absolute[3].startswith(b"/") else b"/" + absolute[3]


def _authority(here: tuple[str, int] | None) -> bytes:
    if here is None:
        raise Refused(400)
    address, port = here
    return (f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode("ascii")


def _site(scheme: bytes, authority: bytes) -> bytes:
    """What is the same for two ways of writing one authority (RFC 9110 §4.2.3)."""
    name, _, port = authority.lower().rpartition(b":")
    return name if name and port in (b"", b"80" if scheme == b"http" else b"443") else authority.lower()


def is_other_protocol(method: str, target: bytes, headers: Headers, said: bytes | bytearray) -> bool:
    """Whether it is a request of RTSP or ICE, which llhttp takes for one of HTTP with the same version.

    `said` has its head in it, and what came before and behind: a line of a body is no request line.
    """
    line = rb"%b +%b +(?:RTSP|ICE)/[0-9.]+ *\r\n" % (method.encode(), re.escape(target))
    first = re.escape(headers[0][0]) + rb":" if headers else rb"\r\n"
    return re.search(rb"(?m)^%b(?i:%b)" % (line, first), said) is not None


def is_websocket_offer(method: str, version: str, headers: Headers) -> bool:
    """RFC 6455 §4.1: a GET without a body, and not of HTTP/1.0 (RFC 9110 §7.8)."""
    names = dict(headers)
    has_body = names.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in names
    return method == "GET" and version != "1.0" and names.get(b"upgrade", b"").lower() == b"websocket" and not has_body
