"""`advance` and `rollback`: move one route, by an edit of routes.toml that every running router takes over."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import LEGACY, Config, Route
from ..edit import find, locked, moved, read, swap
from ..errors import EditError, EvidenceError
from ..journal import note
from ..steps import BACK, Place, is_forward, named_place, next_place, place_of

HOLD_SECONDS = 60.0

Name = Annotated[str, typer.Argument(metavar="ROUTE", help="the route's name", show_default=False)]
File = Annotated[Path, typer.Option("--file", help="the routes.toml to change")]
To = Annotated[str | None, typer.Option("--to", metavar="STAGE", help="go to this stage instead of one step on")]
Percent = Annotated[float | None, typer.Option(help="go to stage split with this share of the callers")]
Auto = Annotated[bool, typer.Option("--auto", help="walk all steps, each when the evidence allows it; back on a no-go")]
Hold = Annotated[
    float | None,
    typer.Option(min=0, help=f"with --auto: stay at least so long at each step, {HOLD_SECONDS:g} if left out"),
]
Force = Annotated[bool, typer.Option("--force", help="move although something speaks against it; needs --reason")]
Reason = Annotated[str, typer.Option(help="why it is moved by force")]


def advance(
    name: Name,
    to: To = None,
    percent: Percent = None,
    auto: Auto = False,
    hold_seconds: Hold = None,
    force: Force = False,
    reason: Reason = "",
    file: File = Path("routes.toml"),
) -> None:
    """Move a route one step on, or to the place that is named, if the evidence allows it."""
    if force and not reason.strip():
        raise EditError("Say why it is moved by force: --reason TEXT.")
    if auto:
        if force or reason or percent is not None:
            raise EditError("--auto goes by the evidence alone: leave out --force, --reason and --percent.")
        _walk(name, to or "extracted", HOLD_SECONDS if hold_seconds is None else hold_seconds, file)
        return
    if hold_seconds is not None:
        raise EditError("--hold-seconds is for --auto: add that, or leave it out.")
    with contextlib.suppress(ModuleNotFoundError):
        from .. import gate  # noqa: F401  (here, not under the lock: it takes a second, and others wait)
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
        objection, evidence = gated(config, route, then) if is_forward(now, then) else (None, None)
        if objection and not force:
            raise EditError(f'"{name}" stays in {now}: {objection} (--force --reason TEXT moves it all the same.)')
        write(file, text, name, now, then)
    if now != then:
        _say_if_not_noted(
            note(config, name, now, then, reason=reason.strip(), forced=bool(objection), evidence=evidence)
        )
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
        write(file, text, name, now, BACK)
    print(f"{LEGACY} answers all of it again; requests under way finish where they began.")
    if now != BACK:
        _say_if_not_noted(note(config, name, now, BACK))


def gated(config: Config, route: Route, then: Place) -> tuple[str | None, dict[str, Any] | None]:
    """What speaks against the move, in a sentence, or None; and what the evidence says, for the journal."""
    try:
        from ..evidence.database import open_for_reading  # routing alone comes without what evidence needs
        from ..gate import FREE, gate
        from ..report import as_json
    except ModuleNotFoundError as missing:
        return f"the evidence cannot be read without {missing.name}: pip install sqlalchemy.", None
    try:
        engine = open_for_reading(config.evidence.url)
    except EvidenceError as error:
        return (None if then.stage in FREE else str(error)), None
    objection, found = gate(config, route, then, engine)
    return objection, as_json(found)


def write(file: Path, text: str, name: str, now: Place, then: Place) -> None:
    if now == then:
        print(f"{name} is in {now} already; {file} stays as it is.")
        return
    swap(file, text, moved(text, name, then))
    print(f"{name}: {now} → {then}, in {file}. Running routers take it over within a second.")


def _walk(name: str, to: str, hold_seconds: float, file: Path) -> None:
    try:
        from .auto import walk  # routing alone comes without what evidence needs
    except ModuleNotFoundError as missing:
        raise EvidenceError(
            f"--auto goes by the evidence, which needs {missing.name}: pip install sqlalchemy"
        ) from None
    walk(name, to, hold_seconds, file)


def _say_if_not_noted(why: str | None) -> None:
    if why:
        print(f"The move is made, but {why}")
