"""The blocking client of the LLM provider (OpenAI wire format): complete, stream, embed.

One call is one attempt with one deadline. Whatever goes wrong is one of the three errors in errors.py.
Success is proven, never assumed: a finish reason and, in a stream, the closing [DONE].
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import httpx
from django.conf import settings

from legacy_app import telemetry
from legacy_app.assistant import spans, sse
from legacy_app.assistant.deadline import Deadline, cut_at
from legacy_app.assistant.errors import Busy, Failed, TimedOut
from legacy_app.knowledge.fields import DIMENSIONS

DEFAULT_RETRY_AFTER_SECONDS = 5
MAX_ANSWER_BYTES = 16_777_216
MAX_MODEL_CHARACTERS = 100
MAX_TOKENS = 2**31 - 1
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Completion:
    text: str
    finish_reason: str
    model: str
    usage: Usage


@dataclass(frozen=True)
class Delta:
    text: str


@dataclass(frozen=True)
class Finished:
    finish_reason: str
    model: str
    usage: Usage


@dataclass(frozen=True)
class Embeddings:
    vectors: list[list[float]]
    model: str
    usage: Usage


def deadline() -> Deadline:
    return Deadline.after(settings.LLM_TIMEOUT_SECONDS)


def complete(
    messages: Messages,
    *,
    temperature: float,
    max_tokens: int,
    until: Deadline,
    response_format: dict | None = None,
) -> Completion:
    body = _chat(messages, temperature, max_tokens)
    if response_format is not None:
        body["response_format"] = response_format
    with spans.model_call(spans.CHAT, settings.LLM_MODEL) as call:
        with _post("/chat/completions", body, until, call) as response:
            answer = _json_object(_content(response))
        completion = _completion(answer)
        call.answered(completion)
    return completion


def stream(messages: Messages, *, temperature: float, max_tokens: int, until: Deadline) -> Iterator[Delta | Finished]:
    """A Delta per chunk as it comes (its text may be empty), at last one Finished.

    Close it to hang up on the provider.
    """
    body = _chat(messages, temperature, max_tokens)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    finished = Finished("", settings.LLM_MODEL, Usage())
    with (
        spans.model_call(spans.CHAT, settings.LLM_MODEL, stream=True) as call,
        _post("/chat/completions", body, until, call) as response,
    ):
        for event in sse.events(response.iter_bytes()):
            call.chunk()
            if event.data == "[DONE]":
                break
            chunk = _chunk(event)
            finished = _noted(finished, chunk)
            yield Delta(_text(chunk))
        else:
            raise Failed("The provider's stream ended without [DONE].")
        if not finished.finish_reason:
            raise Failed("The provider's stream has no finish_reason.")
        call.answered(finished)
    yield finished


def embed(texts: Sequence[str], *, until: Deadline) -> Embeddings:
    """One vector of DIMENSIONS numbers per text, in the order of the texts."""
    body = {"model": settings.LLM_EMBEDDING_MODEL, "input": list(texts), "dimensions": DIMENSIONS}
    with spans.model_call(spans.EMBEDDINGS, settings.LLM_EMBEDDING_MODEL) as call:
        with _post("/embeddings", body, until, call) as response:
            answer = _json_object(_content(response))
        vectors = _vectors(answer.get("data"), len(texts))
        embeddings = Embeddings(vectors, _model(answer, settings.LLM_EMBEDDING_MODEL), _usage(answer))
        call.answered(embeddings)
    return embeddings


def _chat(messages: Messages, temperature: float, max_tokens: int) -> dict[str, Any]:
    return {
        "model": settings.LLM_MODEL,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


@contextmanager
def _post(path: str, body: dict, until: Deadline, call: spans.ModelCall) -> Iterator[httpx.Response]:
    with cut_at(until) as cut:
        try:
            request = _client().build_request(
                "POST",
                settings.LLM_BASE_URL + path,
                json=body,
                headers={"Authorization": f"Bearer {settings.LLM_API_KEY}"},
                timeout=until.remaining_seconds(),
                extensions={"trace": cut.trace},
            )
            with call.current():
                response = _client().send(request, stream=True)
            with closing(response):
                _check_status(response)
                yield response
        except httpx.TimeoutException as error:
            raise TimedOut("The provider did not answer in time.") from error
        except (httpx.HTTPError, sse.EventTooLongError, Failed) as error:
            if cut.made:  # then the broken connection is our own doing
                raise TimedOut("The provider did not finish in time.") from error
            raise Failed(f"The provider's answer could not be used: {error}") from error


@lru_cache(maxsize=1)
def _client() -> httpx.Client:
    """One per process: making one loads the certificates, which takes longer than a short call.

    No connection is kept: a call must see its own connection being made, to be able to cut it.
    """
    return telemetry.instrument(httpx.Client(limits=httpx.Limits(max_keepalive_connections=0)))


def _completion(answer: dict[str, Any]) -> Completion:
    choice = _first_choice(answer)
    if choice is None:
        raise Failed("The provider's answer holds no choice.")
    text = _object(choice, "message").get("content")
    if not isinstance(text, str) or not text.strip() or not _is_storable(text):
        raise Failed("The provider's answer holds no text.")
    if not choice.get("finish_reason"):
        raise Failed("The provider's answer has no finish_reason.")
    return Completion(text, str(choice["finish_reason"]), _model(answer, settings.LLM_MODEL), _usage(answer))


def _check_status(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise Busy(retry_after_seconds(response.headers.get("Retry-After", ""), datetime.now(UTC)))
    if response.status_code != httpx.codes.OK:
        raise Failed(f"The provider answered {response.status_code}.")


def retry_after_seconds(value: str, now: datetime) -> int:
    """RFC 9110, section 10.2.3: seconds or a date. What cannot be read counts as not sent."""
    if value.isascii() and value.isdigit():
        return int(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return DEFAULT_RETRY_AFTER_SECONDS
    return max(0, math.ceil((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()))


def _content(response: httpx.Response) -> bytes:
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > MAX_ANSWER_BYTES:
            raise Failed(f"The provider's answer is longer than {MAX_ANSWER_BYTES} bytes.")
    return bytes(content)


def _json_object(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Failed("The provider sent something that is not JSON.") from None
    if not isinstance(value, dict) or "error" in value:
        raise Failed("The provider sent an error or something that is not an object.")
    return value


def _chunk(event: sse.Event) -> dict[str, Any]:
    if event.name == "error":
        raise Failed("The provider sent an error in its stream.")
    return _json_object(event.data)


def _noted(finished: Finished, chunk: dict[str, Any]) -> Finished:
    choice = _first_choice(chunk) or {}
    return replace(
        finished,
        finish_reason=str(choice.get("finish_reason") or finished.finish_reason),
        model=_model(chunk, finished.model),
        usage=_usage(chunk) if chunk.get("usage") else finished.usage,
    )


def _text(chunk: dict[str, Any]) -> str:
    text = _object(_first_choice(chunk) or {}, "delta").get("content") or ""
    if not isinstance(text, str):
        raise Failed("The provider sent a piece of text that is not text.")
    return text


def _first_choice(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The choice with index 0; a chunk that only tells the usage has none."""
    choices = answer.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise Failed("The provider's choices are malformed.")
    return next((choice for choice in choices if choice.get("index", 0) == 0), None)


def _is_storable(text: str) -> bool:
    """JSON can escape half of a surrogate pair, which no database stores, and NUL, which PostgreSQL does not."""
    return UNSTORABLE.search(text) is None


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name) or {}
    if not isinstance(value, dict):
        raise Failed(f"The provider's {name} is malformed.")
    return value


def _model(answer: dict[str, Any], default: str) -> str:
    model = answer.get("model")
    return model[:MAX_MODEL_CHARACTERS] if isinstance(model, str) and model and _is_storable(model) else default


def _usage(answer: dict[str, Any]) -> Usage:
    usage = _object(answer, "usage")
    return Usage(_tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens")))


def _tokens(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else 0


def _vectors(data: object, count: int) -> list[list[float]]:
    try:
        by_index = {int(item["index"]): [float(number) for number in item["embedding"]] for item in data}
        vectors = [by_index[index] for index in range(count)]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Failed("The provider's embeddings are malformed.") from None
    if any(len(vector) != DIMENSIONS or not all(map(math.isfinite, vector)) for vector in vectors):
        raise Failed(f"The provider's embeddings do not have {DIMENSIONS} numbers each.")
    return vectors
