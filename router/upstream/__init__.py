"""One HTTP/1.1 connection to an upstream, and the pool around it."""

from .connection import Connection, Request
from .pool import Pool
from .reach import tls_context

__all__ = ["Connection", "Pool", "Request", "tls_context"]
