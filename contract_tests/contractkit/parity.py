"""One request put to several targets, and where their answers differ, as the router's evidence sees it.

There is one definition of "the same" in the house, `router.evidence.compare`; this module only says which places of
an operation's answers cannot be equal (`x-parity` in the promise), and which headers callers rely on.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from router.evidence.compare import compare
from router.evidence.digests import Values
from router.evidence.observations import Difference, Observation
from router.evidence.rules import HEADERS, Rule, Rules

from .document import Operation, Promise
from .targets import Request, Target

_CALLERS_RELY_ON = (
    *HEADERS,
    "cross-origin-opener-policy",
    "referrer-policy",
    "x-accel-buffering",
    "x-content-type-options",
    "x-frame-options",
)
_VALUES = Values(secrets.token_bytes(16), are_shown=True)
"""Shown but for names like `token` or `email`: of those only whether they are equal."""


NOTHING_PROMISED = "(nothing promised)"
TRIES = 5
"""Of a request whose answer can be lost."""


@dataclass(frozen=True)
class Exchange:
    """One request and what each target answered."""

    request: Request
    operation: Operation | None
    answers: Mapping[str, Observation]
    """By target, in the order of the targets; the first is the one that the others are compared with."""

    @property
    def name(self) -> str:
        """Of what it is about. What nobody promised is about one thing, whatever the path: who is asked for what is not
        there answers it alike everywhere, and one decision is enough."""
        return self.operation.name if self.operation else f"{self.request.method} {NOTHING_PROMISED}"


def put(promise: Promise, request: Request, targets: Sequence[Target]) -> Exchange:
    """To one after the other: whoever comes second finds what the first has left."""
    operation = promise.operation(request.method, request.path)
    return Exchange(request, operation, {target.name: _answer(target, request) for target in targets})


def _answer(target: Target, request: Request) -> Observation:
    answer = target.send(request)
    for _ in range(TRIES - 1 if request.may_be_answered_early else 0):
        if answer.status not in (0, 502) and not answer.error:
            break
        answer = target.send(request)
    return answer


def differences(exchange: Exchange, sites: Mapping[str, str]) -> Iterator[tuple[str, str, Difference]]:
    """Control, candidate and place, for each place in which one of the others does not answer as the first does.

    A target's own address (`sites`) in its answers is as good as the first one's in its own. Of two answers with
    different statuses nothing else is said: what else differs follows from it.
    """
    (first, control), *others = exchange.answers.items()
    rules = rules_for(exchange.operation, control.status)
    for name, candidate in others:
        found = compare(control, _at_home(candidate, sites[name], sites[first]), rules, _VALUES)
        statuses = [each for each in found if each.place == "status"]
        yield from ((first, name, each) for each in statuses or found)


def _at_home(observation: Observation, own: str, other: str) -> Observation:
    old, new = own.encode(), other.encode()
    headers = tuple((name, value.replace(old, new)) for name, value in observation.headers)
    return replace(observation, headers=headers, body=observation.body.replace(old, new))


def rules_for(operation: Operation | None, status: int) -> Rules:
    """What cannot be equal in an operation's answers of this status."""
    excused = []
    response = operation.response(str(status)) if operation is not None else None
    for place, reason in (response or {}).get("x-parity", {}).items():
        is_header = place.startswith("header ")
        excused.append(Rule(at=place, ignore=is_header, type_only=not is_header, reason=reason))
    return Rules(rules=tuple(excused), headers=_CALLERS_RELY_ON)
