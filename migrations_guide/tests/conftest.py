"""The stack that the pages are done on, with ports and data of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 90


@dataclass(frozen=True)
class Stack:
    """A running stack whose data are in `folder`/var, and the real values of what pages name."""

    folder: Path
    real: dict[str, str]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("guide")
    data, log = folder / "var", folder / "stack.log"
    command = [sys.executable, "-m", "sandbox", "up", "--port-base", "0", "--data", str(data), "--quiet"]
    # Pages show who answers, not how fast.
    command += ["--latency-seconds", "0.01", "--tokens-per-second", "0", "--ready-file", str(folder / "ready.json")]
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            yield Stack(folder, _real(_addresses(process, folder / "ready.json", log)))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def _addresses(process: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the stack did not start; it said:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)
    addresses: dict[str, str] = json.loads(ready.read_text())
    return addresses


def _real(addresses: dict[str, str]) -> dict[str, str]:
    """What stands for a page's fixed names. `var/` needs nothing: the pages are done in the folder that holds it."""
    return {
        "http://127.0.0.1:8000": addresses["router"],
        "http://127.0.0.1:8001": addresses["legacy"],
        "http://127.0.0.1:8002": addresses["extracted"],
        "http://127.0.0.1:8003": addresses["identity"],
        ".venv/bin/python": sys.executable,
    }
