"""A shadow's live call: what it may use at most, and what it did use."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from ..config import Live
from ..errors import EvidenceError
from ..evidence.spending import Used, reserve
from ..evidence.tape import Call, Tape, write_call
from ..headers import Headers

BYTES_PER_TOKEN = 3
"""Taken low, so that estimates are high: English has about four, other languages fewer."""
TAIL_BYTES = 65_536
"""Usage stands at the end of an answer."""


async def admitted(live: Live | None, tape: Tape, call: Call, *, is_too_long: bool) -> tuple[str, str]:
    """What stands against a live call, empty if nothing does, and its model; then it is noted, and counted."""
    if live is None:
        return "there is no [egress] live", ""
    if is_too_long:
        return "it is longer than request_bytes", ""
    model, at_most = estimate(call.request, live)

    def reserved(connection: Connection) -> str:
        refusal = reserve(connection, live, call.id, model, at_most, time.time())
        if not refusal:
            write_call(connection, call)
        return refusal

    try:
        return await tape.change(reserved), model
    except EvidenceError as error:  # what cannot be counted is not spent
        return str(error), model


def estimate(body: bytes, live: Live) -> tuple[str, Used]:
    """The model that is asked for, and how much it may come to."""
    asked = _object(body)
    model = asked.get("model")
    limits = [asked[name] for name in ("max_completion_tokens", "max_tokens") if isinstance(asked.get(name), int)]
    times = asked["n"] if isinstance(asked.get("n"), int) else 1
    answer = 0 if "input" in asked and "messages" not in asked else (limits[0] if limits else live.answer_tokens)
    return model if isinstance(model, str) else "", Used(len(body) // BYTES_PER_TOKEN + 1, max(0, answer * times))


class Usage:
    """Looks on a live answer for what the provider says that it used."""

    def __init__(self) -> None:
        self._tail = b""

    def head(self, status: int, headers: Headers) -> None: ...

    def piece(self, body: bytes) -> None:
        self._tail = (self._tail + body)[-TAIL_BYTES:]

    def used(self) -> Used | None:
        """Of a plain answer or a stream of events; None if it does not say."""
        found = [line.removeprefix(b"data:") for line in self._tail.splitlines() if b'"usage"' in line]
        for text in (self._tail, *reversed(found)):
            usage = _object(text).get("usage")
            if isinstance(usage, Mapping):
                return Used(_number(usage.get("prompt_tokens")), _number(usage.get("completion_tokens")))
        return None


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
