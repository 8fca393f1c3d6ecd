"""The words of the evidence as data: what an upstream answered, what it asked of others, how two answers differ."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

NOT_ON_TAPE = 599
"""The status that answers a shadow's call which was not sent: no provider says that."""


class Piece(NamedTuple):
    """How far an answer's body had come, and when."""

    seconds: float
    """Since the request was sent."""
    end: int
    """Bytes of the body that had come by then."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An outgoing call that an upstream made while it answered, as the egress saw it."""

    method: str
    path: str
    request: bytes
    """The body that was sent."""
    status: int
    """0: there was no answer."""
    seconds: float
    """From the call to the last byte of its answer: not the upstream's own time."""
    began_seconds: float | None = None
    """Since the request was sent; None if that is not known, and then effects count as one after another."""
    is_on_tape: bool = True
    """Of a shadow's call: it was found on the tape. What was not is never sent, and makes a difference."""
    is_whole: bool = True
    """False: its recording is incomplete, or the tape could not be read: nothing can be concluded from it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one upstream answered to one request, or why it did not."""

    upstream: str
    status: int
    """0: there was no answer."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """In order; names in small letters."""
    body: bytes = b""
    pieces: tuple[Piece, ...] = ()
    seconds: float = 0.0
    """From the request until the last byte of the answer."""
    error: str = ""
    """The name of the failure that ended it, as in `errors.py`; empty if the answer came whole."""
    is_cut_off: bool = False
    """The answer was longer than what is recorded: `body` is its beginning."""
    effects: tuple[Effect, ...] = ()
    """In the order in which they began."""

    def __reduce__(self) -> tuple[type[Observation], tuple[object, ...]]:
        """Every copy is pickled; a dataclass's own way looks up the fields one by one."""
        return Observation, _all_of(self)


_all_of = attrgetter(*(each.name for each in fields(Observation)))


class Kind(StrEnum):
    """In which way a place differs."""

    MISSING = "missing"  # only the control has it
    ADDED = "added"  # only the candidate has it
    TYPE = "type"
    VALUE = "value"
    ORDER = "order"
    FAILED = "failed"  # one side did not answer, or not whole
    BUFFERED = "buffered"  # the candidate delivers at once what the control streamed


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which the candidate's answer, or what it asked of others, is not the control's."""

    place: str
    """`status`, `header content-type`, `body /citations/0/score`, `event 3 delta /text`, `effect 1 body /model`."""
    kind: Kind
    control: str = ""
    """A keyed digest, unless the operator turned values on; empty where there is nothing. In clear: a status,
    a type, a failure's name."""
    candidate: str = ""


class Verdict(StrEnum):
    """Of one comparison."""

    MATCH = "match"
    MISMATCH = "mismatch"
    INCONCLUSIVE = "inconclusive"


class Second(StrEnum):
    """What became of control's second answer, if it was asked for one: of live calls, which never say the same."""

    NONE = ""
    MATCH = "match"
    MISMATCH = "mismatch"  # it is not the same as what the caller got either
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two observations of one exchange, judged; this is what is kept."""

    exchange_id: str
    """The W3C trace id, 32 hexadecimal digits."""
    route: str
    stage: str
    epoch: str
    """Names the builds and the rules that it was made under; evidence of different epochs is never added up."""
    at: float
    """When, in seconds since 1970."""
    control: str
    """The upstream whose answer the caller got."""
    candidate: str
    verdict: Verdict
    reason: str = ""
    """Of an inconclusive one: why nothing can be said."""
    differences: tuple[Difference, ...] = ()
    control_failed: bool = False
    """Or something between the sides did: then a failure of the candidate is not its own."""
    candidate_failed: bool = False
    control_seconds: float = 0.0
    """The side's own time: without the time of its effects."""
    candidate_seconds: float = 0.0
    control_first_seconds: float | None = None
    """Until the first byte of the body, or the first token of a stream."""
    candidate_first_seconds: float | None = None
    control_gap_seconds: float | None = None
    """The longest wait within the answer, between two events of a stream or two pieces of another body."""
    candidate_gap_seconds: float | None = None
    effects: int = 0
    """How many the control had."""
    second: Second = Second.NONE
    """Control's own second answer, against its first; only where copies make real calls."""
