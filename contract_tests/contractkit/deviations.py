"""Deliberate differences between the sides: each with both values, a reason, an owner, and its last day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from router.evidence.observations import Difference

from .files import text_of
from .messages import Finding
from .parity import Exchange

LONGEST = timedelta(days=180)
WARNING = timedelta(days=14)

REWRITES: Mapping[str, Callable[[str], str]] = {
    "media-type-parameters": lambda value: value.partition(";")[0].strip().lower(),
    "milliseconds": lambda value: re.sub(r"(:\d\d\.\d{3})\d+", r"\1", value),
    "utc-offset": lambda value: re.sub(r"\+00:00$", "Z", value),
}
"""What is done to both values before they are compared; there are no others."""

_FIELDS = {
    "id",
    "title",
    "operations",
    "when",
    "at",
    "answers",
    "rewrite",
    "reason",
    "owner",
    "consumers",
    "decided",
    "expires",
}


class DeviationsError(Exception):
    """The file cannot be used; the sentence says where and why."""


@dataclass(frozen=True)
class Deviation:
    """One accepted difference."""

    id: str
    title: str
    operations: tuple[str, ...]
    at: str
    """The place, with `*` for any one word or step; or `answer`, all of it: then what is told are the statuses."""
    answers: Mapping[str, frozenset[str]]
    """What each target answers there. Any other value is a finding."""
    rewrite: str
    when: str
    """A regular expression over the request's first line and headers, or nothing."""
    reason: str
    owner: str
    consumers: tuple[str, ...]
    """Who was asked whether they mind."""
    decided: date
    expires: date
    """Its last day."""

    def is_about(self, exchange: Exchange) -> bool:
        request = exchange.request
        names = {exchange.name, f"{request.method} {request.path}", "*"}
        return bool(names & set(self.operations)) and re.search(self.when, request.head) is not None

    def covers(self, exchange: Exchange, control: str, candidate: str, difference: Difference) -> bool:
        if not self.is_about(exchange):
            return False
        if self.at == "answer":
            return all(
                str(exchange.answers[side].status) in self.answers.get(side, ()) for side in (control, candidate)
            )
        if not _is_at(self.at, difference.place):
            return False
        if self.rewrite:
            same = REWRITES[self.rewrite]
            return same(difference.control) == same(difference.candidate)
        observed = {control: difference.control, candidate: difference.candidate}
        return all(value in self.answers.get(side, ()) for side, value in observed.items())


def load(file: Path) -> tuple[Deviation, ...]:
    """Raises DeviationsError for the first entry that cannot be used. Whether one expired is for `problems`."""
    try:
        entries = yaml.safe_load(text_of(file)) or []
    except OSError as error:
        raise DeviationsError(f"{file} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise DeviationsError(f"{file} is not YAML: {error}") from None
    if not isinstance(entries, list):
        raise DeviationsError(f"{file} holds no list")
    found = tuple(_deviation(entry) for entry in entries)
    ids = [each.id for each in found]
    if twice := {each for each in ids if ids.count(each) > 1}:
        raise DeviationsError(f"there is more than one {min(twice)}")
    return found


def excuse(
    exchange: Exchange, found: Sequence[tuple[str, str, Difference]], deviations: Sequence[Deviation]
) -> tuple[list[tuple[str, str, Difference]], set[str], set[str]]:
    """What is left of the differences; the ids of the deviations that took the others away; and the targets whose
    status is accepted, even where it is not promised."""
    used: set[str] = set()
    left = []
    for each in found:
        by = next((deviation for deviation in deviations if deviation.covers(exchange, *each)), None)
        if by is None:
            left.append(each)
        else:
            used.add(by.id)
    whole = [each for each in deviations if each.at == "answer" and each.is_about(exchange)]
    accepted = {
        name
        for name, answer in exchange.answers.items()
        if any(str(answer.status) in each.answers.get(name, ()) for each in whole)
    }
    return left, used, accepted


def problems(deviations: Sequence[Deviation], used: set[str] | None, today: date) -> Iterator[Finding]:
    """The entries that may not stay as they are; `used` is None if not everything was tried."""
    for each in deviations:
        if each.expires < today:
            yield _finding(each, f"its last day was {each.expires}: the difference must be gone, or decided anew")
        elif used is not None and each.id not in used:
            yield _finding(each, "no answer showed this difference: the entry excuses nothing any more")


def soon(deviations: Sequence[Deviation], today: date) -> list[Deviation]:
    """Those that end within two weeks: time to talk to their owners."""
    return [each for each in deviations if today <= each.expires <= today + WARNING]


def _finding(deviation: Deviation, says: str) -> Finding:
    return Finding("deviation", ", ".join(deviation.operations), deviation.id, f"{says} (owner: {deviation.owner})")


def _deviation(entry: Any) -> Deviation:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise DeviationsError(f"{entry!r} has no id")
    where = entry["id"]
    if unknown := set(entry) - _FIELDS:
        raise DeviationsError(f"{where}: {min(unknown)} is no field of a deviation")
    needed = {"title", "operations", "at", "reason", "owner", "consumers", "decided", "expires"}
    if lacking := {name for name in needed if not entry.get(name)}:
        raise DeviationsError(f"{where}: {min(lacking)} is missing")
    decided, expires, answers, rewrite = (
        entry["decided"],
        entry["expires"],
        entry.get("answers", {}),
        entry.get("rewrite", ""),
    )
    if not isinstance(decided, date) or not isinstance(expires, date) or expires > decided + LONGEST:
        raise DeviationsError(f"{where}: decided and expires must be days, at most {LONGEST.days} days apart")
    if bool(rewrite) == bool(answers) or (answers and len(answers) < 2):
        raise DeviationsError(f"{where}: write what each side answers, or a rewrite: {', '.join(REWRITES)}")
    if rewrite and rewrite not in REWRITES:
        raise DeviationsError(f"{where}: {rewrite} is no rewrite; there are {', '.join(REWRITES)}")
    try:
        re.compile(entry.get("when", ""))
    except re.error as error:
        raise DeviationsError(f"{where}: when is no regular expression: {error}") from None
    return Deviation(
        id=where,
        title=entry["title"],
        operations=tuple(entry["operations"]),
        at=entry["at"],
        answers={
            name: frozenset(map(str, value if isinstance(value, list) else [value])) for name, value in answers.items()
        },
        rewrite=rewrite,
        when=entry.get("when", ""),
        reason=entry["reason"],
        owner=entry["owner"],
        consumers=tuple(entry["consumers"]),
        decided=decided,
        expires=expires,
    )


def _is_at(pattern: str, place: str) -> bool:
    wanted = "".join("[^/ ]+" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern))
    return re.fullmatch(wanted, place) is not None
