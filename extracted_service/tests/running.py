"""The service on a real socket: what httpx's in-process transport would hide (streams, cuts, leavers) shows here."""

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from .fake_provider import FakeProvider
from .identities import SigningKey
from .postgresql import execute

DEADLINE_SECONDS = 30
"""For what happens at once on a quiet machine. Whoever waits longer never waits for a machine that is only busy."""


@dataclass(frozen=True)
class Running:
    url: str
    provider: FakeProvider
    key: SigningKey
    database_url: str
    monolith: FakeProvider = field(default_factory=FakeProvider)  # plays the one that takes commands just as well
    answers_nobody: Callable[[], bool] = lambda: True

    def is_idle(self) -> bool:
        """Whether nothing is under way any more, after callers who left for example."""
        return self.answers_nobody() and not self.provider.playing and not self.monolith.playing

    def client(self, **identity: Any) -> httpx.Client:
        """A caller whom the router has introduced."""
        headers = {"X-Internal-Identity": self.key.token(**identity)}
        return httpx.Client(base_url=self.url, headers=headers, timeout=DEADLINE_SECONDS, trust_env=False)

    def post(self, path: str, **request: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, **request)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self.database_url.startswith("postgresql"):
            return [tuple(row) for row in execute(self.database_url, query)]
        with closing(sqlite3.connect(self._file)) as connection:
            return connection.execute(query).fetchall()

    def change(self, statement: str) -> None:
        if self.database_url.startswith("postgresql"):
            execute(self.database_url, statement)
            return
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute(statement)

    @property
    def _file(self) -> str:
        return self.database_url.removeprefix("sqlite:///")

    def outcomes(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT outcome FROM assistant_call ORDER BY id")]

    def connection(self) -> socket.socket:
        host, port = self.url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)

    def request_bytes(self, path: str, body: bytes = b"{}", **identity: Any) -> bytes:
        head = [
            f"POST {path} HTTP/1.1",
            "Host: helpdesk",
            f"X-Internal-Identity: {self.key.token(**identity)}",
            f"Content-Length: {len(body)}",
            "",
            "",
        ]
        return "\r\n".join(head).encode() + body


@contextmanager
def serving(app: ASGIApp) -> Iterator[tuple[str, Callable[[], bool]]]:
    """The address of the application on uvicorn, in a thread, and whether it answers nobody just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, log_config=None, lifespan="on", access_log=False, server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname()), lambda: not server.server_state.tasks
        finally:
            server.should_exit = True
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do, for at most the deadline."""
    end, pause = time.monotonic() + DEADLINE_SECONDS, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never happened"
        pause.wait(0.01)
