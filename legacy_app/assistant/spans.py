"""A span for each provider call, in OpenTelemetry's words for generative AI: who, how much, how long, never what."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

from legacy_app import telemetry

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
ERROR_TYPE = "error.type"
CALLER_LEFT = "strangler.caller_left"

OPENAI = "openai"  # the wire format's name, whoever speaks it


class ModelCall:
    """What is told about a call while it lasts."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._began = time.monotonic()
        self._has_begun_to_answer = False

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes requests inside the block children of this call. Not for blocks that yield to somebody else."""
        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield

    def chunk(self) -> None:
        if not self._has_begun_to_answer:
            self._has_begun_to_answer = True
            self._span.set_attribute(TIME_TO_FIRST_CHUNK, time.monotonic() - self._began)

    def answered(self, answer) -> None:
        """Takes a Completion, Finished or Embeddings of provider.py."""
        self._span.set_attribute(RESPONSE_MODEL, answer.model)
        self._span.set_attribute(INPUT_TOKENS, answer.usage.prompt_tokens)
        if reason := getattr(answer, "finish_reason", None):
            self._span.set_attribute(FINISH_REASONS, [reason])
            self._span.set_attribute(OUTPUT_TOKENS, answer.usage.completion_tokens)


@contextmanager
def model_call(operation: str, model: str, *, stream: bool = False) -> Iterator[ModelCall]:
    """A span that lasts as long as the block, also if that is part of a generator."""
    span = telemetry.start_span(
        f"{operation} {model}",
        {OPERATION: operation, PROVIDER: OPENAI, REQUEST_MODEL: model, **({REQUEST_STREAM: True} if stream else {})},
    )
    try:
        yield ModelCall(span)
    except GeneratorExit:  # whoever read the stream is gone: how many tokens that cost, nobody knows
        span.set_attribute(CALLER_LEFT, True)
        telemetry.server_span.get().set_attribute(CALLER_LEFT, True)
        raise
    except BaseException as error:
        span.set_attribute(ERROR_TYPE, type(error).__name__)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()
