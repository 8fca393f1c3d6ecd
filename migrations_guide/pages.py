"""Reads the pages: what each of them does, checks and rolls back, as blocks that can be run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parent
SECTIONS = ("Do", "Check", "Roll back")
RUN = ("console", "diff")
_FENCE = re.compile(r"^```(\w*)( varies)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block: `console` holds commands with their output, `diff` an edit; others are only shown."""

    language: str
    text: str
    varies: bool
    """Of a console: its numbers are those of one run."""
    after: str
    """The line that follows it."""


@dataclass(frozen=True)
class Page:
    """One step of the guide."""

    name: str
    title: str
    text: str
    do: tuple[Block, ...]
    check: tuple[Block, ...]
    roll_back: tuple[Block, ...]

    @property
    def edits(self) -> list[str]:
        return [block.text for block in self.do if block.language == "diff"]


def all_pages(folder: Path = GUIDE) -> list[Page]:
    """In the order of their numbers."""
    return [page_of(file.stem, file.read_text("utf-8")) for file in sorted(folder.glob("[0-9][0-9]-*.md"))]


def page_of(name: str, text: str) -> Page:
    """Raises ValueError if the page lacks a section, or says something to be run where nobody would run it."""
    parts = dict(sections(text))
    for section in SECTIONS:
        if section not in parts:
            raise ValueError(f"{name} has no section '## {section}'.")
    for section, part in parts.items():
        if section not in SECTIONS and any(block.language in RUN for block in blocks(part)):
            raise ValueError(f"{name} has commands or edits under '{section}': only {', '.join(SECTIONS)} are run.")
    if any(block.language == "diff" for section in SECTIONS[1:] for block in blocks(parts[section])):
        raise ValueError(f"{name} has an edit outside of '## Do': the runner takes edits back by itself.")
    do, check, roll_back = (tuple(b for b in blocks(parts[section]) if b.language in RUN) for section in SECTIONS)
    return Page(name, text.partition("\n")[0].removeprefix("# "), text, do, check, roll_back)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Heading and text of each; what stands before the first has the heading ''."""
    before, *rest = _HEADING.split(text)
    yield "", before
    yield from zip(rest[::2], rest[1::2], strict=True)


def blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        after = text[found.end() :].lstrip("\n").partition("\n")[0]
        yield Block(found[1], found[3], bool(found[2]), after)
