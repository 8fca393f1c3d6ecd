"""How a connection to an upstream comes to stand: over TCP, over TLS, or over a Unix socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from ..config import Upstream
from ..errors import ConfigError, Problem
from .connection import Connection


async def reach(upstream: Upstream, context: ssl.SSLContext | None, make: Callable[[], Connection]) -> Connection:
    """Raises OSError, ssl.SSLError among them, or UnicodeError for a name that cannot even be asked for."""
    loop = asyncio.get_running_loop()
    if upstream.socket:
        return (await loop.create_unix_connection(make, upstream.socket))[1]
    if context is None:
        return (await loop.create_connection(make, upstream.host, upstream.port))[1]
    name = upstream.tls.server_name or upstream.host
    return (await loop.create_connection(make, upstream.host, upstream.port, ssl=context, server_hostname=name))[1]


def tls_context(upstream: Upstream) -> ssl.SSLContext | None:
    """What its certificate is checked with; None if it does not speak TLS. Raises ConfigError for unusable files."""
    if not upstream.is_tls:
        return None
    tls, field = upstream.tls, "ca"
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        field = "certificate"
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key or None, password=_no_password)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        cure = f"the files of {upstream.url} cannot be used ({why}): name readable PEM files, keys without a password"
        raise ConfigError("The TLS set-up", (Problem(f"upstreams, tls.{field}", cure),)) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")  # OpenSSL would ask for it at the terminal, and wait
