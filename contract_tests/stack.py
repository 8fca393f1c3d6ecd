"""The running stack as a contract test sees it: addresses, logins, and one word in routes.toml."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from contract_tests import database
from contract_tests.loopback import PATIENCE_SECONDS, asking, free_port

ROOT = Path(__file__).parents[1]
START_SECONDS = 300
FILLED = "STACKS_FILLED"
"""In the environment: a folder for a filled database, so that not every stack of a run fills its own."""
LOOK_AGAIN_SECONDS = 0.02


class StackError(Exception):
    """The stack did not start or did not follow; the message holds what it said."""


@dataclass(frozen=True)
class Stack:
    """Where everything is. `routes` is the file that this stack's routers serve."""

    router: str
    admins: tuple[str, ...]  # where each router tells operators how it stands
    provider: str
    routes: Path
    database_url: str
    legacy: str  # the monolith itself, without the router
    extracted: str = ""  # the service itself
    candidate: str = ""  # the faulty candidate, if there is one
    pids: Mapping[str, int] = field(default_factory=dict)

    @property
    def traces(self) -> Path:
        """The file that every process appends its spans to."""
        return self.routes.with_name("traces.jsonl")

    def move(self, stage: str, percent: float = 50) -> None:
        """Move every route that has two sides to a stage, and wait until the routers have taken it over."""
        text = self.routes.read_text("utf-8")
        # Only routes that can be split: any other exists on one side alone, and stays there.
        text = re.sub(r'(?m)^(stage\s*=\s*)"\w+"(?=\nsplit)', rf'\g<1>"{stage}"', text)
        self.serve(re.sub(r"(percent\s*=\s*)[\d.]+", rf"\g<1>{percent}", text))

    def serve(self, text: str) -> None:
        """Make this the routes, and wait until every worker of every router has taken them over."""
        draft = self.routes.with_name(f".{self.routes.name}")
        draft.write_text(text, "utf-8")
        draft.replace(self.routes)
        table = hashlib.sha256(text.encode()).hexdigest()[:12]  # as `status` names it
        self._wait(lambda: all(_table_of(admin) == table for admin in self.admins), f"table {table}")

    @property
    def evidence_url(self) -> str:
        """The database of the comparisons and the tape."""
        found = tomllib.loads(self.routes.read_text("utf-8"))["evidence"]["url"]
        return str(found)

    @contextmanager
    def another(self, name: str, *more: str, **environment: str) -> Iterator[Another]:
        """The same process of the stack once more, on ports of its own."""
        first = psutil.Process(self.pids[name])
        port, admin = free_port(), free_port()
        command = first.cmdline()
        command[command.index("--port") + 1] = str(port)
        if "--admin" in command:
            command[command.index("--admin") + 1] = f"127.0.0.1:{admin}"
        log = self.routes.with_name(f"another-{name}.log").open("w")
        process = subprocess.Popen(
            [*command, *more], env=first.environ() | environment, cwd=first.cwd(), stdout=log, stderr=log
        )
        try:
            self._wait(lambda: _accepts(port) or process.poll() is not None, f"another {name}", START_SECONDS)
            yield Another(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", process.pid)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)
            log.close()

    def pace(self, latency_seconds: float, tokens_per_second: float) -> None:
        """How long the provider takes to the first token, and from there on; for an embedding as for a first token."""
        settings = {
            "latency_seconds": latency_seconds,
            "tokens_per_second": tokens_per_second,
            "embedding_latency_seconds": latency_seconds,
        }
        asking().put(f"{self.provider}/sandbox/settings", json=settings).raise_for_status()

    def calls(self) -> list[dict[str, Any]]:
        """What the provider received lately, oldest first."""
        found: list[dict[str, Any]] = asking().get(f"{self.provider}/sandbox/calls").json()["calls"]
        return found

    def ended_calls(self) -> list[dict[str, Any]]:
        """Those, as soon as none is being answered: a caller may have the whole answer before the provider notes it."""
        self._wait(lambda: all(call["seconds"] is not None for call in self.calls()), "the end of its calls")
        return self.calls()

    def number_of_calls(self) -> int:
        """How many the provider received since they were forgotten, remembered or not."""
        return int(asking().get(f"{self.provider}/sandbox/calls?last=1").json()["received"])

    def last_exchange(self) -> str:
        """The exchange for which the provider was called last."""
        return str(self.calls()[-1]["headers"]["traceparent"].split("-")[1])

    def plant(self, name: str) -> None:
        """A fault of the faulty candidate, or `none`."""
        asking().put(f"{self.candidate}/sandbox/fault", json={"fault": name}).raise_for_status()

    def fault(self, kind: str, **details: Any) -> None:
        """What the provider does wrong with the next call, unless `details` narrow it down (see sandbox/README.md)."""
        self.end_jobs()  # whose calls would meet it
        asking().post(f"{self.provider}/sandbox/faults", json={"kind": kind, **details}).raise_for_status()

    def forget_faults(self) -> None:
        """Those that wait for their request; and whoever is held up by one goes on."""
        asking().delete(f"{self.provider}/sandbox/faults").raise_for_status()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database says, or does; each `?` in the statement stands for a value."""
        return database.rows(self.database_url, query, *values)

    def forget_calls(self) -> None:
        """What the provider receives from here on is of those who call from here on, not of a job that still runs."""
        self.end_jobs()
        asking().delete(f"{self.provider}/sandbox/calls").raise_for_status()

    def end_jobs(self) -> None:
        """Wait until no background job is left that earlier requests began."""
        query = "SELECT count(*) FROM assistant_job WHERE status IN ('queued', 'running')"
        self._wait(lambda: self.rows(query) == [(0,)], "the end of its jobs")

    def _wait(self, happened: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                raise StackError(f"the stack did not come to {what} within {seconds} s")
            time.sleep(LOOK_AGAIN_SECONDS)


class Another(NamedTuple):
    """A second process of a kind: its address, its operators' address if it has one, its process id."""

    url: str
    admin: str
    pid: int


def _table_of(admin: str) -> str | None:
    """The table that all workers of a router serve; None if they do not agree."""
    table: str | None = asking().get(f"{admin}/status").json()["table"]
    return table


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running_stack(
    data: Path, *, postgres: bool = False, faulty: bool = False, identity_seconds: float = PATIENCE_SECONDS
) -> Iterator[Stack]:
    """Start the whole stack on free ports with its own data, and stop it; `faulty` with the faulty candidate."""
    ready, routes = data / "ready.json", data / "routes.toml"
    text = (ROOT / "routes.toml").read_text("utf-8")
    routes.write_text(text.replace("[identity]", f"[identity]\ntimeout_seconds = {identity_seconds}", 1), "utf-8")
    command = [sys.executable, "-m", "sandbox", "up", "--port-base", "0", "--data", str(data), "--quiet"]
    command += ["--routes", str(routes), "--ready-file", str(ready)]
    command += ["--postgres"] if postgres else []
    command += ["--fault", "none"] if faulty else []
    command += ["--filled", os.environ[FILLED]] if FILLED in os.environ else []
    log = (data / "stack.log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _ready(process, ready, data / "stack.log")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PATIENCE_SECONDS)
        log.close()


def on_postgresql() -> bool:
    """Whether all contract tests are to run there."""
    return os.environ.get("CONTRACT_DB") == "postgres"


@contextmanager
def stack_on_postgresql(identity_seconds: float = PATIENCE_SECONDS) -> Iterator[Stack]:
    """In a folder that everybody may enter: for root, who may not run PostgreSQL, it runs as somebody else."""
    with TemporaryDirectory(prefix="stack") as folder:
        data = Path(folder)
        data.chmod(0o755)
        with running_stack(data, postgres=True, identity_seconds=identity_seconds) as stack:
            yield stack


def _ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> Stack:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            raise StackError(f"the stack did not start; it said:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)
    told = json.loads(ready.read_text())
    provider = told.get("provider") or os.environ["LLM_BASE_URL"].removesuffix("/v1")  # the stack starts none then
    return Stack(
        told["router"],
        (told["admin"],),
        provider,
        Path(told["routes_file"]),
        told["database_url"],
        told["legacy"],
        told["extracted"],
        told.get("candidate", ""),
        told["pids"],
    )
