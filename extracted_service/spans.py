"""A span for each provider call, in OpenTelemetry's words for generative AI: who, how much, how long, never what."""

import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from .completions import Usage
from .telemetry import CALLER_LEFT, ERROR_TYPE, Telemetry

CHAT = "chat"
EMBEDDINGS = "embeddings"

# The names have their own repository (semantic-conventions-genai) and may still change: they stand only here.
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # in seconds
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  (a name of OpenTelemetry's)
DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105

OPENAI = "openai"  # the wire format's name, whoever speaks it

DURATION_BUCKETS_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


class ModelCall:
    """What is told about a call while it lasts."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.began = time.monotonic()
        self.response_model = ""
        self.usage: Usage | None = None
        self._has_begun_to_answer = False

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes requests inside the block children of this call. Not for blocks that yield to somebody else."""
        with trace.use_span(self.span, record_exception=False, set_status_on_exception=False):
            yield

    def chunk(self) -> None:
        if not self._has_begun_to_answer:
            self._has_begun_to_answer = True
            self.span.set_attribute(TIME_TO_FIRST_CHUNK, time.monotonic() - self.began)

    def answered(self, model: str, usage: Usage, finish_reason: str = "") -> None:
        """An answer without a finish reason is no completion: it has no tokens of its own."""
        self.response_model, self.usage = model, usage
        self.span.set_attribute(RESPONSE_MODEL, model)
        self.span.set_attribute(INPUT_TOKENS, usage.prompt_tokens)
        if finish_reason:
            self.span.set_attribute(FINISH_REASONS, [finish_reason])
            self.span.set_attribute(OUTPUT_TOKENS, usage.completion_tokens)


class ModelCalls:
    """Begins a span for each call, and measures them all."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer
        self._duration = telemetry.meter.create_histogram(
            DURATION, unit="s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS_SECONDS
        )
        self._tokens = telemetry.meter.create_histogram(
            TOKEN_USAGE, unit="{token}", explicit_bucket_boundaries_advisory=TOKEN_BUCKETS
        )

    @contextmanager
    def begin(self, operation: str, model: str, *, stream: bool = False) -> Iterator[ModelCall]:
        """A span that lasts as long as the block, also if that is part of a generator."""
        asked: dict[str, Any] = {OPERATION: operation, PROVIDER: OPENAI, REQUEST_MODEL: model}
        streamed = {REQUEST_STREAM: True} if stream else {}
        span = self._tracer.start_span(f"{operation} {model}", kind=SpanKind.CLIENT, attributes=asked | streamed)
        call, failure = ModelCall(span), {}
        try:
            yield call
        except (GeneratorExit, CancelledError):  # the caller is gone: how many tokens that cost, nobody knows
            span.set_attribute(CALLER_LEFT, True)
            raise
        except Exception as error:
            failure = {ERROR_TYPE: type(error).__name__}
            span.set_attributes(failure)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()
            self._measure(call, asked | failure)

    def _measure(self, call: ModelCall, attributes: dict[str, Any]) -> None:
        if call.response_model:
            attributes[RESPONSE_MODEL] = call.response_model
        self._duration.record(time.monotonic() - call.began, attributes)
        if call.usage is not None:
            self._tokens.record(call.usage.prompt_tokens, attributes | {TOKEN_TYPE: "input"})
            if attributes[OPERATION] == CHAT:
                self._tokens.record(call.usage.completion_tokens, attributes | {TOKEN_TYPE: "output"})
