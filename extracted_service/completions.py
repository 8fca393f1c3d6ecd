"""What the provider's JSON says: text or vectors, finish reason, model and usage, or Failed with the reason."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from .errors import Failed
from .sse import Event

LONGEST_MODEL_CHARACTERS = 100  # what the monolith's columns hold
MOST_TOKENS = 2**31 - 1
DIMENSIONS = 256  # of an embedding

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Finish:
    """How a completion ended. Success is proven, never assumed: there is none without a finish reason."""

    finish_reason: str
    model: str
    usage: Usage


@dataclass(frozen=True)
class Completion:
    text: str
    finish: Finish


@dataclass(frozen=True)
class Embeddings:
    vectors: list[list[float]]
    model: str
    usage: Usage


def completion(content: bytes, default_model: str) -> Completion:
    """The completion in the body of a whole answer."""
    answer = _object_in(content)
    choice = _first_choice(answer) or {}
    text = _part(choice, "message").get("content")
    if not isinstance(text, str) or not text.strip() or not _is_storable(text):
        raise Failed("its answer holds no text")
    if not choice.get("finish_reason"):
        raise Failed("its answer has no finish_reason")
    return Completion(text, Finish(str(choice["finish_reason"]), _model(answer, default_model), _usage(answer)))


def embeddings(content: bytes, count: int, default_model: str) -> Embeddings:
    """The vectors of `count` texts in the body of an answer, in the order of the texts."""
    answer = _object_in(content)
    return Embeddings(_vectors(answer.get("data"), count), _model(answer, default_model), _usage(answer))


def quota_is_used_up(refusal: bytes) -> bool:
    """Whether a 429 means "pay first" rather than "not so fast": no wait helps against the former."""
    try:
        answer = json.loads(refusal)
    except (ValueError, RecursionError):
        return False
    error = answer.get("error") if isinstance(answer, dict) else None
    return isinstance(error, dict) and "insufficient_quota" in (error.get("code"), error.get("type"))


class Reading:
    """A streamed completion, chunk by chunk."""

    def __init__(self, default_model: str) -> None:
        self._finish_reason = ""
        self._model = default_model
        self._usage = Usage()

    def text(self, event: Event) -> str:
        """What this chunk adds to the text; "" for one that only tells the role, the end or the usage."""
        if event.name == "error":
            raise Failed("it sent an error in its stream")
        chunk = _object_in(event.data)
        choice = _first_choice(chunk) or {}
        self._finish_reason = str(choice.get("finish_reason") or self._finish_reason)
        self._model = _model(chunk, self._model)
        if chunk.get("usage"):
            self._usage = _usage(chunk)
        text = _part(choice, "delta").get("content") or ""
        if not isinstance(text, str):
            raise Failed("it sent a piece of text that is not text")
        return text

    def finish(self) -> Finish:
        if not self._finish_reason:
            raise Failed("its stream has no finish_reason")
        return Finish(self._finish_reason, self._model, self._usage)


def _object_in(text: bytes | str) -> dict[str, Any]:
    # json, not pydantic: a token may end in half of a surrogate pair, which only the former lets through.
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Failed("it sent something that is not JSON") from None
    if not isinstance(value, dict) or "error" in value:
        raise Failed("it sent an error, or something that is not an object")
    return value


def _first_choice(answer: dict[str, Any]) -> dict[str, Any] | None:
    choices = answer.get("choices") or []
    if not isinstance(choices, list):
        raise Failed("its choices are malformed")
    for choice in choices:
        if not isinstance(choice, dict):
            raise Failed("its choices are malformed")
        if choice.get("index", 0) == 0:
            return choice
    return None


def _is_storable(text: str) -> bool:
    """JSON can escape half of a surrogate pair, which no database stores, and NUL, which PostgreSQL does not."""
    return _UNSTORABLE.search(text) is None


def _vectors(data: Any, count: int) -> list[list[float]]:
    try:
        by_index = {int(item["index"]): [float(number) for number in item["embedding"]] for item in data}
        vectors = [by_index[index] for index in range(count)]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Failed("its embeddings are malformed") from None
    if any(len(vector) != DIMENSIONS or not all(map(math.isfinite, vector)) for vector in vectors):
        raise Failed(f"its embeddings do not have {DIMENSIONS} numbers each")
    return vectors


def _part(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name) or {}
    if not isinstance(value, dict):
        raise Failed(f"its {name} is malformed")
    return value


def _model(answer: dict[str, Any], default: str) -> str:
    model = answer.get("model")
    return model[:LONGEST_MODEL_CHARACTERS] if isinstance(model, str) and model and _is_storable(model) else default


def _usage(answer: dict[str, Any]) -> Usage:
    usage = _part(answer, "usage")
    return Usage(_tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens")))


def _tokens(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0
