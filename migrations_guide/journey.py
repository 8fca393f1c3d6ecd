"""A reader's journey: which pages are done in a folder, the next one, its check, and the way back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from .beginning import Unfit, apply, is_gone
from .pages import Block, Page
from .shell import TAKE_OVER_SECONDS, Say, replaced, shell, steps

STATE = ".guide.json"
SITE = "http://127.0.0.1:8001"
STAGE = "make up ARGS=--no-router"
LOOK_SECONDS = 2.0


class Stopped(Exception):
    """The journey does not go on, and why, in sentences for the reader."""


@dataclass(frozen=True)
class State:
    """How far a reader has come. A page that was begun and did not end as it should is `begun`."""

    done: int = 0
    begun: bool = False
    edits: int = 0
    """How many of the edits of the page that was begun are made."""


@dataclass(frozen=True)
class Journey:
    """One folder that `start` made."""

    folder: Path
    pages: Sequence[Page]
    say: Say
    real: Mapping[str, str] = field(default_factory=dict)
    """What stands for the fixed names of the pages, such as addresses."""
    patience_seconds: float = TAKE_OVER_SECONDS

    @property
    def state(self) -> State:
        file = self.folder / STATE
        if not file.exists():
            raise Stopped(f"{self.folder} is no folder of this guide: make one with start DIR, or go into it.")
        try:
            return State(**json.loads(file.read_text("utf-8")))
        except (ValueError, TypeError):
            raise Stopped(f"{file} cannot be read. Begin again in a new folder: start DIR.") from None

    def begin(self) -> None:
        self._save(State())

    def next(self) -> Page:
        """Does the next page. Raises Stopped if a command printed something else than the page shows."""
        state = self.state
        if state.begun:
            raise Stopped(f"{self.pages[state.done].name} was begun and did not end well: undo takes it back.")
        if state.done == len(self.pages):
            raise Stopped("That was the last page. status shows them all, undo takes the last one back.")
        self._needs_the_stage()
        page = self.pages[state.done]
        state = replace(state, begun=True)
        self._save(state)
        problem: str | None = None
        with shell(self.folder, self.real, self.say, self.patience_seconds) as bash:
            for block in page.do:
                if block.language == "diff":
                    self.say(block.text.rstrip("\n"))
                    problem = self._edited(block.text)
                    state = replace(state, edits=state.edits + (problem is None))
                    self._save(state)
                else:
                    problem = next(filter(None, map(bash.difference, steps(block.text, varies=block.varies))), None)
                if problem:
                    raise Stopped(f"{page.name} did not go as it says:\n\n{problem}\n\nundo takes it back.")
        self._save(State(state.done + 1))
        return page

    def check(self, page: Page) -> list[str]:
        """The first difference between what the page's check shows and what it prints now; empty if there is none."""
        self._needs_the_stage()
        return self._run(page.check, is_enough=True)

    def last(self) -> Page:
        state = self.state
        if not state.done:
            raise Stopped("No page is done yet: next does the first one.")
        return self.pages[state.done - 1]

    def undo(self) -> tuple[Page, list[str]]:
        """Rolls the last page back, be it done or only begun: its commands first, then its edits, last one first."""
        state = self.state
        if not state.begun and not state.done:
            raise Stopped("No page is done yet, so there is nothing to undo: next does the first one.")
        self._needs_the_stage()
        place = state.done if state.begun else state.done - 1
        page = self.pages[place]
        edits = page.edits[: state.edits] if state.begun else page.edits
        found = self._run(page.roll_back)
        for number, edit in enumerate(reversed(edits), 1):
            if problem := self._edited(edit, back=True):
                self._save(State(place, begun=True, edits=len(edits) - number + 1))
                raise Stopped(f"An edit of {page.name} cannot be taken back; put its file right by hand:\n\n{problem}")
        self._save(State(place))
        return page, found if not state.begun else []

    def _run(self, blocks: Iterable[Block], *, is_enough: bool = False) -> list[str]:
        """What differs. One difference ends a check, while a roll-back goes on: it takes back as much as it can."""
        found: list[str] = []
        with shell(self.folder, self.real, self.say, self.patience_seconds) as bash:
            for step in (step for block in blocks for step in steps(block.text, varies=block.varies)):
                if problem := bash.difference(step):
                    found.append(problem)
                    if is_enough:
                        break
        return found

    def _edited(self, edit: str, *, back: bool = False) -> str | None:
        edit = replaced(edit, self.real)
        try:
            apply(self.folder, edit, back=back)
        except Unfit as problem:
            if back and is_gone(self.folder, edit):  # the page's own commands have taken it back
                return None
            return f"git apply says:\n{problem}\nfor this edit:\n{edit}"
        return None

    def _needs_the_stage(self) -> None:
        address = urlsplit(replaced(SITE, self.real))
        try:
            socket.create_connection((address.hostname or "", address.port or 0), LOOK_SECONDS).close()
        except OSError:
            raise Stopped(
                f"Nothing answers at {address.geturl()}. In another terminal, in this folder: {STAGE}"
            ) from None

    def _save(self, state: State) -> None:
        (self.folder / STATE).write_text(json.dumps(state.__dict__), "utf-8")
