"""`egress`: runs the face between the applications and their provider, on uvicorn."""

from __future__ import annotations

import contextlib
import logging
import logging.config
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from ..errors import EvidenceError
from ..listener import BACKLOG
from ..server import ServerProtocol
from ..worker import KEEP_ALIVE_SECONDS
from .check import File
from .serve import LOGGING, Count, Host, Port, listen

DRAIN_SECONDS = 30


def egress(file: File = Path("routes.toml"), host: Host = "127.0.0.1", port: Port = 8010, workers: Count = 1) -> None:
    """Serve as the applications' LLM provider: pass on, record for shadowed exchanges, replay to their shadows."""
    try:
        from ..egress.app import FILE_ENV, EgressApp  # what it needs on top of routing is needed only here
    except ModuleNotFoundError as missing:
        raise EvidenceError(f"The egress keeps its tape with {missing.name}: pip install sqlalchemy") from None
    logging.config.dictConfig(LOGGING)
    EgressApp(file)  # a file that cannot be used is said once, here, not by every worker
    os.environ[FILE_ENV] = str(file)
    listener = listen(host, port, "--port")
    config = uvicorn.Config(
        f"{__package__.rpartition('.')[0]}.egress.app:create_app",
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
    provided = f"http://{host}:{listener.getsockname()[1]}"
    logging.getLogger(__name__).info("Serving as the provider of %s on %s", file, provided)
    if workers == 1:
        _Server(config).run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, it does not die by the signal in the end: a clean stop is status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield
