"""Where two JSON values differ: one walk through both at once, with the rules for each place going along.

Objects have no order; arrays have. An item that was put in or taken out of an array is one difference, not one at
every index behind it; the same items in another order are one difference, at the array.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .alignment import in_any_order, in_order
from .found import Found
from .json_values import DEEPEST, NotJson, Repeating, fingerprint, is_same_scalar, type_name
from .observations import Kind
from .rules import Rule, Trees, below, pointer, rule_of

Object = dict[str, Any]
Path = tuple[Any, ...]
"""The steps that led here, last one first: (step, (step, ())). So a step costs the same at any depth."""
LONGEST_STEP = 80
"""Characters of a key that are shown in a place."""
LONGEST_PATTERN = 10_000
"""Characters that a pattern is tried on."""
MOST_WORDS = 1_000
"""That two texts are likened by; what follows must be equal."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?")
"""That a header or a line is; finite as a double."""


def differ(found: Found, prefix: str, control: Any, candidate: Any, trees: Trees) -> None:
    """Adds to `found` where the two values differ. Raises NotJson if they are too deep to be walked through."""
    Walk(found, prefix).compare(control, candidate, (), trees, 0)


class Walk:
    """Through two values that stand at one place, like `body`."""

    def __init__(self, found: Found, prefix: str) -> None:
        self._found = found
        self._prefix = prefix
        self._memory: dict[int, bytes] = {}

    def compare(self, control: Any, candidate: Any, path: Path, trees: Trees, depth: int) -> None:
        """Two values of the same place."""
        if depth > DEEPEST:
            raise NotJson("too deep")
        rule = rule_of(trees) if trees else None
        if rule is not None and _excuses(rule, control, candidate):
            return
        name, other = type_name(control), type_name(candidate)
        if name != other:
            if rule is None or rule.tolerance is None or {name, other} != {"integer", "number"}:
                self._found.types(self._place(path), control, candidate)
            else:
                self._found.value(self._place(path), control, candidate)
        elif name == "object":
            self._objects(control, candidate, path, trees, depth + 1)
        elif name == "array":
            self._arrays(control, candidate, path, trees, depth + 1, is_unordered=rule is not None and rule.unordered)
        elif not is_same_scalar(control, candidate):
            self._found.value(self._place(path), control, candidate)

    def _objects(self, control: Object, candidate: Object, path: Path, trees: Trees, depth: int) -> None:
        for key, value in control.items():
            inner = below(trees, key) if trees else ()
            if key not in candidate:
                if not _is_ignored(inner):
                    self._found.missing(self._place((key, path)), value)
                continue
            other = candidate[key]
            if inner or type(value) is not type(other) or isinstance(value, (dict, list)) or value != other:
                self.compare(value, other, (key, path), inner, depth)
        if len(control) != len(candidate) or control.keys() != candidate.keys():
            for key, value in candidate.items():
                if key not in control and not (trees and _is_ignored(below(trees, key))):
                    self._found.added(self._place((key, path)), value)
        if isinstance(control, Repeating) or isinstance(candidate, Repeating):
            self._repeated(control, candidate, path, trees)

    def _repeated(self, control: Object, candidate: Object, path: Path, trees: Trees) -> None:
        """A key that comes twice on one side only: parsers that take the first one see another answer."""
        for key in control:
            if key not in candidate or (trees and _is_ignored(below(trees, key))):
                continue
            more = _times(candidate, key) - _times(control, key)
            if more > 0:
                self._found.added(self._place((key, path)), candidate[key])
            elif more < 0:
                self._found.missing(self._place((key, path)), control[key])

    def _arrays(
        self, control: list[Any], candidate: list[Any], path: Path, trees: Trees, depth: int, *, is_unordered: bool
    ) -> None:
        if len(control) == len(candidate) and not is_unordered:
            self._same_length(control, candidate, path, trees, depth)
            return
        prints, others = (self._prints(side, trees, depth) for side in (control, candidate))
        aligned = in_any_order(prints, others) if is_unordered else in_order(prints, others)
        for left, right in aligned.together:
            if trees or prints[left] != others[right]:
                inner = below(trees, str(left)) if trees else ()
                self.compare(control[left], candidate[right], (left, path), inner, depth)
        for left in aligned.missing:
            self._found.missing(self._place((left, path)), control[left])
        for right in aligned.added:
            self._found.added(self._place((right, path)), candidate[right])
        if not is_unordered and aligned.first_crossing():
            self._found.in_clear(self._place(path), Kind.ORDER)

    def _same_length(self, control: list[Any], candidate: list[Any], path: Path, trees: Trees, depth: int) -> None:
        before, differing = len(self._found), []
        for index, (one, other) in enumerate(zip(control, candidate, strict=True)):
            so_far = len(self._found)
            self.compare(one, other, (index, path), below(trees, str(index)) if trees else (), depth)
            if len(self._found) > so_far:
                differing.append(index)
        if len(differing) > 1:
            prints, others = (self._prints(side, trees, depth, differing) for side in (control, candidate))
            if Counter(prints) == Counter(others):
                self._found.back_to(before)
                self._found.in_clear(self._place(path), Kind.ORDER)

    def _prints(self, items: list[Any], trees: Trees, depth: int, some: Iterable[int] | None = None) -> list[bytes]:
        return [
            fingerprint(items[index], below(trees, str(index)) if trees else (), self._memory, depth)
            for index in (range(len(items)) if some is None else some)
        ]

    def _place(self, path: Path) -> str:
        steps = []
        while path:
            step = str(path[0])
            steps.append(step if len(step) <= LONGEST_STEP else f"{step[:LONGEST_STEP]}…")
            path = path[1]
        return f"{self._prefix} {pointer(tuple(reversed(steps)))}" if steps else self._prefix


def _is_ignored(trees: Trees) -> bool:
    rule = rule_of(trees)
    return rule is not None and rule.ignore


def _times(value: Object, key: str) -> int:
    return value.times[key] if isinstance(value, Repeating) else 1


def _excuses(rule: Rule, control: Any, candidate: Any) -> bool:
    """Whether the two are the same by this rule."""
    if rule.ignore:
        return True
    if rule.type_only:
        return type_name(control) == type_name(candidate)
    if rule.tolerance is not None:
        numbers = all(type(value) in (int, float) for value in (control, candidate))
        return numbers and rule.tolerance.allows(control, candidate)
    if not isinstance(control, str) or not isinstance(candidate, str):
        return False
    return excuses_text(rule, control, candidate)


def excuses_text(rule: Rule, control: str, candidate: str) -> bool:
    """Whether two texts are the same by a rule for texts."""
    if rule.ignore or rule.type_only:
        return True
    if rule.tolerance is not None:
        numbers = all(_NUMBER.fullmatch(text) for text in (control, candidate))
        return numbers and rule.tolerance.allows(float(control), float(candidate))
    if rule.pattern is not None:
        return all(len(text) <= LONGEST_PATTERN and re.fullmatch(rule.pattern, text) for text in (control, candidate))
    return rule.similarity is not None and _likeness(control, candidate) >= rule.similarity


def _likeness(control: str, candidate: str) -> float:
    """The share of words that two texts have in common, in order."""
    left, right = control.split(), candidate.split()
    if left[MOST_WORDS:] != right[MOST_WORDS:]:
        return 0.0
    matcher = difflib.SequenceMatcher(None, left[:MOST_WORDS], right[:MOST_WORDS], autojunk=False)
    return matcher.ratio()
