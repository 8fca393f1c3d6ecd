"""The LLM provider: one call out, in the OpenAI wire format, with a deadline on every wait and one retry layer."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from . import completions
from .completions import DIMENSIONS, Completion, Embeddings, Finish
from .errors import Busy, Failed, ProviderError, TimedOut
from .patience import Patience
from .places import Places
from .retries import Budget, Retries, Setback, is_transient
from .settings import Settings
from .spans import CHAT, EMBEDDINGS, ModelCall, ModelCalls
from .sse import Event, EventParser
from .telemetry import OFF, Telemetry

CHAT_PATH, EMBEDDINGS_PATH = "chat/completions", "embeddings"  # below LLM_BASE_URL
LARGEST_ANSWER_BYTES = 16_777_216
LARGEST_REFUSAL_BYTES = 65_536
SLOWEST_REFUSAL_SECONDS = 2.0
DEFAULT_RETRY_AFTER_SECONDS = 5
SHOULD_RETRY = "x-should-retry"  # with "false" OpenAI, and whoever stands before it, say that no attempt will help
KEEP_IDLE_SECONDS = 4.0  # below the 5 s after which uvicorn and others close an idle connection


@dataclass(frozen=True)
class Deadlines:
    """Seconds; `total` bounds a whole call, the others one wait in it."""

    first_token: float
    idle: float
    total: float


@dataclass(frozen=True)
class Models:
    chat: str
    embedding: str


class Provider:
    """Chat completions, whole or streamed, and embeddings; raises Busy, TimedOut or Failed and nothing else.

    Calls that share the time of one request are given the same `until`, a `deadline()`; others have their own.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        models: Models,
        deadlines: Deadlines,
        retries: Retries,
        places: Places,
        telemetry: Telemetry = OFF,
    ) -> None:
        self.models = models
        self._client = client
        # httpx puts a relative address together anew for each request, which takes as long as to make the rest of it.
        self._addresses = {path: client.base_url.join(path) for path in (CHAT_PATH, EMBEDDINGS_PATH)}
        self._deadlines = deadlines
        self._retries = retries
        self._places = places
        self._calls = ModelCalls(telemetry)

    def deadline(self) -> float:
        """When a call that begins now has to end, on the event loop's clock."""
        return _now() + self._deadlines.total

    async def complete(self, request: Mapping[str, Any], until: float | None = None) -> Completion:
        with self._calls.begin(CHAT, self.models.chat) as call, call.current():
            content = await self._answered(CHAT_PATH, request, until)
            completion = completions.completion(content, self.models.chat)
            call.answered(completion.finish.model, completion.finish.usage, completion.finish.finish_reason)
        return completion

    async def embed(self, texts: Sequence[str], until: float | None = None) -> Embeddings:
        """One vector of DIMENSIONS numbers per text, in the order of the texts."""
        request = {"model": self.models.embedding, "input": list(texts), "dimensions": DIMENSIONS}
        with self._calls.begin(EMBEDDINGS, self.models.embedding) as call, call.current():
            content = await self._answered(EMBEDDINGS_PATH, request, until)
            embeddings = completions.embeddings(content, len(texts), self.models.embedding)
            call.answered(embeddings.model, embeddings.usage)
        return embeddings

    async def stream(self, request: Mapping[str, Any], until: float | None = None) -> AsyncGenerator[str | Finish]:
        """The text of each chunk as it comes ("" if it has none), at last the Finish.

        Closing the generator hangs up on the provider.
        """
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        reading = completions.Reading(self.models.chat)
        with self._calls.begin(CHAT, self.models.chat, stream=True) as call:
            async with aclosing(self._events(body, until, call)) as events:
                async for event in events:
                    call.chunk()
                    if event.data == "[DONE]":
                        break
                    yield reading.text(event)
                else:
                    raise Failed("its stream ended without [DONE]")
            finish = reading.finish()
            call.answered(finish.model, finish.usage, finish.finish_reason)
        yield finish

    async def _answered(self, path: str, body: Mapping[str, Any], until: float | None) -> bytes:
        end = self.deadline() if until is None else until
        with _named_errors():
            async with asyncio.timeout_at(end), self._places.taken():
                response = await self._sent(path, body, end)
                async with _closing(response):
                    return await _content(response)

    async def _events(self, body: Mapping[str, Any], until: float | None, call: ModelCall) -> AsyncGenerator[Event]:
        """No deadline is open across a yield: it would have to be closed by the task that opened it."""
        limits, parser, now = self._deadlines, EventParser(), asyncio.get_running_loop().time
        end = self.deadline() if until is None else until
        first_end = min(end, now() + limits.first_token)
        async with AsyncExitStack() as held:
            held.enter_context(_named_errors())
            patience = held.enter_context(closing(Patience()))
            with patience.until(first_end):
                await held.enter_async_context(self._places.taken())
                with call.current():
                    response = await self._sent(CHAT_PATH, body, first_end)
            async with _closing(response):
                pieces, wait_until = response.aiter_bytes(), first_end
                while True:
                    with patience.until(wait_until):
                        events = await _next_events(pieces, parser)
                    if events is None:
                        return
                    for event in events:
                        yield event
                    wait_until = min(end, now() + limits.idle)

    async def _sent(self, path: str, body: Mapping[str, Any], end: float) -> httpx.Response:
        """The provider's 200, after as many attempts as it takes and the retries allow; `end` bounds them all.

        From here on nothing is tried again: what follows has been paid for, and may be at the caller's already.
        """
        # ASCII escapes: a lone surrogate in a caller's text has no UTF-8 form, but it has an escape.
        content = json.dumps(body, separators=(",", ":")).encode("ascii")
        self._retries.budget.called()
        for attempt in count(1):
            answer = await self._attempt(path, content)
            if isinstance(answer, httpx.Response):
                return answer
            pause = self._retries.pause_seconds(answer, attempt, end - _now())
            if pause is None:
                raise answer.error
            await asyncio.sleep(pause)
        raise AssertionError("count() has no end")

    async def _attempt(self, path: str, content: bytes) -> httpx.Response | Setback:
        request = self._client.build_request("POST", self._addresses[path], content=content)
        try:
            with _named_errors():
                response = await self._client.send(request, stream=True)
        except ProviderError as error:
            return Setback(error, transient=isinstance(error.__cause__, httpx.NetworkError | httpx.ConnectTimeout))
        if response.status_code == httpx.codes.OK:
            return response
        async with _closing(response):
            return await _refusal(response)


