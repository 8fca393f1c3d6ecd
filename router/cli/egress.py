"""`egress`: runs the face between the applications and their provider, in one process or in several."""

from __future__ import annotations

import functools
import logging
import logging.config
import socket
import tempfile
from pathlib import Path

from ..errors import EvidenceError
from ..worker import Stopping, Worker
from .check import File
from .serve import LOGGING, Count, Host, Port, listen, run

STOPPING = Stopping(delay_seconds=0, drain_seconds=30)


def egress(file: File = Path("routes.toml"), host: Host = "127.0.0.1", port: Port = 8010, workers: Count = 1) -> None:
    """Serve as the applications' LLM provider: pass on, record for shadowed exchanges, replay to their shadows."""
    try:
        from ..egress.app import EgressApp  # what it needs on top of routing is needed only here
    except ModuleNotFoundError as missing:
        raise EvidenceError(f"The egress keeps its tape with {missing.name}: pip install sqlalchemy") from None
    logging.config.dictConfig(LOGGING)
    EgressApp(file)  # a file that cannot be used is said once, here, not by every worker
    listener = listen(host, port, "--port")
    with tempfile.TemporaryDirectory(prefix="egress-") as folder:
        provided = f"http://{host}:{listener.getsockname()[1]}"
        logging.getLogger(__name__).info("Serving as the provider of %s on %s", file, provided)
        run(workers, functools.partial(_work, file, Path(folder)), listener, Path(folder), STOPPING)


def _work(file: Path, folder: Path, number: int, listener: socket.socket) -> None:
    """A worker's life, in its own process or in this one."""
    from ..egress.app import EgressApp

    logging.config.dictConfig(LOGGING)
    Worker(EgressApp(file), number, folder / f"{number}.sock", STOPPING).run([listener])
