"""Observations as the tests of the evidence write them."""

from __future__ import annotations

import json
from typing import Any

from ..evidence.compare import compare
from ..evidence.digests import HIDDEN, Values
from ..evidence.observations import Effect, Observation, Piece
from ..evidence.rules import Rules

NO_RULES = Rules()


def answer(body: Any, content_type: str = "application/json", status: int = 200, **fields: Any) -> Observation:
    """An answer; a body that is no bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [(b"content-type", content_type.encode()), *fields.pop("headers", ())]
    return Observation(fields.pop("upstream", "legacy"), status, tuple(headers), content, **fields)


def text(body: str, **fields: Any) -> Observation:
    return answer(body.encode(), "text/plain; charset=utf-8", **fields)


def stream(body: str | bytes, **fields: Any) -> Observation:
    return answer(body if isinstance(body, bytes) else body.encode(), "text/event-stream", **fields)


def paced(body: str | bytes, times: list[float], **fields: Any) -> Observation:
    """A stream of which one event came at each of these times."""
    content = body if isinstance(body, bytes) else body.encode()
    blocks = content.split(b"\n\n")[:-1]
    pieces, end = [], 0
    for block, seconds in zip(blocks, times, strict=True):
        end += len(block) + 2
        pieces.append(Piece(seconds, end))
    return stream(content, pieces=tuple(pieces), seconds=times[-1], **fields)


def call(request: Any, path: str = "/v1/chat/completions", **fields: Any) -> Effect:
    content = request if isinstance(request, bytes) else json.dumps(request).encode()
    known: dict[str, Any] = {"method": "POST", "status": 200, "seconds": 0.0} | fields
    return Effect(path=path, request=content, **known)


def found(
    control: Observation, candidate: Observation, rules: Rules = NO_RULES, values: Values = HIDDEN
) -> list[tuple[str, str]]:
    """The places and kinds of the differences."""
    return [(one.place, str(one.kind)) for one in compare(control, candidate, rules, values)]


def of_json(control: Any, candidate: Any, rules: Rules = NO_RULES) -> list[tuple[str, str]]:
    return found(answer(control), answer(candidate), rules)
