"""`serve`: runs the router, in one process or in several, with the operators' address beside it."""

from __future__ import annotations

import errno
import functools
import logging
import logging.config
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from ..admin import Admin
from ..app import FILE_ENV, RouterApp
from ..listener import open_listener
from ..measurements import Measurements
from ..telemetry import TraceId
from ..worker import Stopping, Worker
from ..workers import Work, Workers
from .check import File

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"trace": {"()": TraceId}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s trace=%(trace_id)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["trace"]}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {"uvicorn.error": {"level": "WARNING"}},
}
"""For every worker process alike."""

Host = Annotated[str, typer.Option(help="the address to listen on")]
Port = Annotated[int, typer.Option(help="0 takes a free one and says which", min=0, max=65535)]
Count = Annotated[int, typer.Option("--workers", help="processes that share the port", min=1)]
AdminAddress = Annotated[
    str, typer.Option("--admin", metavar="HOST:PORT", help="where operators ask; nowhere, if left out")
]
Drain = Annotated[int, typer.Option("--drain-seconds", help="how long a stop waits for what is under way", min=0)]
Delay = Annotated[float, typer.Option("--close-after", help="seconds from a stop until no more is taken", min=0)]


def serve(
    file: File = Path("routes.toml"),
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Count = 1,
    admin: AdminAddress = "",
    drain_seconds: Drain = 30,
    close_after: Delay = 0,
) -> None:
    """Serve the routes of a routes.toml and follow its changes."""
    logging.config.dictConfig(LOGGING)
    RouterApp(file)  # a file or an environment that cannot be used is said once, here, not by every worker
    os.environ[FILE_ENV] = str(file)
    listener = listen(host, port, "--port")
    stopping = Stopping(close_after, drain_seconds)
    with tempfile.TemporaryDirectory(prefix="router-") as folder:
        work = functools.partial(_work, file, Path(folder), stopping, bool(admin))
        operators = _operators(admin, Path(folder), workers, file) if admin else None
        logging.getLogger(__name__).info("Serving %s on http://%s:%d", file, host, listener.getsockname()[1])
        run(workers, work, listener, Path(folder), stopping)
        if operators:
            operators.stop()


def run(count: int, work: Work, listener: socket.socket, ears: Path, stopping: Stopping) -> None:
    """Until they were stopped: one in this process, several in theirs."""
    if count == 1:
        work(0, listener)
    else:
        Workers(count, work, listener, ears, sum(stopping)).run()


def _work(
    file: Path, folder: Path, stopping: Stopping, is_measured: bool, number: int, listener: socket.socket
) -> None:
    """A worker's life, in its own process or in this one."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the worker can do what it asks for
    logging.config.dictConfig(LOGGING)
    app = RouterApp(file, measurements=Measurements() if is_measured else None, spare=folder / "routes.toml")
    ear = folder / f"{number}.sock"
    Worker(app, number, ear, stopping, app.standing, app.reload.ask).run([listener])


def _operators(address: str, folder: Path, workers: int, file: Path) -> Admin:
    host, port = split_address(address)
    listener = listen(host, port, "--admin")
    admin = Admin(listener, folder, workers, file)
    admin.start()
    logging.getLogger(__name__).info("Operators ask on http://%s:%d", host, listener.getsockname()[1])
    return admin


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`."""
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(f'"{address}" is no address: write HOST:PORT, such as 127.0.0.1:8099')
    return host.strip("[]"), int(port)


def listen(host: str, port: int, option: str) -> socket.socket:
    """Raises Exit, after saying why, if the port cannot be had; `option` is the one that would name another."""
    try:
        return open_listener(host, port)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        print(f"Port {port} on {host} {why}: free it, or choose another with {option}.", file=sys.stderr)
        raise typer.Exit(1) from None
