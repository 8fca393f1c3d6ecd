"""`python -m migrations_guide start DIR | next | check | undo | status`: the guide, one page at a time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .beginning import ROOT, START, Unfit, make_copy
from .journey import STAGE, Journey, Stopped
from .pages import all_pages

Here = Annotated[Path, typer.Argument(metavar="[DIR]", help="the folder that start made", show_default=False)]

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def start(folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new folder, outside of this one")]) -> None:
    """Make a copy of this repository as it was at the beginning of the story."""
    folder = folder.resolve()
    if folder.is_relative_to(ROOT):
        raise Stopped(f"{folder} is inside {ROOT}: name a folder outside of it.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Stopped(f"{folder} is there already: name a new folder, or go on in it with next.")
    if not (ROOT / ".venv").exists():
        raise Stopped(f"The packages are not installed yet. In {ROOT}: make .venv/ready")
    try:
        make_copy(folder)
    except OSError as error:
        raise Stopped(f"{folder} cannot be made ({error.strerror or error}): name another folder.") from None
    except Unfit as problem:
        raise Stopped(
            f"{START.name} does not fit routes.toml any more ({problem}): python -m migrations_guide.beginning"
        ) from None
    Journey(folder, all_pages(), print).begin()
    print(f"{folder} is the repository at the beginning of the story.")
    print(f"In one terminal:  cd {folder} && {STAGE}")
    print(f"In another:       cd {folder} && .venv/bin/python -m migrations_guide next")


@app.command("next")
def next_page(folder: Here = Path()) -> None:
    """Do the next page: make its edits, run its commands, compare what they print."""
    page = _journey(folder).next()
    print(f"\n{page.title}: done. Read it in migrations_guide/{page.name}.md, then: check, next, or undo.")


@app.command()
def check(
    folder: Here = Path(), page: Annotated[str, typer.Option(help="its number, like 06; else the last one done")] = ""
) -> None:
    """Run the check of the page that was done last; status 1 if it does not pass."""
    journey = _journey(folder)
    named = [each for each in journey.pages if page and each.name.startswith(f"{page}-")]
    if page and not named:
        raise Stopped(f"There is no page {page}: status shows them all.")
    checked = named[0] if named else journey.last()
    if found := journey.check(checked):
        raise Stopped("\n\n".join([f"\n{checked.title}: the check does not pass.", *found]))
    print(f"\n{checked.title}: the check passes.")


@app.command()
def undo(folder: Here = Path()) -> None:
    """Roll the last page back."""
    page, found = _journey(folder).undo()
    if found:
        raise Stopped("\n\n".join([f"\n{page.title} is rolled back, but not as it says:", *found]))
    print(f"\n{page.title}: rolled back.")


@app.command()
def status(folder: Here = Path()) -> None:
    """Show the pages, and which of them are done."""
    journey = _journey(folder)
    state = journey.state
    for place, page in enumerate(journey.pages):
        mark = "done" if place < state.done else "begun" if place == state.done and state.begun else ""
        print(f"{mark:5}  {page.name[:2]}  {page.title}")


def _journey(folder: Path) -> Journey:
    return Journey(folder.resolve(), all_pages(), print)


def main() -> None:
    try:
        app()
    except Stopped as why:
        print(why, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
