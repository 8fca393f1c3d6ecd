"""The bytes of a request's head for an upstream, and the headers of an answer for a caller.

Header values, paths and queries stay the caller's bytes. What is left out, both ways: hop-by-hop headers and
those that `Connection` names (RFC 9110 §7.6.1). From a caller, also everything that an upstream would believe
because only the router may say it; with `_` for `-` too, because WSGI cannot tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Headers = Sequence[tuple[bytes, bytes]]

IDENTITY = b"x-internal-identity"
IDENTITY_SECRET = b"x-identity-secret"
TRACEPARENT = b"traceparent"
FORWARDED = "strangler.forwarded"
"""The scope's key for what a trusted proxy says about the caller, as headers (see `trust.py`)."""
BAGGAGE = b"baggage"
PRIMARY = (BAGGAGE, b"strangler.role=primary")
"""Of a request that will be copied: what its upstream asks of others goes on the tape."""
SHADOW = (BAGGAGE, b"strangler.role=shadow")
"""Of a copy: its upstream keeps nothing, and what it asks of others is answered from the tape."""
LIVE_SHADOW = (BAGGAGE, b"strangler.role=shadow,strangler.effects=live")
"""Of a copy that may ask others, within the egress's budget."""

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
# Answered here (RFC 9110 §10.1.1) or written anew below.
_OURS = frozenset((b"expect", b"content-length", b"proxy-authorization", b"via"))
_ONLY_WE_SAY = frozenset((IDENTITY, IDENTITY_SECRET, b"forwarded", b"x-real-ip", TRACEPARENT, b"tracestate", BAGGAGE))
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
_NOT_FORWARDED = _HOP_BY_HOP | _OURS | _ONLY_WE_SAY


def request_head(
    method: str,
    target: bytes,
    headers: Headers,
    *,
    length: int | None,
    ours: Iterable[tuple[bytes, bytes]],
) -> bytes:
    """Request line and headers. `length`: of the body in bytes; 0 for none, -1 for chunked, None to say nothing."""
    out = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\n"]
    named = _named_by_connection(headers)
    via = b""
    for name, value in headers:
        if name in _NOT_FORWARDED or name in named:
            if name == b"via":
                via += value + b", "
            continue
        if name.startswith(b"x-forwarded-") or (b"_" in name and _is_disguised(name)):
            continue
        out += (name, b": ", value, b"\r\n")
    if length is not None:
        out.append(b"transfer-encoding: chunked\r\n" if length < 0 else b"content-length: %d\r\n" % length)
    out += (b"via: ", via, b"1.1 strangler\r\n")
    for name, value in ours:
        out += (name, b": ", value, b"\r\n")
    out.append(b"\r\n")
    return b"".join(out)


def forwarded_of(scope: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """What the router says about the caller of this request: a trusted proxy's word for it, or its own."""
    said: list[tuple[bytes, bytes]] | None = scope.get(FORWARDED)
    if said is not None:
        return list(said)
    return forwarded(scope["scheme"], scope["client"][0] if scope["client"] else "", scope["headers"])


def forwarded(scheme: str, address: str, headers: Headers) -> list[tuple[bytes, bytes]]:
    """As the router itself sees it."""
    return [
        (b"x-forwarded-for", address.encode("ascii", "replace")),
        (b"x-forwarded-proto", scheme.encode("ascii")),
        (b"x-forwarded-host", first(headers, b"host") or b""),
    ]


def answer_headers(status: int, headers: Headers) -> list[tuple[bytes, bytes]]:
    """An upstream's headers as the caller gets them: in order, repeated ones repeated."""
    named = _named_by_connection(headers)
    dropped = _HOP_BY_HOP | named if named else _HOP_BY_HOP
    # A body is impossible here; servers (uvicorn too) wait for the one that a length announces.
    if status < 200 or status in (204, 304):
        dropped |= {b"content-length"}
    return [header for header in headers if header[0] not in dropped]


def announces_body(headers: Headers) -> bool:
    """Whether a request says anything about a body, an empty one included (RFC 9112 §6)."""
    return not _FRAMING.isdisjoint(dict(headers))


def first(headers: Headers, wanted: bytes) -> bytes | None:
    """The first value of a header, or None. Names are lower case."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    for name, value in headers:
        if name == b"connection" and value not in (b"keep-alive", b"close", b"Keep-Alive", b"Close"):
            tokens = b",".join(value for name, value in headers if name == b"connection").lower().split(b",")
            return frozenset(token.strip() for token in tokens) - {b"host"}
    return frozenset()


def _is_disguised(name: bytes) -> bool:
    plain = name.replace(b"_", b"-")
    return plain in _NOT_FORWARDED or plain.startswith(b"x-forwarded-")
