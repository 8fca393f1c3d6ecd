"""One scratch copy of the repository, as `start` makes it, and one stack in it, for all pages."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from migrations_guide.beginning import make_copy
from migrations_guide.journey import Journey
from migrations_guide.pages import all_pages
from migrations_guide.shell import replaced

START_SECONDS = 180
PATIENCE_SECONDS = 30.0  # a reader's machine is not as busy
OFFSETS = (0, 1, 2, 3, 10, 12, 20, 30, 40, 41, 42, 99)
"""The ports of the stack, of its router and of what the pages start beside it, counted from the first."""


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """At the beginning of the story, with the stack running on ports of its own."""
    folder = tmp_path_factory.mktemp("guide") / "copy"
    base = _free_base()
    real = _real(base)
    make_copy(folder)
    routes = folder / "routes.toml"
    routes.write_text(replaced(routes.read_text("utf-8"), real), "utf-8")
    # A hundred logins, whose cost is no matter of the guide.
    with (folder / "legacy_app" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write('PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]\n')
    # Half of what the model takes for a reader: it starves the monolith still, and the pages are done twice.
    pace = ("--latency-seconds", "0.25", "--tokens-per-second", "120")
    ready, log = folder.parent / "ready.json", folder.parent / "stack.log"
    command = [sys.executable, "-m", "sandbox", "up", "--no-router", "--port-base", str(base), "--quiet"]
    with log.open("w") as said:
        process = subprocess.Popen(
            [*command, *pace, "--ready-file", ready], cwd=folder, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, ready, log)
            guide = Journey(folder, all_pages(), print, real, PATIENCE_SECONDS)
            guide.begin()
            yield guide
        finally:
            _end_what_pages_started(folder)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


def _free_base() -> int:
    for base in random.sample(range(20_000, 32_000, 100), 50):
        with contextlib.suppress(OSError):
            for offset in OFFSETS:
                with socket.create_server(("127.0.0.1", base + offset)):
                    pass
            return base
    raise RuntimeError("no free ports")


def _real(base: int) -> Mapping[str, str]:
    """What stands for the pages' fixed names. `var/` needs nothing: the pages are done in the folder that holds it."""
    addresses = {f"127.0.0.1:{8000 + offset}": f"127.0.0.1:{base + offset}" for offset in OFFSETS}
    defaults = {
        "serve --port 8000": f"serve --port {base}",
        "--port 8030": f"--port {base + 30}",
        "--port 8040": f"--port {base + 40}",
        "--port 8042": f"--port {base + 42}",
        "sandbox callers --readers": f"sandbox callers --url http://127.0.0.1:{base} --readers",
        ".venv/bin/python": sys.executable,
        "$PWD/.venv/bin": str(Path(sys.executable).parent),
    }
    return addresses | defaults


def _wait(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the stack did not start; it said:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)


def _end_what_pages_started(folder: Path) -> None:
    """A page that failed has not ended it."""
    for file in (*(folder / "var").glob("*.pid"), *(folder / "club").glob("*.pid")):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGTERM)
