"""Real processes and sockets for the tests that need them: a scripted provider, gunicorn, the jobs worker."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
DEADLINE_SECONDS = 60  # a busy machine needs many seconds to start Django
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

Script = Callable[[socket.socket], None]


class Provider:
    """Reads one request from each connection and then follows the script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self.called = threading.Event()
        self.hung_up = threading.Event()

    def serve(self) -> None:
        with suppress(OSError):  # the listener was closed: the test is over
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            _read_request(connection)
            self.called.set()
            try:
                self._script(connection)
            except OSError:
                self.hung_up.set()


def _read_request(connection: socket.socket) -> None:
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


@contextmanager
def provider(script: Script) -> Iterator[Provider]:
    running = Provider(script)
    thread = threading.Thread(target=running.serve, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.close()
        thread.join(DEADLINE_SECONDS)


@contextmanager
def process(command: list[str], environment: dict[str, str], **more) -> Iterator[subprocess.Popen]:
    running = subprocess.Popen([sys.executable, *command], cwd=PROJECT, env={**os.environ, **environment}, **more)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(DEADLINE_SECONDS)


@contextmanager
def gunicorn(environment: dict[str, str]) -> Iterator[int]:
    """The monolith as it is run, with one sync worker. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        command = ["-m", "gunicorn", "legacy_app.wsgi:application", "--workers", "1", "--bind", f"fd://{fd}"]
        with process(command, environment, pass_fds=[fd], stderr=subprocess.DEVNULL):
            yield port


def rows(database: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(database, timeout=DEADLINE_SECONDS)) as connection:
        return connection.execute(query).fetchall()


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database, timeout=DEADLINE_SECONDS)) as connection, connection:
        connection.execute(statement)


def eventually(true: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < until, "It did not become true in time."
        time.sleep(0.02)
