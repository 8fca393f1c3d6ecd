"""A shadow's live call: what it may use at most, and what it did use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..config import Live
from ..evidence.spending import Used
from ..headers import Headers

BYTES_PER_TOKEN = 3
"""Taken low, so that estimates are high: English has about four, other languages fewer."""
TAIL_BYTES = 65_536
"""Usage stands at the end of an answer."""


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
