"""One chat with the model, whole or as events; each is audited, and none holds a database connection."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from .calls import Call, audited
from .completions import Completion, Finish
from .identity import Caller
from .prompts import Messages
from .service import Service
from .sse import written


def asked(service: Service, messages: Messages, *, temperature: float, max_tokens: int) -> dict[str, Any]:
    """The request; the monolith sends the same fields in the same order."""
    return {
        "model": service.provider.models.chat,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


def call(kind: str, service: Service, caller: Caller, ticket_id: int | None = None) -> Call:
    return Call(kind, caller, ticket_id, service.provider.models.chat)


async def completed(service: Service, call: Call, body: dict[str, Any], until: float | None = None) -> Completion:
    async with audited(service.database, call):
        completion = await service.provider.complete(body, until)
        call.ended(completion.finish)
    return completion


async def streamed(
    service: Service, call: Call, body: dict[str, Any], *, until: float | None = None, heading: bytes = b""
) -> AsyncGenerator[bytes]:
    """An item per chunk of the provider, empty if the chunk says nothing; `done` only after a proven finish.

    The heading comes with the first chunk: before that nothing is sent, so that a failure is a real status.
    """
    async with aclosing(said(service, call, body, until)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Finish):
                yield written("done", asdict(chunk))
                continue
            yield heading + (written("delta", {"text": chunk}) if chunk else b"")
            heading = b""


async def said(
    service: Service, call: Call, body: dict[str, Any], until: float | None = None
) -> AsyncGenerator[str | Finish]:
    """The text of each chunk, at last the Finish, and that only when the audit row stands."""
    async with audited(service.database, call), aclosing(service.provider.stream(body, until)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Finish):
                call.ended(chunk)
                finish = chunk
                continue
            yield chunk
    yield finish
