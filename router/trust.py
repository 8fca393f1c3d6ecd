"""Proxies in front of the router whose word about the caller is believed; by default there are none.

From one of them `X-Forwarded-For`, `-Proto` and `-Host` are passed on, the first with the proxy's own address put to
its end. The caller is then the last address in it that is no trusted proxy itself: what stands before that one may be
anybody's invention.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from .headers import FORWARDED, Headers, first, forwarded_of

REMEMBERED = 4096
"""So many addresses are not looked up twice."""


class Trust:
    """`believe` goes before everything else that looks at a request."""

    def __init__(self, networks: Sequence[str], *, says_forwarded: bool = False) -> None:
        """`says_forwarded`: upstreams get `Forwarded` (RFC 7239) as well."""
        self._says_forwarded = says_forwarded
        self._networks = [ip_network(network, strict=False) for network in networks]
        self.is_trusted = lru_cache(REMEMBERED)(self._looked_up)

    def believe(self, scope: MutableMapping[str, Any]) -> None:
        """If it comes from a trusted proxy, make the scope say of the caller what that proxy says."""
        peer = scope["client"][0] if scope["client"] else ""
        if self.is_trusted(peer):
            self._take_over(scope, peer)
        if self._says_forwarded:
            said = forwarded_of(scope)
            scope[FORWARDED] = [*said, (b"forwarded", _rfc7239(*(value for _, value in said)))]

    def _take_over(self, scope: MutableMapping[str, Any], peer: str) -> None:
        headers: Headers = scope["headers"]
        chain = [*_listed(headers, b"x-forwarded-for"), peer.encode()]
        schemes, hosts = _listed(headers, b"x-forwarded-proto"), _listed(headers, b"x-forwarded-host")
        if schemes and schemes[-1] in (b"http", b"https"):
            scope["scheme"] = schemes[-1].decode()
        scope["client"] = (self._caller(chain), 0)
        scope[FORWARDED] = [
            (b"x-forwarded-for", b", ".join(chain)),
            (b"x-forwarded-proto", scope["scheme"].encode()),
            (b"x-forwarded-host", hosts[-1] if hosts else first(headers, b"host") or b""),
        ]

    def _caller(self, chain: list[bytes]) -> str:
        """The nearest that is not trusted; the last one before whatever is no address."""
        caller = ""
        for said in reversed(chain):
            address = _plain(said)
            if not address:
                break
            caller = address
            if not self.is_trusted(address):
                break
        return caller

    def _looked_up(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        plain = getattr(found, "ipv4_mapped", None) or found
        return any(plain in network for network in self._networks)


def _rfc7239(chain: bytes, scheme: bytes, host: bytes) -> bytes:
    """The same in one header. What is no address becomes `unknown` (§6.2), IPv6 is put in brackets and quotes (§6)."""
    elements = []
    for said in chain.split(b", "):
        address = _plain(said) or "unknown"
        elements.append(b"for=" + (f'"[{address}]"' if ":" in address else address).encode())
    if host:
        elements[0] += b';host="%b"' % host.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    elements[0] += b";proto=" + scheme
    return b", ".join(elements)


def _listed(headers: Headers, wanted: bytes) -> list[bytes]:
    values = b",".join(value for name, value in headers if name == wanted)
    return [part for part in (part.strip() for part in values.split(b",")) if part]


def _plain(said: bytes) -> str:
    """An address without the port that some proxies write behind it; empty if it is none."""
    text = said.decode("ascii", "replace")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
