"""The running stack as a benchmark sees it: addresses, processes and their memory."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

START_SECONDS = 120
SETTLE_SECONDS = 1.5


@dataclass(frozen=True)
class Stack:
    """Where everything is, and which process is which."""

    router: str
    provider: str
    pids: dict[str, int]

    def memory_kib(self) -> dict[str, int]:
        """Proportional set size of router and service with their children, in KiB."""
        return {name: _pss_kib(self.pids[name]) for name in ("router", "extracted")}


@contextmanager
def running_stack(latency_seconds: float, tokens_per_second: float) -> Iterator[Stack]:
    """The sandbox's stack on free ports, with all assistant routes extracted."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        ready = data / "ready.json"
        pace = ["--latency-seconds", str(latency_seconds), "--tokens-per-second", str(tokens_per_second)]
        where = ["--port-base", "0", "--data", str(data), "--ready-file", str(ready), "--quiet"]
        log = (data / "stack.log").open("w")
        command = [sys.executable, "-m", "sandbox", "up", *where, *pace]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The stack did not start. It said:\n{(data / 'stack.log').read_text()}")
                time.sleep(0.1)
            told = json.loads(ready.read_text())
            routes = Path(told["routes_file"])
            routes.write_text(re.sub(r'(?m)^(stage\s*=\s*)"\w+"', r'\g<1>"extracted"', routes.read_text()))
            time.sleep(SETTLE_SECONDS)
            yield Stack(told["router"], told["provider"], told["pids"])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
            log.close()


async def log_in(client: httpx.AsyncClient, username: str) -> dict[str, str]:
    """The headers that make a request this agent's."""
    await client.get("/login/")
    token = client.cookies.get("csrftoken") or ""
    form = {"username": username, "password": "helpdesk", "csrfmiddlewaretoken": token}
    answer = await client.post("/login/", data=form)
    if answer.status_code != httpx.codes.FOUND:
        raise SystemExit(f"{username} could not log in: {answer.status_code}")
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return {"Cookie": cookies, "X-CSRFToken": client.cookies.get("csrftoken") or "", "Content-Type": "application/json"}


def _pss_kib(pid: int) -> int:
    process = psutil.Process(pid)
    total = 0
    for each in [process, *process.children(recursive=True)]:
        total += getattr(each.memory_full_info(), "pss", 0) // 1024
    return total
