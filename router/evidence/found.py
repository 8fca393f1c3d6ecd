"""The differences as they are found: the ignored left out, values kept as the operator said, their number bounded."""

from __future__ import annotations

from typing import Any

from .digests import Values
from .json_values import type_name
from .observations import Difference, Kind
from .rules import Rules, parse_place

MOST_DIFFERENCES = 100
"""Of one comparison. Who has a hundred knows that the answers differ."""


class Found:
    """Collects what one comparison finds, in the order in which it is found."""

    def __init__(self, rules: Rules, values: Values) -> None:
        self.rules = rules
        self.differences: list[Difference] = []
        self._values = values
        self._count = 0

    def __len__(self) -> int:
        """Those above the limit are counted too."""
        return self._count

    def back_to(self, length: int) -> None:
        """Forget what was found since."""
        del self.differences[length:]
        self._count = length

    def missing(self, place: str, control: Any) -> None:
        """Only the control has it."""
        if self._counts(place):
            self._keep(place, Kind.MISSING, control=self._values.kept(place, control))

    def added(self, place: str, candidate: Any) -> None:
        """Only the candidate has it."""
        if self._counts(place):
            self._keep(place, Kind.ADDED, candidate=self._values.kept(place, candidate))

    def value(self, place: str, control: Any, candidate: Any) -> None:
        """Both have it, and not the same."""
        if self._counts(place):
            kept = self._values.kept
            self._keep(place, Kind.VALUE, kept(place, control), kept(place, candidate))

    def types(self, place: str, control: Any, candidate: Any) -> None:
        """They are not even of one type."""
        self.in_clear(place, Kind.TYPE, type_name(control), type_name(candidate))

    def bytes(self, place: str, control: bytes, candidate: bytes) -> None:
        """Contents of which nothing more can be said than their lengths."""
        if self._counts(place):
            kept = [f"{len(side)} bytes {self._values.kept(place, side)}".rstrip() for side in (control, candidate)]
            self._keep(place, Kind.VALUE, *kept)

    def in_clear(self, place: str, kind: Kind, control: str = "", candidate: str = "") -> None:
        """Something that is nobody's secret: a status, a type, a failure's name, a length."""
        if self._counts(place):
            self._keep(place, kind, control, candidate)

    def _counts(self, place: str) -> bool:
        """Whether it is to be kept."""
        if self.rules.ignores(*parse_place(place).words):
            return False
        self._count += 1
        return self._count <= MOST_DIFFERENCES

    def _keep(self, place: str, kind: Kind, control: str = "", candidate: str = "") -> None:
        self.differences.append(Difference(place, kind, control, candidate))
