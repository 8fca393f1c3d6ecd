"""Holds recorded traffic against a promise: what was answered and not promised, and what was promised and not met."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from .compatible import undescribed
from .document import Answer, Broken, Json, Operation, Promise
from .learn import Recorded
from .messages import Finding, grouped


def broken_in(recorded: Sequence[Recorded], promise: Promise, proposed: Json) -> list[Finding]:
    """What was answered and not promised. `proposed` is what was learned from the same traffic: its paths are
    templates, so that nobody's id is said."""
    found = [
        Finding("promise", name, "operation", "is answered, and nobody promised it")
        for name in undescribed(promise, Promise(proposed))
    ]
    for each in recorded:
        if operation := promise.operation(each.method, each.path):
            found += [Finding("promise", operation.name, one.place, one.why) for one in _broken(operation, each)]
    return grouped(found)


def unmet_in(recorded: Sequence[Recorded], promise: Promise) -> tuple[list[str], dict[str, list[str]]]:
    """The promised operations that nobody called, and of the others the promised statuses that nobody got."""
    seen: dict[str, set[str]] = defaultdict(set)
    for each in recorded:
        if operation := promise.operation(each.method, each.path):
            seen[operation.name].add(str(each.status))
    unseen = {each.name: sorted(each.statuses - seen[each.name]) for each in promise.operations if each.name in seen}
    called = {name: statuses for name, statuses in unseen.items() if statuses}
    return [each.name for each in promise.operations if each.name not in seen], called


def _broken(operation: Operation, recorded: Recorded) -> Iterator[Broken]:
    """A recording has the names of headers and not their values, and long or broken off bodies are left out."""
    answer = Answer(recorded.status, [("content-type", recorded.answer_type)], recorded.answer_body)
    for each in operation.broken_by(answer):
        kind, _, name = each.place.partition(" ")
        was_there = kind == "header" and name != "content-type" and name in recorded.headers
        was_left_out = not recorded.answer_body and each.place != "status" and kind != "header"
        if not was_there and not was_left_out:
            yield each
