"""What a single value in routes.toml may be; a ValueError says why another may not."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from . import paths
from .problems import did_you_mean

Pointers = TypeVar("Pointers", list[str], tuple[str, ...])


METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "QUERY", "PURGE", "SOURCE"),
    *("COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND"),
    *("ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "LINK", "UNLINK"),
    "MKCALENDAR",
)
"""Those that the parser knows; another may be somebody's own, for another server, unless it looks like a slip."""


class CallerKey(NamedTuple):
    """What a split goes by: the caller's `cookie:NAME`, `header:NAME`, or `address`."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


def caller_key(value: Any) -> CallerKey:
    if isinstance(value, CallerKey):
        return value
    kind, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if (kind in ("cookie", "header") and name.isascii() and name.strip()) or (kind == "address" and not colon):
        return CallerKey(kind, name.strip())
    raise ValueError('must be "cookie:NAME", "header:NAME" or "address"')


def is_upstream_name(value: str) -> bool:
    return value.replace("-", "").isalnum() and value.isascii() and value.islower()


def percent(value: float) -> float:
    if round(value, 2) != value:
        raise ValueError("may have two decimals at most, as in nginx")
    return value


def path(value: str) -> str:
    paths.parse(value)
    return value


def methods(value: list[str]) -> list[str]:
    for method in value:
        if not method.isalpha() or not method.isupper():
            raise ValueError(f'"{method}" is no method: write it in capitals, like "{method.upper()}"')
        if method not in METHODS and (meant := did_you_mean(method, METHODS)):
            raise ValueError(f'"{method}" is no method.{meant}')
    return value


def pointers(value: Pointers) -> Pointers:
    for pointer in value:
        if pointer and not pointer.startswith("/"):
            raise ValueError(f'"{pointer}" is no JSON pointer (RFC 6901): write "/{pointer}"')
    return value


def networks(value: list[str]) -> list[str]:
    for network in value:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f'"{network}" is no address or network, like "10.0.0.0/8"') from None
    return value


def address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/") or parts.query or parts.fragment:
            raise ValueError(f'"{url}" must name the socket by its whole path: "unix:/run/app.sock"')
        return url
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f'"{url}" must look like "http://127.0.0.1:8001", or https, or "unix:/app.sock"')
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f'"{url}" must end after the port: the router passes paths on as they are')
    parts.port  # noqa: B018  (raises ValueError by itself if it is no port)
    return url
