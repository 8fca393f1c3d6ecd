"""The OpenAI wire format as values: completions, chunks, embeddings, models and errors."""

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CHAT_MODEL = "helpdesk-small"
EMBEDDING_MODEL = "helpdesk-embed"
CONTEXT_WINDOW_TOKENS = 16_384
FINGERPRINT = "fp_sandbox"


@dataclass(frozen=True)
class Completion:
    """What the simulated model says to one request."""

    id: str
    model: str
    created: int
    tokens: tuple[str, ...]
    prompt_tokens: int
    finish_reason: str  # "stop", or "length" when max_tokens cut it

    @property
    def usage(self) -> Json:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(self.tokens),
            "total_tokens": self.prompt_tokens + len(self.tokens),
        }

    def whole(self) -> Json:
        message: Json = {"role": "assistant", "content": "".join(self.tokens), "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": self.usage}

    def chunk(self, delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._envelope("chat.completion.chunk") | {"choices": [choice]}

    def usage_chunk(self) -> Json:
        return self._envelope("chat.completion.chunk") | {"choices": [], "usage": self.usage}

    def _envelope(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
        }


@dataclass(eq=False)  # not frozen: whoever raises an exception sets its traceback
class Refused(Exception):
    """An error status in OpenAI's shape."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def body(self) -> Json:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def encoded(value: Json) -> bytes:
    """Compact JSON with the characters themselves, as the provider sends it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def models() -> Json:
    names = (CHAT_MODEL, EMBEDDING_MODEL)
    data = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "sandbox"} for name in names]
    return {"object": "list", "data": data}


def embedding_list(vectors: list[Any], model: str, tokens: int) -> Json:
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