@asynccontextmanager
async def open_provider(settings: Settings, telemetry: Telemetry = OFF) -> AsyncIterator[Provider]:
    """One provider, with one pool of connections, for the life of the process."""
    total = settings.llm_timeout_seconds
    deadlines = Deadlines(
        first_token=settings.llm_first_token_seconds or total,
        idle=settings.llm_idle_seconds or total,
        total=total,
    )
    # aiohttp's connections: a third of the CPU per streamed event, and no stall when hundreds open at once.
    connector = aiohttp.TCPConnector(limit=settings.llm_connections, keepalive_timeout=KEEP_IDLE_SECONDS)
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    client = httpx.AsyncClient(
        transport=AiohttpTransport(client=session),
        base_url=settings.llm_base_url,
        headers={
            "Authorization": f"Bearer {settings.llm_api_key.get_secret_value()}",
            "Content-Type": "application/json",
        },
        timeout=httpx.Timeout(None, connect=settings.llm_connect_seconds),
    )
    telemetry.instrument_client(client)
    async with client:
        models = Models(settings.llm_model, settings.llm_embedding_model)
        yield Provider(client, models, deadlines, _retries(settings), _places(settings), telemetry)


def _retries(settings: Settings) -> Retries:
    budget = Budget(settings.llm_retry_percent)
    return Retries(settings.llm_attempts, settings.llm_first_pause_seconds, budget)


def _places(settings: Settings) -> Places:
    return Places(settings.llm_connections, settings.llm_waiting_calls, settings.llm_waiting_seconds)


async def _refusal(response: httpx.Response) -> Setback:
    status, said = response.status_code, response.headers.get("Retry-After")
    asked_seconds = None if said is None else retry_after_seconds(said, datetime.now(UTC))
    may_be_cured = response.headers.get(SHOULD_RETRY) != "false"
    if status != httpx.codes.TOO_MANY_REQUESTS:
        return Setback(Failed(f"it answered {status}"), may_be_cured and is_transient(status), asked_seconds)
    busy = Busy(DEFAULT_RETRY_AFTER_SECONDS if asked_seconds is None else asked_seconds)
    may_be_cured = may_be_cured and not completions.quota_is_used_up(await _start_of(response))
    return Setback(busy, may_be_cured, asked_seconds)


async def _start_of(response: httpx.Response) -> bytes:
    """As much of a refusal as comes soon: the rest of it is worth no wait."""
    content = bytearray()
    with suppress(TimeoutError, httpx.HTTPError, aiohttp.ClientError):
        async with asyncio.timeout(SLOWEST_REFUSAL_SECONDS):
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) >= LARGEST_REFUSAL_BYTES:
                    break
    return bytes(content)


def _now() -> float:
    return asyncio.get_running_loop().time()


def retry_after_seconds(value: str, now: datetime) -> int:
    """RFC 9110, section 10.2.3: seconds or a date. What cannot be read counts as not sent."""
    if value.isascii() and value.isdigit():
        return int(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return DEFAULT_RETRY_AFTER_SECONDS
    return max(0, math.ceil((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()))


async def _next_events(pieces: AsyncIterator[bytes], parser: EventParser) -> list[Event] | None:
    """At least one event, or None at the stream's end; comments alone do not count as a sign of life."""
    async for piece in pieces:
        if events := parser.feed(piece):
            return events
    return None


async def _content(response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > LARGEST_ANSWER_BYTES:
            raise Failed(f"its answer is longer than {LARGEST_ANSWER_BYTES} bytes")
    return bytes(content)


@asynccontextmanager
async def _closing(response: httpx.Response) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await response.aclose()


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise TimedOut from None
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError) as error:
        if _was_late(error):
            raise TimedOut from error
        raise Failed(f"the connection failed ({type(error).__name__})") from error
    except ValueError as error:  # an event, or the text of a chunk, that cannot be read
        raise Failed(str(error)) from error


def _was_late(error: Exception) -> bool:
    """The transport also calls a connection that the provider closed a ConnectTimeout; the cause knows."""
    if isinstance(error.__cause__, aiohttp.ClientError):
        return isinstance(error.__cause__, TimeoutError)
    return isinstance(error, httpx.TimeoutException)
