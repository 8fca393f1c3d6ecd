"""Reads what a client asked of the provider, and refuses in OpenAI's words what the provider would refuse."""

import json
from dataclasses import dataclass
from typing import Any

from .wire import CHAT_MODEL, CONTEXT_WINDOW_TOKENS, EMBEDDING_MODEL, Json, Refused
from .words import tokens

MAX_INPUTS = 2048
TOKENS_PER_MESSAGE = 4
MAX_DIMENSIONS = 3072


@dataclass(frozen=True)
class ChatRequest:
    system: str
    user: str
    prompt_tokens: int
    max_tokens: int
    stream: bool
    include_usage: bool
    response_format: Json | None


@dataclass(frozen=True)
class EmbeddingRequest:
    texts: tuple[str, ...]
    dimensions: int | None
    base64: bool
    tokens: int


def check_key(authorization: str, api_key: str) -> None:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Refused(401, "You didn't provide an API key in an Authorization header (Bearer).")
    if given.strip() != api_key:
        raise Refused(401, "Incorrect API key provided.", code="invalid_api_key")


def json_object(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError:
        raise Refused(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(value, dict):
        raise Refused(400, "The JSON body of your request must be an object.")
    return value


def chat_request(body: Json) -> ChatRequest:
    _check_model(body, CHAT_MODEL)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(
            400, "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    texts = [(_role(message), _text(message)) for message in messages]
    prompt_tokens = sum(len(tokens(text)) + TOKENS_PER_MESSAGE for _, text in texts)
    max_tokens = body.get("max_completion_tokens") or body.get("max_tokens") or CONTEXT_WINDOW_TOKENS
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise Refused(400, "Invalid 'max_tokens': expected a positive integer.", param="max_tokens")
    if prompt_tokens >= CONTEXT_WINDOW_TOKENS:
        raise Refused(
            400,
            f"This model's maximum context length is {CONTEXT_WINDOW_TOKENS} tokens. "
            f"However, your messages resulted in {prompt_tokens} tokens.",
            param="messages",
            code="context_length_exceeded",
        )
    options = body.get("stream_options")
    return ChatRequest(
        system="\n".join(text for role, text in texts if role in ("system", "developer")),
        user="\n".join(text for role, text in texts if role == "user"),
        prompt_tokens=prompt_tokens,
        max_tokens=max_tokens,
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        response_format=_response_format(body.get("response_format")),
    )


def embedding_request(body: Json) -> EmbeddingRequest:
    _check_model(body, EMBEDDING_MODEL)
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise Refused(400, "Invalid 'input': expected a non-empty string or a list of them.", param="input")
    if len(texts) > MAX_INPUTS:
        raise Refused(400, f"Invalid 'input': at most {MAX_INPUTS} texts at once.", param="input")
    dimensions = body.get("dimensions")
    if dimensions is not None and not (isinstance(dimensions, int) and 1 <= dimensions <= MAX_DIMENSIONS):
        raise Refused(400, f"Invalid 'dimensions': 1 to {MAX_DIMENSIONS}.", param="dimensions")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise Refused(400, "Invalid 'encoding_format': 'float' or 'base64'.", param="encoding_format")
    return EmbeddingRequest(tuple(texts), dimensions, encoding == "base64", sum(len(tokens(text)) for text in texts))


def _check_model(body: Json, known: str) -> None:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refused(400, "You must provide a model parameter.", param="model")
    if model != known:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refused(404, message, code="model_not_found")


def _role(message: Any) -> str:
    if not isinstance(message, dict) or message.get("role") not in (
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
    ):
        raise Refused(400, "Invalid 'messages': each needs a known 'role'.", param="messages")
    return str(message["role"])


def _text(message: Json) -> str:
    match message.get("content"):
        case str() as text:
            return text
        case list() as parts:
            return "".join(
                part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
            )
        case None:
            return ""
        case _:
            raise Refused(400, "Invalid 'content': expected a string or a list of parts.", param="messages")


def _response_format(value: Any) -> Json | None:
    """The JSON schema to obey, an empty one for `json_object`, None for text."""
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case {"type": "json_schema", "json_schema": {"name": str(), "schema": dict(schema)}}:
            return schema
        case _:
            raise Refused(400, "Invalid 'response_format'.", param="response_format")
