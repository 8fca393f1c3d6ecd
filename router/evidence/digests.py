"""How the values of a difference are kept: as keyed digests, which say "equal" or "unequal" and nothing else.

Whoever has the key can test a guess, so a digest of a short value is only as secret as the key.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from .json_values import canonical
from .rules import Place, parse_place, parse_pointer

DIGEST_LENGTH = 16
"""Hexadecimal digits: 64 bits."""
REDACTED = (
    "authorization",
    "bearer",
    "cookie",
    "password",
    "passwd",
    "secret",
    "token",
    "jwt",
    "api_key",
    "apikey",
    "session",
    "sessionid",
    "csrf",
    "csrftoken",
    "csrfmiddlewaretoken",
    "email",
    "phone",
)
"""By the words of a name: `token` is also for `refreshToken` and `X-Auth-Token`, and not for `total_tokens`."""


_DIGEST = re.compile(rf"(^| )[0-9a-f]{{{DIGEST_LENGTH}}}$")


def in_clear(kept: str) -> str:
    """What somebody can read of a kept value, on one line; nothing of a digest. It may have come from anybody, so
    nothing of it moves a terminal's cursor."""
    text = _DIGEST.sub("", kept)
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return text if text == text.strip() else f'"{text}"'


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
            if where.steps is not None or not isinstance(value, str | bytes) or not self._speaks_of_secrets(text):
                return text if len(text) <= self.longest else f"{text[: self.longest]}…"
        if not self.key:
            return ""
        return hmac.new(self.key, canonical(value), sha256).hexdigest()[:DIGEST_LENGTH]

    def _is_redacted(self, place: Place) -> bool:
        return any(_covers(name, place) for name in self.redacted)

    def _speaks_of_secrets(self, text: str) -> bool:
        """Whether a line or a whole content names one: `<input name="csrfmiddlewaretoken" …>`, `password=…`."""
        words = _words(text)
        return any(_are_in(_words(name), words) for name in self.redacted if _is_name(name))

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
    if _is_name(pattern):
        wanted_words = _words(pattern)
        return any(_are_in(wanted_words, _words(name)) for name in (*place.words[1:], *steps))
    if pattern.startswith("/"):
        return _begins(steps, parse_pointer(pattern))
    wanted = parse_place(pattern)
    return _begins(place.words, wanted.words) and _begins(steps, wanted.steps or ())


def _is_name(pattern: str) -> bool:
    return "/" not in pattern and " " not in pattern


def _words(name: str) -> list[str]:
    """`accessToken`, `access_token` and `Access-Token` are the same two."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())


def _are_in(wanted: list[str], words: list[str]) -> bool:
    """One after the other."""
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))


def _begins(steps: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return len(wanted) <= len(steps) and all(one in ("*", step) for one, step in zip(wanted, steps, strict=False))


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)


HIDDEN = Values()
