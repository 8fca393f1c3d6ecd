"""What `up` says when the stack is ready is true of the processes that run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from sandbox.keys import make_keys
from sandbox.plans import Layout
from sandbox.ports import ports_from
from sandbox.provider import Settings
from sandbox.stack import ROOT, Stack
from sandbox.up import show_addresses


def _said(data: Path, *names: str) -> str:
    layout = Layout(
        ROOT,
        data,
        ports_from(8000),
        make_keys(data),
        "sqlite://",
        data / "routes.toml",
        Settings(),
        real_provider=False,
    )
    running: Any = {name: SimpleNamespace(pid=1) for name in names}
    console = Console(width=200)
    with console.capture() as said:
        show_addresses(Stack(layout, lambda *_: None, running), console)
    return said.get()


def test_with_a_router_the_routes_that_it_follows_are_named(tmp_path: Path) -> None:
    said = _said(tmp_path, "legacy", "router")

    assert "http://127.0.0.1:8000/" in said
    assert f"{tmp_path / 'routes.toml'}" in said
    assert "effective within a second" in said
    assert "python -m router status --admin 127.0.0.1:8099" in said


def test_without_a_router_nothing_is_said_of_routes_that_nobody_follows(tmp_path: Path) -> None:
    said = _said(tmp_path, "legacy")

    assert "routes.toml" not in said
    assert "effective" not in said
    assert [line.split()[:2] for line in said.splitlines() if "the monolith itself" in line] == [
        ["Helpdesk", "http://127.0.0.1:8001/"]
    ]
    assert "nobody listens there" in said
