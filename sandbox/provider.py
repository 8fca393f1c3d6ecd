"""The simulated LLM provider: OpenAI's wire format, set latency and rate, faults on demand, a ledger of calls."""

import asyncio
import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .answering import Answering, Speed
from .calls import Call, Calls
from .embeddings import DEFAULT_DIMENSIONS, as_base64, embed
from .faults import ERROR_KINDS, Fault, Faults, never, parse_fault
from .prose import answer
from .requests import ChatRequest, chat_request, check_key, embedding_request, json_object
from .structured import structured_answer
from .wire import CHAT_MODEL, EMBEDDING_MODEL, Completion, Json, Refused, embedding_list, encoded, models
from .words import tokens

MAX_BODY_BYTES = 16_777_216
BACKLOG = 4096


@dataclass(frozen=True)
class Settings:
    """What can be set at the start, and at run time by PUT /sandbox/settings."""

    latency_seconds: float = 0.5  # until the first token
    tokens_per_second: float = 60.0  # 0: all at once
    embedding_latency_seconds: float = 0.05
    latency_spread_seconds: float = 0.0  # so much more at the most; how much, the prompt alone decides


class Provider:
    """The provider's state, and the ASGI application of its /v1 endpoints."""

    def __init__(self, settings: Settings, api_key: str) -> None:
        self.settings = settings
        self.api_key = api_key
        self.faults = Faults()
        self.calls = Calls()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one call, and stops at once when the caller leaves."""
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        call = self.calls.begin(scope["path"], headers, body)
        answered = asyncio.create_task(self._answer(scope["method"], headers, body, call, send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait((answered, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.calls.end(call, left_early=not answered.done())
            answered.cancel()
            gone.cancel()
        if answered.done():
            answered.result()

    async def _answer(self, method: str, headers: dict[str, str], body: bytes, call: Call, send: Send) -> None:
        answering = Answering(send, call, self.faults.cleared)
        fault = self.faults.take(call.path, body)
        call.fault = fault.kind if fault else None
        try:
            if fault is not None and fault.kind == "timeout":
                await never()
            if fault is not None and fault.kind in ERROR_KINDS:
                raise fault.refusal()
            if len(body) > MAX_BODY_BYTES:
                raise Refused(413, "The request body is too large.")
            check_key(headers.get("authorization", ""), self.api_key)
            await self._endpoint(method, call.path, body, fault, answering)
        except Refused as refused:
            await answering.send_json(refused.status, refused.body(), dict(refused.headers))

    async def _endpoint(self, method: str, path: str, body: bytes, fault: Fault | None, answering: Answering) -> None:
        match method, path:
            case "GET", "/v1/models":
                await answering.send_json(200, models())
            case "POST", "/v1/chat/completions":
                request = chat_request(json_object(body))
                said = completion(request, hashlib.sha256(body).hexdigest())
                if fault is not None and fault.kind == "invalid_output":
                    said = replace(said, tokens=('{"unexpected": ', "true}"))
                latency = self.settings.latency_seconds + self.settings.latency_spread_seconds * drawn(request)
                speed = Speed(latency, self.settings.tokens_per_second)
                await answering.chat(said, request, speed, fault)
            case "POST", "/v1/embeddings":
                seconds = self.settings.embedding_latency_seconds
                await answering.after(seconds, embeddings(json_object(body)), fault)
            case _:
                raise Refused(404, f"Unknown request URL: {method} {path}.", code="unknown_url")


def completion(request: ChatRequest, digest: str) -> Completion:
    """What the model says: made from the prompt alone, so that the same prompt gets the same answer."""
    schema = None if request.response_format is None else json.dumps(request.response_format)
    said = _said(request.system, request.user, schema)
    return Completion(
        id=f"chatcmpl-{digest[:24]}",
        model=CHAT_MODEL,
        created=int(time.time()),
        tokens=said[: request.max_tokens],
        prompt_tokens=request.prompt_tokens,
        finish_reason="length" if len(said) > request.max_tokens else "stop",
    )


@lru_cache(maxsize=4096)
def _said(system: str, user: str, schema: str | None) -> tuple[str, ...]:
    if schema is None:
        return tuple(tokens(answer(system, user)))
    return tuple(tokens(json.dumps(structured_answer(json.loads(schema), system, user), ensure_ascii=False)))


def drawn(request: ChatRequest) -> float:
    """A number from 0 to 1, always the same for the same prompt, whoever asks and however it is answered."""
    prompt = hashlib.sha256(f"{request.system}\n{request.user}".encode()).digest()
    return int.from_bytes(prompt[:4], "big") / 2**32


def embeddings(body: Json) -> bytes:
    request = embedding_request(body)
    vectors = [embed(text, request.dimensions or DEFAULT_DIMENSIONS) for text in request.texts]
    shown = [as_base64(vector) for vector in vectors] if request.base64 else vectors
    return encoded(embedding_list(shown, EMBEDDING_MODEL, request.tokens))


def create_app(settings: Settings | None = None, api_key: str = "sandbox-key") -> Starlette:
    provider = Provider(settings or Settings(), api_key)

    async def show_settings(_: Request) -> Response:
        return JSONResponse(asdict(provider.settings))

    async def put_settings(request: Request) -> Response:
        try:
            provider.settings = changed(provider.settings, json_object(await request.body()))
        except (ValueError, Refused) as problem:
            return _wrong(problem)
        return JSONResponse(asdict(provider.settings))

    async def show_faults(_: Request) -> Response:
        return JSONResponse({"faults": [asdict(fault) for fault in provider.faults.waiting()]})

    async def add_fault(request: Request) -> Response:
        try:
            fault = parse_fault(json_object(await request.body()))
            provider.faults.add(fault)
        except (ValueError, Refused) as problem:
            return _wrong(problem)
        return JSONResponse(asdict(fault), 201)

    async def clear_faults(_: Request) -> Response:
        provider.faults.clear()
        return Response(status_code=204)

    async def show_calls(request: Request) -> Response:
        last = request.query_params.get("last", "100")
        if not last.isdecimal():
            return _wrong(ValueError("'last' must be a whole number."))
        return JSONResponse(provider.calls.as_json(int(last)))

    async def clear_calls(_: Request) -> Response:
        provider.calls.clear()
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/sandbox/settings", show_settings, methods=["GET"]),
            Route("/sandbox/settings", put_settings, methods=["PUT"]),
            Route("/sandbox/faults", show_faults, methods=["GET"]),
            Route("/sandbox/faults", add_fault, methods=["POST"]),
            Route("/sandbox/faults", clear_faults, methods=["DELETE"]),
            Route("/sandbox/calls", show_calls, methods=["GET"]),
            Route("/sandbox/calls", clear_calls, methods=["DELETE"]),
            Route("/{path:path}", provider),
        ]
    )


def changed(settings: Settings, value: Json) -> Settings:
    """The settings with some of them replaced; ValueError says what is wrong."""
    known = asdict(settings)
    for name, number in value.items():
        if name not in known:
            raise ValueError(f"Unknown setting {name!r}. Known: {', '.join(known)}.")
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < float("inf"):
            raise ValueError(f"{name!r} must be a number of at least 0.")
    return replace(settings, **value)


def serve(host: str, port: int, settings: Settings, api_key: str) -> None:
    """Runs until SIGINT or SIGTERM."""
    logging.getLogger("uvicorn.error").addFilter(_unless_meant)
    uvicorn.run(
        create_app(settings, api_key),
        host=host,
        port=port,
        backlog=BACKLOG,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        lifespan="off",
    )


def _unless_meant(record: logging.LogRecord) -> bool:
    """A cut connection is a fault that was asked for, not a mistake to report."""
    return "without completing response" not in record.getMessage()


def _wrong(problem: Exception) -> Response:
    text = problem.message if isinstance(problem, Refused) else str(problem)
    return JSONResponse({"detail": text}, 400)


async def _body(receive: Receive) -> bytes:
    """The whole body, but never much more than the limit."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        if size <= MAX_BODY_BYTES:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
