"""Which ports the stack uses, whether they are free, and who holds those that are not."""

import atexit
import random
import socket
from dataclasses import dataclass

import psutil

OFFSETS = {
    "router": 0,
    "legacy": 1,
    "extracted": 2,
    "identity": 3,
    "egress": 10,
    "candidate": 12,
    "provider": 20,
    "postgres": 32,
    "admin": 99,  # of the router
}
BACKLOG = 128
FREE_RANGE = range(20_000, 32_000)


@dataclass(eq=False)  # not frozen: whoever raises an exception sets its traceback
class PortTaken(Exception):
    """A port of the stack is in use."""

    port: int
    process: str
    holder: str | None

    def __str__(self) -> str:
        by = f" by {self.holder}" if self.holder else ""
        return (
            f"Port {self.port}, which {self.process} needs, is in use{by}. "
            f"Stop that process, or choose other ports: --port-base 9000 (make demo ARGS='--port-base 9000')."
        )


def ports_from(base: int) -> dict[str, int]:
    """The port of each process; base 0 looks for free ones."""
    if base == 0:
        return _free_ports(list(OFFSETS))
    return {process: base + offset for process, offset in OFFSETS.items()}


def check_free(ports: dict[str, int]) -> None:
    for process, port in ports.items():
        try:
            listening_socket(port).close()
        except OSError:
            raise PortTaken(port, process, holder_of(port)) from None


def holder_of(port: int) -> str | None:
    """The process that listens there, if the system tells."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                return f"process {connection.pid}"
    return None


def listening_socket(port: int) -> socket.socket:
    """A socket on loopback; OSError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _free_ports(names: list[str]) -> dict[str, int]:
    """Below the range that systems take for outgoing connections: those could be gone before the process starts."""
    ports: dict[str, int] = {}
    candidates = iter(random.sample(FREE_RANGE, 500))
    for name in names:
        ports[name] = next(port for port in candidates if _is_taken(port))
    return ports


def _is_taken(port: int) -> bool:
    """Whether the port was free, and is ours now as long as this process lives.

    A stack that starts at the same time would find it free, too, until the process listens. So whoever takes a port
    takes the UDP port of the same number first: nobody needs that one, and the system gives it to one alone.
    """
    mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mark.bind(("127.0.0.1", port))
        listening_socket(port).close()
    except OSError:
        mark.close()
        return False
    atexit.register(mark.close)
    return True
