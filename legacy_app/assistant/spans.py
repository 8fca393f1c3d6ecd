"""What is told of a provider call, in OpenTelemetry's words for generative AI: who, how much, how long, never what."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
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

TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  (a name of OpenTelemetry's)
DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105

DURATION_BUCKETS_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

OPENAI = "openai"  # the wire format's name, whoever speaks it


class ModelCall:
    """What is told about a call while it lasts."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.began = time.monotonic()
        self.answer = None  # a Completion, Finished or Embeddings of provider.py
        self._has_begun_to_answer = False

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes requests inside the block children of this call. Not for blocks that yield to somebody else."""
        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield

    def chunk(self) -> None:
        if not self._has_begun_to_answer:
            self._has_begun_to_answer = True
            self._span.set_attribute(TIME_TO_FIRST_CHUNK, time.monotonic() - self.began)

    def answered(self, answer) -> None:
        self.answer = answer
        self._span.set_attribute(RESPONSE_MODEL, answer.model)
        self._span.set_attribute(INPUT_TOKENS, answer.usage.prompt_tokens)
        if reason := getattr(answer, "finish_reason", None):
            self._span.set_attribute(FINISH_REASONS, [reason])
            self._span.set_attribute(OUTPUT_TOKENS, answer.usage.completion_tokens)


class Measurements:
    """How long calls took and how many tokens they used, beside those of the service that takes them over."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            DURATION, unit="s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS_SECONDS
        )
        self._tokens = meter.create_histogram(
            TOKEN_USAGE, unit="{token}", explicit_bucket_boundaries_advisory=TOKEN_BUCKETS
        )

    def record(self, call: ModelCall, attributes: dict[str, str]) -> None:
        answer = call.answer
        if answer is None:
            self._duration.record(time.monotonic() - call.began, attributes)
            return
        attributes = {**attributes, RESPONSE_MODEL: answer.model}
        self._duration.record(time.monotonic() - call.began, attributes)
        self._tokens.record(answer.usage.prompt_tokens, {**attributes, TOKEN_TYPE: "input"})
        if attributes[OPERATION] == CHAT:
            self._tokens.record(answer.usage.completion_tokens, {**attributes, TOKEN_TYPE: "output"})


_measurements = Measurements(metrics.get_meter("legacy_app"))  # like the tracer: nothing, until telemetry.set_up()


@contextmanager
def model_call(operation: str, model: str, *, stream: bool = False) -> Iterator[ModelCall]:
    """A span that lasts as long as the block, also if that is part of a generator."""
    asked = {OPERATION: operation, PROVIDER: OPENAI, REQUEST_MODEL: model}
    span = telemetry.start_span(f"{operation} {model}", {**asked, **({REQUEST_STREAM: True} if stream else {})})
    call, failure = ModelCall(span), {}
    try:
        yield call
    except GeneratorExit:  # whoever read the stream is gone: how many tokens that cost, nobody knows
        span.set_attribute(CALLER_LEFT, True)
        telemetry.server_span.get().set_attribute(CALLER_LEFT, True)
        raise
    except BaseException as error:
        failure = {ERROR_TYPE: type(error).__name__}
        span.set_attributes(failure)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()
        _measurements.record(call, asked | failure)
