"""Which item of one sequence belongs to which of another, in time that grows with their length and no faster."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from typing import NamedTuple

Items = Sequence[Hashable]
"""Equal for items that are the same."""
Labels = tuple[Items, Items]
"""Equal for items that may be the same item, changed."""


class Alignment(NamedTuple):
    """By position."""

    together: list[tuple[int, int]]
    """Of control and candidate, by control's order."""
    missing: list[int]
    """Of control: the candidate has nothing for it."""
    added: list[int]
    """Of the candidate."""

    def first_crossing(self) -> tuple[int, int] | None:
        """The first pair that comes earlier on the candidate's side than one that it follows on control's."""
        furthest = -1
        for pair in self.together:
            if pair[1] < furthest:
                return pair
            furthest = pair[1]
        return None


def in_order(control: Items, candidate: Items, labels: Labels | None = None) -> Alignment:
    """What is equal at the start and at the end belongs together, and what is between them as in `in_any_order`."""
    shorter = min(len(control), len(candidate))
    start = end = 0
    while start < shorter and control[start] == candidate[start]:
        start += 1
    while end < shorter - start and control[-1 - end] == candidate[-1 - end]:
        end += 1
    middle = _aligned(
        control,
        candidate,
        labels,
        list(range(start, len(control) - end)),
        list(range(start, len(candidate) - end)),
    )
    head = [(index, index) for index in range(start)]
    tail = [(len(control) - back, len(candidate) - back) for back in range(end, 0, -1)]
    return middle._replace(together=[*head, *middle.together, *tail])


def in_any_order(control: Items, candidate: Items, labels: Labels | None = None) -> Alignment:
    """Equal items belong together, in their order; then, of what is left, those with the same label. Without labels
    all are alike."""
    return _aligned(control, candidate, labels, list(range(len(control))), list(range(len(candidate))))


def _aligned(control: Items, candidate: Items, labels: Labels | None, left: list[int], right: list[int]) -> Alignment:
    equal = _matched(control, candidate, left, right)
    labels = labels or ((0,) * len(control), (0,) * len(candidate))
    alike = _matched(*labels, equal.missing, equal.added)
    return alike._replace(together=sorted([*equal.together, *alike.together]))


def _matched(control: Items, candidate: Items, left: list[int], right: list[int]) -> Alignment:
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for index in right:
        waiting[candidate[index]].append(index)
    together, alone = [], []
    for index in left:
        queue = waiting.get(control[index])
        if queue:
            together.append((index, queue.popleft()))
        else:
            alone.append(index)
    return Alignment(together, alone, sorted(index for queue in waiting.values() for index in queue))
