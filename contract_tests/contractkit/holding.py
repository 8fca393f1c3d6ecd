"""Holds everybody to the promise, and to each other: requests go in, findings come out, and what was exercised."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from router.evidence.compare import failure
from router.evidence.observations import Difference, Observation
from router.evidence.timing import first_seconds

from . import deviations as deviating
from .consumers import Consumer, hurt_by, noticing
from .deviations import Deviation
from .document import Broken, Operation, Promise
from .messages import Finding, grouped
from .parity import Exchange, differences, put
from .places import pointer_of, word
from .targets import Request, Target, answer_of


@dataclass(frozen=True)
class Terms:
    """What answers are held against."""

    promise: Promise
    deviations: Sequence[Deviation] = ()
    consumers: Sequence[Consumer] = ()


@dataclass
class Report:
    """What a run has found, and what it has tried."""

    findings: list[Finding] = field(default_factory=list)
    exercised: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By operation, target and status."""
    requests: int = 0
    used: set[str] = field(default_factory=set)
    """The ids of deviations that excused something."""

    def add(self, other: Report) -> None:
        self.findings = grouped([*self.findings, *other.findings])
        self.exercised += other.exercised
        self.requests += other.requests
        self.used |= other.used


def hold(terms: Terms, targets: Sequence[Target], requests: Iterable[Request], pytest: str = "") -> Report:
    """Put each request to every target, and find what is broken and what differs. `pytest` repeats it."""
    report = Report()
    found: list[Finding] = []
    for request in requests:
        exchange = put(terms.promise, request, targets)
        report.requests += 1
        found += judged(terms, targets, exchange, pytest, report)
    report.findings = grouped(found)
    return report


def judged(
    terms: Terms, targets: Sequence[Target], exchange: Exchange, pytest: str, report: Report
) -> Iterator[Finding]:
    """What one exchange shows; what it exercised goes into the report."""
    sites = {target.name: target.url for target in targets}
    by = {target.name: exchange.request.by(target.headers) for target in targets}
    operation = exchange.operation
    left, used, accepted = deviating.excuse(exchange, list(differences(exchange, sites)), terms.deviations)
    report.used |= used
    for name, answer in exchange.answers.items():
        if operation is not None:
            report.exercised[operation.name, name, answer.status] += 1
        for place, why in _broken(terms, exchange, name):
            if place == "status" and name in accepted:
                continue
            yield Finding(
                "promise",
                exchange.name,
                place,
                f"{name} {why}",
                {name: _shown(exchange, name, place)},
                word(operation, answer.status, place),
                noticing(terms.consumers, operation, answer.status, place),
                by[name].curl(sites[name]),
                pytest,
            )
    for control, candidate, difference in left:
        status = exchange.answers[control].status
        yield Finding(
            "parity",
            exchange.name,
            difference.place,
            f"{candidate} differs from {control} ({difference.kind})",
            _both(exchange, control, candidate, difference),
            word(operation, status, difference.place),
            noticing(terms.consumers, operation, status, difference.place),
            by[candidate].curl(sites[candidate]),
            pytest,
        )


def _broken(terms: Terms, exchange: Exchange, name: str) -> Iterator[tuple[str, str]]:
    answer, operation = exchange.answers[name], exchange.operation
    if failed := failure(answer):
        yield "answer", f"did not answer, or not to the end: {failed}"
        return
    if operation is None:
        return
    broken = [*operation.broken_by(answer_of(answer)), *_late(operation, answer)]
    yield from ((each.place, f"breaks its promise: {each.why}") for each in broken)
    if not broken:
        for consumer in terms.consumers:
            for each in hurt_by(consumer, operation, answer_of(answer), terms.promise):
                yield each.place, each.says


def _late(operation: Operation, answer: Observation) -> Iterator[Broken]:
    limit, first = operation.first_event_within_seconds(answer.status), first_seconds(answer)
    if limit is not None and first is not None and first > limit:
        why = f"the first one came after {first:.3f} s; x-first-event-within-ms allows {limit:.3f} s"
        yield Broken("events", why)


def _both(exchange: Exchange, control: str, candidate: str, difference: Difference) -> dict[str, str]:
    if difference.place != "status":
        return {control: difference.control, candidate: difference.candidate}
    return {name: _shown(exchange, name, "status") for name in (control, candidate)}


def _shown(exchange: Exchange, name: str, place: str) -> str:
    """The value at a place of an answer, as far as it can be shown in a line."""
    answer = exchange.answers[name]
    if place == "status":
        return f"{answer.status}  {answer.body[:120].decode('utf-8', 'replace')!r}"
    if place.startswith("header "):
        return ", ".join(answer_of(answer).values(place.split()[1]))
    if place.startswith("body"):
        try:
            value = json.loads(answer.body)
            for step in pointer_of(place):
                value = value[int(step)] if isinstance(value, list) else value[step]
            return json.dumps(value, ensure_ascii=False)[:160]
        except (ValueError, KeyError, IndexError, TypeError):
            pass
    return repr(answer.body[:160].decode("utf-8", "replace"))


def lacking(terms: Terms, report: Report) -> Iterator[Finding]:
    """What has to be said of a run that tried too little: nothing at all, or an operation that never succeeded."""
    if not report.requests:
        yield Finding("coverage", "every operation", "run", "not one request was made, so nothing was shown")
        return
    for operation in terms.promise.operations:
        seen = {status for (name, _, status) in report.exercised if name == operation.name}
        if not seen:
            yield Finding("coverage", operation.name, "operation", "no request exercised it")
        elif not any(200 <= status < _failures(operation) for status in seen):
            yield Finding("coverage", operation.name, "operation", "no request to it succeeded")


def _failures(operation: Operation) -> int:
    """Where they begin: a redirect is a success only where there is no other."""
    return 300 if any(status.startswith("2") for status in operation.statuses) else 400


def never_seen(terms: Terms, report: Report) -> dict[str, list[str]]:
    """By operation, the promised statuses that nobody answered."""
    seen: dict[str, set[str]] = {}
    for name, _, status in report.exercised:
        seen.setdefault(name, set()).add(str(status))
    unseen = {each.name: sorted(each.statuses - seen.get(each.name, set())) for each in terms.promise.operations}
    return {name: statuses for name, statuses in unseen.items() if statuses}


def finished(terms: Terms, report: Report, today: date, *, tried_all: bool) -> Report:
    """With what can only be said at the end; `tried_all` if whatever shows a deviation was tried."""
    ends = deviating.problems(terms.deviations, report.used if tried_all else None, today)
    report.findings = [*report.findings, *lacking(terms, report), *ends]
    return report
