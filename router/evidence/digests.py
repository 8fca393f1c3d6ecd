"""How the values of a difference are kept: as keyed digests, which say "equal" or "unequal" and nothing else.

Whoever has the key can test a guess, so a digest of a short value is only as secret as the key.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from .json_values import canonical
from .rules import Place, parse_place, parse_pointer

DIGEST_LENGTH = 16
"""Hexadecimal digits: 64 bits."""
REDACTED = (
    "authorization",
    "cookie",
    "set-cookie",
    "password",
    "passwd",
    "secret",
    "token",
    "access_token",
    "refresh_token",
    "api_key",
    "apikey",
    "sessionid",
    "csrftoken",
    "email",
    "phone",
)


@dataclass(frozen=True, slots=True)
class Values:
    """What is kept of a value. Without a key and not shown: nothing."""

    key: bytes = b""
    are_shown: bool = False
    """The operator turned values on."""
    redacted: tuple[str, ...] = REDACTED
    """Not shown even then: the names of keys and headers; JSON pointers, in whatever body; places, with `*` for any."""
    longest: int = 200
    """Characters of a shown value."""

    def kept(self, place: str, value: Any) -> str:
        """The value at this place as it may be stored."""
        if self.are_shown and not self._is_redacted(where := parse_place(place)):
            text = value if isinstance(value, str) else _shown(self._open(value, where))
            return text if len(text) <= self.longest else f"{text[: self.longest]}…"
        if not self.key:
            return ""
        return hmac.new(self.key, canonical(value), sha256).hexdigest()[:DIGEST_LENGTH]

    def _is_redacted(self, place: Place) -> bool:
        return any(_covers(name, place) for name in self.redacted)

    def _open(self, value: Any, place: Place) -> Any:
        """A value without what is redacted inside it."""
        if isinstance(value, (dict, list)):
            if self._is_redacted(place):
                return "redacted"
            items = value.items() if isinstance(value, dict) else enumerate(value)
            opened = {key: self._open(inner, _below(place, str(key))) for key, inner in items}
            return opened if isinstance(value, dict) else list(opened.values())
        return "redacted" if self._is_redacted(place) else value


def _below(place: Place, step: str) -> Place:
    return Place(place.words, (*(place.steps or ()), step))


def _covers(pattern: str, place: Place) -> bool:
    """A name covers whatever is below it; so does a pointer, whose place may be in any body."""
    steps = place.steps or ()
    if "/" not in pattern and " " not in pattern:
        return any(pattern.lower() == name.lower() for name in (*place.words[1:], *steps))
    if pattern.startswith("/"):
        return _begins(steps, parse_pointer(pattern))
    wanted = parse_place(pattern)
    return _begins(place.words, wanted.words) and _begins(steps, wanted.steps or ())


def _begins(steps: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return len(wanted) <= len(steps) and all(one in ("*", step) for one, step in zip(wanted, steps, strict=False))


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)


HIDDEN = Values()
