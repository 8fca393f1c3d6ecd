"""Who answers, and who gets a copy: the stages of a route, as pure functions of the route and the caller.

| stage     | who answers                                  | who gets a copy                          |
| --------- | -------------------------------------------- | ---------------------------------------- |
| legacy    | legacy                                       | nobody                                   |
| shadow    | legacy                                       | extracted, for `shadow.percent`          |
| split     | extracted for `split.percent` of the callers | extracted, of those that legacy answered |
| reverse   | extracted                                    | legacy, for `shadow.percent`             |
| extracted | extracted                                    | nobody                                   |
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from .buckets import is_inside
from .config import COPIED_UNDECLARED, COPYING, LEGACY, Route, Split
from .fields import CallerKey


class Copied(Enum):
    """Whether a request is copied, and why not, in words for `explain`."""

    YES = "this request is in the share that is copied"
    NOT_IN_STAGE = "nothing is copied in this stage"
    NONE = "the route has no shadow, or one of 0 %"
    NO_OTHER_SIDE = "the extracted upstream answers it itself"
    NOT_DECLARED = "the route does not say what a copy causes (shadow.effects), so only GET and HEAD are copied"
    SAMPLED_OUT = "this request is not in the share that is copied"


class Decision(NamedTuple):
    """For one request: who answers and why (in words for `explain`), who gets a copy, and why nobody does."""

    primary: str
    reason: str
    shadow: str = ""
    """The upstream that gets the copy; empty if there is none."""
    copied: Copied = Copied.NOT_IN_STAGE


class Caller(NamedTuple):
    """What makes a caller the same caller to a route: to its split, and to its shadow. None where that is absent."""

    split: bytes | None = None
    shadow: bytes | None = None


NOBODY_ASKS = Caller()


def decide(route: Route | None, method: str, caller: Caller, exchange_id: int) -> Decision:
    """Who answers a request of `route` (None: unclaimed), and who gets a copy.

    The exchange's id, which is random, samples the requests that have not what the shadow goes by.
    """
    if route is None:
        return _UNCLAIMED
    match route.stage:
        case "legacy":
            return _LEGACY
        case "shadow":
            return _with_copy(_LEGACY, route, route.to, method, caller, exchange_id)
        case "split":
            primary, reason = _side(route.to, route.split, caller.split)
            decision = Decision(primary, reason, copied=Copied.NO_OTHER_SIDE)
            if primary == route.to:
                return decision
            return _with_copy(decision, route, route.to, method, caller, exchange_id)
        case "reverse":
            return _with_copy(Decision(route.to, _EXTRACTED), route, LEGACY, method, caller, exchange_id)
        case "extracted":
            return Decision(route.to, _EXTRACTED)


_UNCLAIMED = Decision(LEGACY, "no route claims it")
_LEGACY = Decision(LEGACY, "everybody is answered by legacy")
_EXTRACTED = "everybody is answered by the extracted upstream"


def _side(extracted: str, split: Split, caller: bytes | None) -> tuple[str, str]:
    if caller is None:
        return LEGACY, "the request has not what the split goes by"
    if is_inside(split.salt.encode() + caller, split.percent):
        return extracted, "this caller is in the extracted upstream's share"
    return LEGACY, "this caller is not in the extracted upstream's share"


def _with_copy(
    decision: Decision, route: Route, shadow: str, method: str, caller: Caller, exchange_id: int
) -> Decision:
    copied = _copied(route, method, caller.shadow, exchange_id)
    return Decision(decision.primary, decision.reason, shadow if copied is Copied.YES else "", copied)


def _copied(route: Route, method: str, caller: bytes | None, exchange_id: int) -> Copied:
    shadow = route.shadow
    if not shadow.percent:
        return Copied.NONE
    if shadow.effects is None and method not in COPIED_UNDECLARED:
        return Copied.NOT_DECLARED
    if caller is None:
        is_sampled = (exchange_id & 0xFFFF_FFFF) * 100 < shadow.percent * 0x1_0000_0000
    else:
        is_sampled = is_inside(shadow.salt.encode() + caller, shadow.percent)
    return Copied.YES if is_sampled else Copied.SAMPLED_OUT


def caller_of(route: Route | None, headers: Iterable[tuple[bytes, bytes]], address: str) -> Caller:
    """What a route goes by in its stage, of one request; nobody looks where no stage asks."""
    if route is None or route.stage not in COPYING:
        return NOBODY_ASKS
    split = _key(route.split.by, headers, address) if route.stage == "split" else None
    return Caller(split, _key(route.shadow.by, headers, address) if route.shadow.by else None)


def _key(by: CallerKey, headers: Iterable[tuple[bytes, bytes]], address: str) -> bytes | None:
    if by.kind == "address":
        return address.encode() or None
    return _cookie(headers, by) if by.kind == "cookie" else _header(headers, by)


def _header(headers: Iterable[tuple[bytes, bytes]], key: CallerKey) -> bytes | None:
    name = key.name.lower().encode()
    return next((value for header, value in headers if header == name), None) or None


def _cookie(headers: Iterable[tuple[bytes, bytes]], key: CallerKey) -> bytes | None:
    prefix = key.name.encode() + b"="
    for header, value in headers:
        if header == b"cookie":
            for pair in value.split(b";"):
                pair = pair.strip()
                if pair.startswith(prefix):
                    return pair[len(prefix) :] or None
    return None
