"""What many JSON values have in common, as a schema; no value of theirs is kept unless many say the same word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

FEWEST_FOR_WORDS = 30
MOST_WORDS, FEWEST_EACH = 8, 3
_WORD = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+){0,3}")
_LONGEST_WORD = 24
_SOMEBODYS = re.compile(
    r"name|user|login|mail|author|owner|assign|person|contact|customer|client|account|company|tenant|organi[sz]ation",
    re.IGNORECASE,
)
"""In fields called so, a few words that come again and again are people."""
_NAME = re.compile(r"[A-Za-z_$][A-Za-z_.-]{0,47}\d{0,3}[A-Za-z_.-]{0,16}")
_FORMATS = (
    ("date-time", re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("uri", re.compile(r"https?://\S+")),
)


@dataclass
class Shape:
    """A place in documents: how often it was seen, as what, and what lies below it."""

    seen: int = 0
    types: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Shape] = field(default_factory=dict)
    others: Shape | None = None
    """What lies below names that could be somebody's."""
    items: Shape | None = None
    words: Counter[str] = field(default_factory=Counter)
    formats: set[str] | None = None
    """What all texts so far could be; None before the first."""

    def add(self, value: Any) -> None:
        self.seen += 1
        kind = _type(value)
        self.types[kind] += 1
        match value:
            case dict():
                for name, each in value.items():
                    below = self.fields.setdefault(name, Shape()) if is_name(name) else self._others()
                    below.add(each)
            case list():
                self.items = self.items or Shape()
                for each in value:
                    self.items.add(each)
            case str():
                self._add_text(value)

    def schema(self, name: str = "") -> Json:
        """Of the field of this name. `x-seen` says on how many values it rests: thirty that all had a field say 90 % of
        them do, no more."""
        types = sorted(self.types)
        if "integer" in types and "number" in types:
            types.remove("integer")
        found: Json = {"type": types[0] if len(types) == 1 else types}
        if self.fields:
            found["properties"] = {name: each.schema(name) for name, each in sorted(self.fields.items())}
            if always := sorted(name for name, each in self.fields.items() if each.seen == self.types["object"]):
                found["required"] = always
        if self.others:
            found["additionalProperties"] = self.others.schema()
        if self.items and self.items.seen:
            found["items"] = self.items.schema(name)
        if self._are_words() and len(types) == 1 and not _SOMEBODYS.search(name):
            found["enum"] = sorted(self.words)
        elif self.formats:
            found["format"] = min(self.formats)
        return {**found, "x-seen": self.seen}

    def _others(self) -> Shape:
        self.others = self.others or Shape()
        return self.others

    def _add_text(self, value: str) -> None:
        fits = {name for name, pattern in _FORMATS if pattern.fullmatch(value)}
        self.formats = fits if self.formats is None else self.formats & fits
        if len(self.words) <= MOST_WORDS:  # one more than that, and they are no choice
            self.words[value] += 1

    def _are_words(self) -> bool:
        """A few words that come again and again; anything longer could be somebody's."""
        return (
            self.types["string"] >= FEWEST_FOR_WORDS
            and 2 <= len(self.words) <= MOST_WORDS
            and all(times >= FEWEST_EACH for times in self.words.values())
            and all(len(word) <= _LONGEST_WORD and _WORD.fullmatch(word) for word in self.words)
        )


def is_name(text: str) -> bool:
    """Whether this looks like the name of a field, rather than an address or a key that was made for one object."""
    return bool(_NAME.fullmatch(text))


def shape_of(values: Iterable[Any]) -> Shape:
    shape = Shape()
    for value in values:
        shape.add(value)
    return shape


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
