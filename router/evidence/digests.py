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
from .rules import Place, parse_place

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
    """Not shown even then: the names of keys and headers, and places with `*` for any."""
    longest: int = 200
    """Characters of a shown value."""

    def kept(self, place: str, value: Any) -> str:
        """The value at this place as it may be stored."""
        if self.are_shown and not self._is_redacted(parse_place(place)):
            text = value if isinstance(value, str) else _shown(self._open(value))
            return text if len(text) <= self.longest else f"{text[: self.longest]}…"
        if not self.key:
            return ""
        return hmac.new(self.key, canonical(value), sha256).hexdigest()[:DIGEST_LENGTH]

    def _is_redacted(self, place: Place) -> bool:
        names = {name.lower() for name in (*place.words, *(place.steps or ()))}
        return any(
            name in names if "/" not in name and " " not in name else _covers(name, place) for name in self.redacted
        )

    def _open(self, value: Any) -> Any:
        """A value without what is redacted inside it."""
        if isinstance(value, dict):
            return {k: "redacted" if k.lower() in self.redacted else self._open(v) for k, v in value.items()}
        return [self._open(item) for item in value] if isinstance(value, list) else value


def _covers(pattern: str, place: Place) -> bool:
    words, steps = parse_place(pattern)
    wanted, have = (*words, *(steps or ())), (*place.words, *(place.steps or ()))
    return len(wanted) <= len(have) and all(one in ("*", other) for one, other in zip(wanted, have, strict=False))


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)


HIDDEN = Values()
