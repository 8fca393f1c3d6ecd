"""The running stack as a benchmark sees it: addresses, processes, their memory and their CPU time."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil

from .processes import ROOT

START_SECONDS = 300
SETTLE_SECONDS = 1.5
LOGS = Path("var/benchmarks/logs")
PACKAGES = ("aiohttp", "fastapi", "httptools", "httpx", "starlette", "uvicorn", "uvloop")


@dataclass(frozen=True)
class Stack:
    """Where everything is, and which process is which."""

    router: str
    provider: str
    families: dict[str, list[psutil.Process]]  # each with the children it has from its start

    def memory_kib(self) -> dict[str, int]:
        """Proportional set size of router and service, in KiB."""
        return {name: sum(map(_pss_kib, self.families[name])) for name in ("router", "extracted")}

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time that each process has used."""
        return {name: sum(map(_cpu_seconds, family)) for name, family in self.families.items()}


@contextmanager
def running_stack(latency_seconds: float, tokens_per_second: float) -> Iterator[Stack]:
    """The sandbox's stack on free ports, with all assistant routes extracted and the provider asked directly."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        ready = data / "ready.json"
        routes = data / "routes.toml"
        routes.write_text(_extracted((ROOT / "routes.toml").read_text("utf-8")), "utf-8")
        pace = ["--latency-seconds", str(latency_seconds), "--tokens-per-second", str(tokens_per_second)]
        where = ["--port-base", "0", "--data", str(data), "--ready-file", str(ready), "--quiet"]
        where += ["--routes", str(routes)]
        where += ["--filled", os.environ["STACKS_FILLED"]] if "STACKS_FILLED" in os.environ else []
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
            time.sleep(SETTLE_SECONDS)
            families = {name: _family(pid) for name, pid in told["pids"].items()}
            yield Stack(told["router"], told["provider"], families)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
            log.close()
            if (data / "logs").exists():
                shutil.copytree(data / "logs", LOGS, dirs_exist_ok=True)  # where an error is explained


def _extracted(routes: str) -> str:
    """Without the egress, which only shadowed routes need, and with every route at the end of its way."""
    without = re.sub(r"(?ms)^\[egress\].*?(?=^\[)", "", routes)
    return re.sub(r'(?m)^(stage\s*=\s*)"\w+"', r'\g<1>"extracted"', without)


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


def machine() -> dict[str, str]:
    """Where something was measured, and with which versions."""
    model = re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text())
    return {
        "processor": f"{os.cpu_count()} × {model[1] if model else platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "load before": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def busy_seconds() -> float:
    """For how long the cores of this machine have worked, together."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _pss_kib(process: psutil.Process) -> int:
    """The kernel's own sum: to read every mapping one by one would hold the process up."""
    summed = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    found = re.search(r"(?m)^Pss:\s+(\d+) kB$", summed)
    return int(found[1]) if found else 0


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
