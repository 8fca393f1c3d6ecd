"""Clients and ports on this machine: what a test does a thousand times must cost nearly nothing."""

from __future__ import annotations

import random
import socket
import ssl
from contextlib import suppress
from functools import cache
from typing import Any

import httpx

PATIENCE_SECONDS = 60
"""Nobody here takes so long, however busy the machine is."""
PORTS = range(12_000, 20_000)
"""Below the range that systems take for outgoing connections: those could be gone before a process listens there."""


def client(**options: Any) -> httpx.Client:
    """Without the machine's certificates, which nobody needs here, and which take 20 ms to load."""
    options = {"timeout": PATIENCE_SECONDS, **options}
    return httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, **options)


@cache
def asking() -> httpx.Client:
    """For a question now and then: it keeps no connection, which a process would be found to hold."""
    return client(limits=httpx.Limits(max_keepalive_connections=0))


def free_port() -> int:
    for port in random.sample(PORTS, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"100 ports between {PORTS.start} and {PORTS.stop} are all in use")
