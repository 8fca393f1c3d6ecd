"""The sides of the running stack, all at once: the monolith itself, the router before it, and the router before the
extracted service. Each router is one of its own, so that no test waits for another one's stage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from contract_tests.caller import Agent
from contract_tests.contractkit.targets import Request, Target
from contract_tests.faults import until
from contract_tests.loopback import PATIENCE_SECONDS
from contract_tests.stack import Stack, StackError


class Sides:
    """Where they are, and who calls them. A session of the monolith is one on every side."""

    def __init__(self, stack: Stack | None, urls: Mapping[str, str], leaving: ExitStack) -> None:
        self.stack = stack
        """None if all sides were given: then nobody can tell the provider to fail."""
        self.urls = dict(urls)
        self._leaving = leaving
        self._targets: dict[str | None, list[Target]] = {}

    def targets(self, username: str | None = "maya") -> list[Target]:
        """Every side, for this agent."""
        if username not in self._targets:
            caller = {}
            if username is not None:
                agent = self._leaving.enter_context(Agent(self.urls["legacy"], username))
                cookies = "; ".join(f"{name}={value}" for name, value in agent.cookies.items())
                caller = {"Cookie": cookies, "X-CSRFToken": agent.csrf_token}
            found = [self._leaving.enter_context(Target(name, url, caller)) for name, url in self.urls.items()]
            self._targets[username] = found
        return self._targets[username]


@contextmanager
def sides_of(stack: Stack | None, folder: Path, given: Mapping[str, str]) -> Iterator[Sides]:
    """`given` are addresses of sides that run elsewhere; they stand in for, or beside, those of the stack."""
    with ExitStack() as leaving:
        urls = {"legacy": stack.legacy} if stack else {}
        for name, stage in (("router", "legacy"), ("extracted", "extracted")):
            if stack and name not in given:
                urls[name] = leaving.enter_context(router_at(stack, folder / f"{name}.toml", stage))
        yield Sides(stack, {**urls, **given}, leaving)


@contextmanager
def router_at(stack: Stack, file: Path, stage: str) -> Iterator[str]:
    """The address of a router on the stack's routes, every route that has two sides at this stage."""
    text = stack.routes.read_text("utf-8")
    file.write_text(re.sub(r'(?m)^(stage\s*=\s*)"\w+"(?=\nsplit)', rf'\g<1>"{stage}"', text), "utf-8")
    environment = {**os.environ, "IDENTITY_SECRET": (stack.routes.parent / "identity" / "secret").read_text("utf-8")}
    with running_router(file, environment) as url, Target("router", url) as target:
        until(lambda: target.send(Request("GET", "/login/")).status == 200, "the router answers")
        yield url


@contextmanager
def running_router(file: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """A router's address; it takes a free port, and says which in its log."""
    log = file.with_suffix(".log")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "router", "serve", str(file), "--port", "0"], stderr=out, env=environment
        )
    try:
        until(_said(log, process), f"{file.name} is served")
        yield re.findall(r"on (http://\S+)", log.read_text("utf-8"))[0]
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


def _said(log: Path, process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    def is_said() -> bool:
        if process.poll() is not None:
            raise StackError(f"the router did not start; it said:\n{log.read_text('utf-8')[-2000:]}")
        return bool(re.search(r"on http://\S+", log.read_text("utf-8")))

    return is_said
