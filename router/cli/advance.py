"""`advance` and `rollback`: move one route, by an edit of routes.toml that every running router takes over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import LEGACY
from ..edit import find, locked, moved, read, swap
from ..errors import EditError
from ..gate import gate
from ..steps import BACK, Place, is_forward, named_place, next_place, place_of

Name = Annotated[str, typer.Argument(metavar="ROUTE", help="the route's name", show_default=False)]
File = Annotated[Path, typer.Option("--file", help="the routes.toml to change")]
To = Annotated[str | None, typer.Option("--to", metavar="STAGE", help="go to this stage instead of one step on")]
Percent = Annotated[float | None, typer.Option(help="go to stage split with this share of the callers")]
Force = Annotated[bool, typer.Option("--force", help="move although something speaks against it; needs --reason")]
Reason = Annotated[str, typer.Option(help="why it is moved by force")]


def advance(
    name: Name,
    to: To = None,
    percent: Percent = None,
    force: Force = False,
    reason: Reason = "",
    file: File = Path("routes.toml"),
) -> None:
    """Move a route one step on, or to the place that is named."""
    if force and not reason.strip():
        raise EditError("Say why it is moved by force: --reason TEXT.")
    with locked(file):
        text, config = read(file)
        route = find(config, name)
        now = place_of(route)
        try:
            then = named_place(now, to, percent)
        except ValueError as error:
            raise EditError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
        if then is None:
            raise EditError(f'"{name}" is extracted: there is no step after that. rollback {name} takes it back.')
        objection = gate(route, then) if is_forward(now, then) else None
        if objection and not force:
            raise EditError(f'"{name}" stays in {now}: {objection} (--force --reason TEXT moves it all the same.)')
        _write(file, text, name, now, then)
    if objection:
        print(f"By force, although: {objection} The reason given: {reason.strip()}")
    following = next_place(then)
    print(f"Next is {following}: advance {name}" if following else "That was the last step.")
    print(f"Back to legacy at once: rollback {name}")


def rollback(name: Name, file: File = Path("routes.toml")) -> None:
    """Send a route back to legacy at once, from wherever it is."""
    with locked(file):
        text, config = read(file)
        now = place_of(find(config, name))
        _write(file, text, name, now, BACK)
    print(f"{LEGACY} answers all of it again; requests under way finish where they began.")


def _write(file: Path, text: str, name: str, now: Place, then: Place) -> None:
    if now == then:
        print(f"{name} is in {now} already; {file} stays as it is.")
        return
    swap(file, text, moved(text, name, then))
    print(f"{name}: {now} → {then}, in {file}. Running routers take it over within a second.")
