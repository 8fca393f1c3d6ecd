"""What "the same" means: two answers to one request, and what was asked of others for them.

| part     | the same, if                                                                                         |
| -------- | ---------------------------------------------------------------------------------------------------- |
| answer   | both came, and came whole                                                                            |
| status   | the number is equal                                                                                  |
| headers  | those of the rules' list are equal, as a client or a cache reads them; of cookies, the names         |
| body     | JSON: the structure is equal (`structure.py`); an event stream: what it says is, by events and never |
|          | by chunks (`event_streams.py`); JSON by line: every line's structure; a text: every line; anything   |
|          | else: every byte. gzip and deflate are taken off before                                              |
| delivery | the candidate does not hold back what the control streamed (`timing.py`)                             |
| effects  | as many calls, each to the same place and with the same content, in any order                        |

What a route's rules excuse is no difference. Everything here is a pure function of its arguments.
"""

from __future__ import annotations

from .alignment import in_any_order
from .bodies import differ_bodies, differ_contents, header, is_excused
from .digests import HIDDEN, Values
from .event_streams import word
from .found import Found
from .json_values import NotJson, fingerprint, parse
from .observations import Difference, Effect, Kind, Observation
from .rules import Rules
from .timing import is_buffered

_LISTS = ("allow", "cache-control", "vary", "content-language")
"""Headers whose items have no order, and no capitals."""

_ALWAYS_UTF_8 = ("application/json", "text/event-stream")
"""Whatever they say: RFC 8259 §11, and the HTML standard on event streams. Some frameworks say it, some do not."""

NO_CONTENT = 204
LONGER = 2
"""What is recorded to its limit, and is by then so many times longer than the other side's whole, is another body."""


def compare(
    control: Observation, candidate: Observation, rules: Rules, values: Values = HIDDEN
) -> tuple[Difference, ...]:
    """Every place in which the candidate's answer, or what it asked of others, is not the control's."""
    found = Found(rules, values)
    failures = failure(control), failure(candidate)
    if failures[0] != failures[1]:
        told = (name or str(side.status) for name, side in zip(failures, (control, candidate), strict=True))
        found.in_clear("answer", Kind.FAILED, *told)
    if control.status and candidate.status:
        _differ_heads(found, control, candidate)
        if not any(failures):
            _differ_bodies(found, control, candidate)
    _differ_effects(found, control.effects, candidate.effects)
    return tuple(found.differences)


def failure(observation: Observation) -> str:
    """The name of what kept an answer from coming whole; empty if it came."""
    return observation.error or ("" if observation.status else "NoAnswer")


def _differ_heads(found: Found, control: Observation, candidate: Observation) -> None:
    if control.status != candidate.status:
        found.in_clear("status", Kind.VALUE, str(control.status), str(candidate.status))
    for name in (name.lower() for name in found.rules.headers):
        one, other = (header(side, name.encode()).decode("latin-1") for side in (control, candidate))
        if _meaning(name, one) == _meaning(name, other):
            continue
        if name == "content-type" and control.status == candidate.status == NO_CONTENT:
            continue  # of nothing
        if one and other and is_excused(found, f"header {name}", one, other):
            continue
        if one and other:
            found.value(f"header {name}", one, other)
        elif one:
            found.missing(f"header {name}", one)
        else:
            found.added(f"header {name}", other)
    ours, theirs = _cookies(control), _cookies(candidate)
    for name in sorted(ours - theirs):
        found.missing(f"header set-cookie {name}", name)
    for name in sorted(theirs - ours):
        found.added(f"header set-cookie {name}", name)


def _meaning(name: str, value: str) -> object:
    """What a client or a cache reads in a header."""
    if name in _LISTS:
        return frozenset(item.strip().lower() for item in value.split(",") if item.strip())
    if name == "content-type":
        media_type, *parameters = (part.strip().lower() for part in value.split(";"))
        said = {part.replace('"', "").replace(" ", "") for part in parameters if part}
        if media_type in _ALWAYS_UTF_8:
            said.discard("charset=utf-8")
        return media_type, frozenset(said)
    return value


def _cookies(observation: Observation) -> set[str]:
    lines = (value.decode("latin-1") for name, value in observation.headers if name == b"set-cookie")
    return {word(line.partition("=")[0].strip()) for line in lines}


def _differ_bodies(found: Found, control: Observation, candidate: Observation) -> None:
    if not control.is_cut_off and not candidate.is_cut_off:
        differ_bodies(found, control, candidate)
        if is_buffered(control, candidate):
            found.in_clear("body", Kind.BUFFERED)
    elif control.is_cut_off != candidate.is_cut_off:
        cut, whole = (control, candidate) if control.is_cut_off else (candidate, control)
        if len(cut.body) > LONGER * len(whole.body):
            lengths = (f"{len(side.body)} bytes{' and more' * side.is_cut_off}" for side in (control, candidate))
            found.in_clear("body", Kind.VALUE, *lengths)


def _differ_effects(found: Found, control: tuple[Effect, ...], candidate: tuple[Effect, ...]) -> None:
    """Calls may be made side by side, so they belong together by what they ask, not by when."""
    ours, theirs = [_print(found, effect) for effect in control], [_print(found, effect) for effect in candidate]
    addresses = [effect[:2] for effect in ours], [effect[:2] for effect in theirs]
    together, missing, added = in_any_order(ours, theirs, addresses)
    # Calls to different addresses may still be one call that went astray.
    for left, right in (*together, *zip(missing, added, strict=False)):
        _differ_effect(found, left + 1, control[left], candidate[right])
    both = min(len(missing), len(added))
    for left in missing[both:]:
        found.missing(f"effect {left + 1}", f"{control[left].method} {control[left].path}")
    for right in added[both:]:
        found.added(f"effect {right + 1}", f"{candidate[right].method} {candidate[right].path}")


def _print(found: Found, effect: Effect) -> tuple[str, str, bytes]:
    tree = found.rules.under("effect", "*", "body")
    try:
        body = fingerprint(parse(effect.request), () if tree is None else (tree,))
    except NotJson:
        body = effect.request
    return effect.method, effect.path, body


def _differ_effect(found: Found, number: int, control: Effect, candidate: Effect) -> None:
    before = len(found)
    for part in ("method", "path"):
        if getattr(control, part) != getattr(candidate, part):
            found.value(f"effect {number} {part}", getattr(control, part), getattr(candidate, part))
    if control.request != candidate.request:
        differ_contents(found, f"effect {number} body", control.request, candidate.request)
    if not candidate.is_on_tape and len(found) == before:
        found.in_clear(f"effect {number}", Kind.FAILED, "on the tape", "not on the tape")
