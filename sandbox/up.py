"""`up`: the stack with its log lines, until Ctrl-C, SIGTERM or the death of a process."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .callers import LoginFailed
from .database import DatabaseMissing
from .ports import PortTaken
from .processes import ProcessFailed, Say
from .routes_file import RoutesBroken
from .stack import DataInUse, Options, Stack, running_stack

COLOURS = {
    "stack": "bold",
    "router": "cyan",
    "legacy": "green",
    "extracted": "magenta",
    "identity": "yellow",
    "jobs": "blue",
    "egress": "bright_cyan",
    "provider": "bright_black",
    "postgres": "bright_blue",
}
STOPPED_BY_HAND = 0
FAILED = 1
# What a person can put right: each says how in its own words.
PROBLEMS = (PortTaken, DataInUse, DatabaseMissing, RoutesBroken, ProcessFailed, LoginFailed)


async def up(options: Options, console: Console, *, quiet: bool) -> int:
    """The exit status: 0 after Ctrl-C or SIGTERM, 1 if a process ended by itself."""
    async with running_stack(options, lines_to(console, quiet=quiet)) as stack:
        show_addresses(stack, console)
        console.print("Ready. Ctrl-C stops everything.", style="bold green")
        failure = await stack.failed()
        console.print(str(failure), style="red", markup=False)
    return FAILED


def run(main: Coroutine[Any, Any, int], console: Console) -> int:
    """Runs to the end, or until a signal cancels it; whatever a person can put right is one sentence."""
    try:
        return asyncio.run(_until_signal(main, console))
    except PROBLEMS as problem:
        console.print(str(problem), style="red", markup=False, soft_wrap=True)
        return FAILED


async def _until_signal(main: Coroutine[Any, Any, int], console: Console) -> int:
    task = asyncio.create_task(main)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        console.print("Stopped.", style="bold")
        return STOPPED_BY_HAND


def lines_to(console: Console, *, quiet: bool) -> Say:
    def say(name: str, line: str) -> None:
        if quiet and name != "stack":
            return
        colour = COLOURS.get(name, "white")
        console.print(f"[{colour}]{name:>9} │[/] {escape(line)}", highlight=False, soft_wrap=True)

    return say


def show_addresses(stack: Stack, console: Console) -> None:
    layout = stack.layout
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    has_router = "router" in stack.running
    door = "router" if has_router else "legacy"
    through = "through the router" if has_router else "the monolith itself"
    table.add_row("Helpdesk", f"[bold]{layout.url(door)}/[/]", f"{through}: log in here")
    if has_router:
        table.add_row("", layout.url("legacy"), "the monolith itself")
    table.add_row("", layout.url("extracted"), "the extracted service itself")
    if "provider" in stack.running:
        table.add_row("", f"{layout.url('provider')}/sandbox/calls", "what the simulated provider received")
    for login in stack.ready()["logins"]:
        if login["role"] in ("lead", "viewer"):
            who = f"{login['role']} of {login['organisation']}"
            table.add_row("Log in", f"[bold]{login['username']}[/] / {login['password']}", who)
    table.add_row("Admin", "[bold]admin[/] / helpdesk", f"{layout.url(door)}/admin/")
    if has_router:
        table.add_row("Routes", str(layout.routes_file), "edit a stage: effective within a second")
        admin = layout.url("admin")
        command = f"python -m router status --admin {admin.removeprefix('http://')}"
        table.add_row("Status", f"{admin}/status", f"how the router stands; for people: {command}")
    else:
        table.add_row("Router", layout.url("router"), "nobody listens there: start one yourself")
    table.add_row("Logs", str(layout.data / "logs"), "")
    console.print(table)
