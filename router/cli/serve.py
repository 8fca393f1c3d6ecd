"""`serve`: runs the router on uvicorn."""

from __future__ import annotations

import errno
import logging
import logging.config
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from ..app import FILE_ENV, RouterApp
from ..server import ServerProtocol
from ..telemetry import TraceId
from .check import File

KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 30
BACKLOG = 2048
"""Connections that wait to be accepted."""

LOGGING = {
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
Workers = Annotated[int, typer.Option(help="processes that share the port", min=1)]


def serve(file: File = Path("routes.toml"), host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> None:
    """Serve the routes of a routes.toml and follow its changes."""
    logging.config.dictConfig(LOGGING)
    RouterApp(file)  # a file or an environment that cannot be used is said once, here, not by every worker
    os.environ[FILE_ENV] = str(file)
    listener = _listen(host, port)
    config = uvicorn.Config(
        f"{__package__.rpartition('.')[0]}.app:create_app",
        factory=True,
        workers=workers,
        http=ServerProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=LOGGING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
    )
    logging.getLogger(__name__).info("Serving %s on http://%s:%d", file, host, listener.getsockname()[1])
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # who reads where the router serves can connect at once
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        print(f"Port {port} on {host} {why}: free it, or choose another with --port.", file=sys.stderr)
        raise typer.Exit(1) from None
    listener.set_inheritable(True)
    return listener
