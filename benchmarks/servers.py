"""The ways to serve the assistant that are measured: each started by itself, as the sandbox starts it, but untraced."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from .processes import ROOT, Cores, Running, free_port, spawned
from .stack import Stack

ANSWER_SECONDS = 60.0
MONOLITH, SERVICE = "monolith", "service"


@dataclass(frozen=True)
class Kind:
    """A server by its command line; a port is added."""

    name: str
    side: str
    command: tuple[str, ...]
    port_option: str = "--port"


def gunicorn(*workers: str) -> tuple[str, ...]:
    shared = ("legacy_app.wsgi:application", "--config", "legacy_app/gunicorn.conf.py", "--log-level", "warning")
    return ("-m", "gunicorn", *shared, "--preload", *workers)


def sync(workers: int) -> Kind:
    return Kind(f"Django, {workers} sync workers", MONOLITH, gunicorn("--workers", str(workers)), "--bind")


def threads(count: int) -> Kind:
    command = gunicorn("--workers", "1", "--worker-class", "gthread", "--threads", str(count))
    return Kind(f"Django, {count} threads", MONOLITH, command, "--bind")


ASGI = Kind("Django, ASGI", MONOLITH, ("-m", "uvicorn", "legacy_app.asgi:application", "--log-level", "warning"))
EXTRACTED = Kind("extracted service", SERVICE, ("-m", "extracted_service"))


@dataclass(frozen=True)
class Servers:
    """Starts servers on the sandbox's database, keys and provider, on a core of their own if they are measured."""

    stack: Stack
    cores: Cores
    folder: Path

    def start(self, leaving: ExitStack, kind: Kind, *, measured: bool) -> Running:
        """Listens and has answered once."""
        family, probe = ("legacy", "/login/") if kind.side == MONOLITH else ("extracted", "/health")
        port = free_port()
        return self._started(leaving, kind.name, self.command(kind, port), family, port, probe, measured=measured)

    def router(self, leaving: ExitStack, monolith: Running, service: Running | None) -> Running:
        """In front of these; with a service all of the assistant's routes are extracted."""
        identity = self.start(leaving, threads(4), measured=False)
        urls = {"legacy": monolith.url, "identity": identity.url, "assistant": (service or monolith).url}
        port = free_port()
        file = self.routes_file(urls, extracted=service is not None)
        command = [sys.executable, "-m", "router", "serve", str(file), "--port", str(port)]
        return self._started(leaving, "router", command, "router", port, "/login/", measured=False)

    def command(self, kind: Kind, port: int) -> list[str]:
        where = f"127.0.0.1:{port}" if kind.port_option == "--bind" else str(port)
        return [sys.executable, *kind.command, kind.port_option, where]

    def environ(self, family: str) -> dict[str, str]:
        """That of the sandbox's own process, without tracing and with the provider itself behind it."""
        environ = self.stack.families[family][0].environ()
        environ.pop("TRACES_FILE", None)
        return {**environ, "LLM_BASE_URL": f"{self.stack.provider}/v1"}

    def routes_file(self, urls: dict[str, str], *, extracted: bool = False) -> Path:
        file = self.folder / f"routes-{free_port()}.toml"
        file.write_text(routes((ROOT / "routes.toml").read_text("utf-8"), urls, extracted=extracted), "utf-8")
        return file

    def _started(
        self,
        leaving: ExitStack,
        name: str,
        command: list[str],
        family: str,
        port: int,
        probe: str,
        *,
        measured: bool,
    ) -> Running:
        place = self.folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{port}"
        process = spawned(leaving, self.cores, command, place, port, self.environ(family), measured=measured)
        running = Running(name, psutil.Process(process.pid), f"http://127.0.0.1:{port}")
        until_it_answers(running.url + probe)
        return running


def until_it_answers(url: str) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            httpx.get(url, timeout=ANSWER_SECONDS, trust_env=False)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def routes(text: str, urls: dict[str, str], *, extracted: bool) -> str:
    """The repository's own routes with other addresses, without tape and evidence: nothing is copied here.

    An identity may take its time: with hundreds of writes in one instant they wait for each other, and that is told.
    """
    for name, url in urls.items():
        text = re.sub(rf'(?m)^({name}\s*=\s*)"[^"]*"', rf'\g<1>"{url}"', text)
    text = re.sub(r"(?ms)^\[(evidence|egress)\].*?(?=^\[)", "", text)
    text = text.replace("[identity]", "[identity]\ntimeout_seconds = 30", 1)
    return re.sub(r'(?m)^(stage\s*=\s*)"\w+"(?=\nsplit)', rf'\g<1>"{"extracted" if extracted else "legacy"}"', text)
