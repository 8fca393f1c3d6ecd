"""Where spans and measurements go: a local file, a collector, or nowhere; and the trace id in every log line."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from opentelemetry import baggage, metrics, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import CarrierT, Getter, default_getter
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SERVICE = "extracted"
CALLER_LEFT = "strangler.caller_left"
ERROR_TYPE = "error.type"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "trace": {"()": "extracted_service.telemetry.TraceId"},
        "refused": {"()": "extracted_service.telemetry.RefusedHandshakes"},
    },
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s trace=%(trace_id)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["trace", "refused"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"uvicorn.error": {"level": "INFO"}, "uvicorn.access": {"level": "INFO"}},
}


class TraceId(logging.Filter):
    """Gives every log line the id of the trace it belongs to, or a dash."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = trace.get_current_span().get_span_context()
        record.trace_id = f"{context.trace_id:032x}" if context.is_valid else "-"
        return True


class RefusedHandshakes(logging.Filter):
    """uvicorn calls a WebSocket that was answered with a status an error of the application: whoever is refused could
    fill the log with those."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage() != "ASGI callable returned without completing handshake."


class Telemetry:
    """Both providers, given to whoever needs them: nothing is global, so that one process can hold several."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self.tracer = tracers.get_tracer("extracted_service")
        self.meter = meters.get_meter("extracted_service")
        self._tracers = tracers
        self._meters = meters

    @property
    def is_on(self) -> bool:
        return not isinstance(self._tracers, trace.NoOpTracerProvider)

    def instrument_app(self, app: FastAPI) -> None:
        """One SERVER span per request, as long as the answer; FastAPI's own telemetry then stands down."""
        if self.is_on:
            _agree_on_names()
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

            FastAPIInstrumentor.instrument_app(
                app,
                server_request_hook=_without_query,
                tracer_provider=self._tracers,
                meter_provider=self._meters,
                exclude_spans=["send", "receive"],  # there would be two for each event of a stream
            )

    def instrument_client(self, client: httpx.AsyncClient) -> None:
        """A span per request, and the trace's id in it. To instrument httpx as a whole misses this transport."""
        if self.is_on:
            _agree_on_names()
            from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

            HTTPXClientInstrumentor.instrument_client(
                client, tracer_provider=self._tracers, meter_provider=self._meters
            )

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """A span around a block that never yields in between."""
        with self.tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
        ) as started:
            yield started

    def close(self) -> None:
        """Send what is not sent yet."""
        for provider in (self._tracers, self._meters):
            if shutdown := getattr(provider, "shutdown", None):
                shutdown()


OFF = Telemetry(trace.NoOpTracerProvider(), metrics.NoOpMeterProvider())


class RoutersBaggage(W3CBaggagePropagator):
    """Passes on what the router says of an exchange, and nothing that callers call baggage."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        context = context or Context()
        for name, value in baggage.get_all(super().extract(carrier, context, getter)).items():
            if name.startswith("strangler."):
                context = baggage.set_baggage(name, value, context)
        return context


def open_telemetry(environ: Mapping[str, str]) -> Telemetry:
    """What the environment asks for: TRACES_FILE, or OTLP by OpenTelemetry's own variables; else nothing."""
    wanted = environ.get("TRACES_FILE") or sends(environ, "TRACES") or sends(environ, "METRICS")
    if not wanted or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return OFF
    from opentelemetry.sdk.metrics import MeterProvider as Meters
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or SERVICE})
    return Telemetry(_tracers(resource, environ), Meters(_metric_readers(environ), resource, shutdown_on_exit=False))


def sends(environ: Mapping[str, str], signal: str) -> bool:
    """Whether a signal goes out by OTLP: because it is chosen, or because there is an address and no choice."""
    if chosen := environ.get(f"OTEL_{signal}_EXPORTER"):
        return "otlp" in chosen.replace(" ", "").split(",")
    return any(environ.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in (f"{signal}_", ""))


def note_failure(error: BaseException | None) -> None:
    """A stream that is cut has its 200 already: only so does its SERVER span say that it failed."""
    span = trace.get_current_span()
    span.set_attribute(ERROR_TYPE, type(error).__name__)
    span.set_status(StatusCode.ERROR)


def note_caller_left() -> None:
    trace.get_current_span().set_attribute(CALLER_LEFT, True)


def _tracers(resource: Any, environ: Mapping[str, str]) -> TracerProvider:
    from opentelemetry.sdk.trace import SpanLimits
    from opentelemetry.sdk.trace import TracerProvider as Tracers
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    # Events would hold the words of exceptions, which may quote what somebody wrote; the log has them.
    provider = Tracers(resource=resource, span_limits=SpanLimits(max_events=0), shutdown_on_exit=False)
    if path := environ.get("TRACES_FILE"):
        from .traces_file import TracesFile

        provider.add_span_processor(SimpleSpanProcessor(TracesFile(Path(path))))
    if sends(environ, "TRACES"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _metric_readers(environ: Mapping[str, str]) -> list[Any]:
    if not sends(environ, "METRICS"):
        return []
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return [PeriodicExportingMetricReader(OTLPMetricExporter())]


def _agree_on_names() -> None:
    """What the instrumentors of OpenTelemetry read from the process, not from us."""
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # the stable names, not those of 2021
    set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), RoutersBaggage()]))


def _without_query(span: Span, _scope: dict[str, Any]) -> None:
    """What somebody searches for is theirs. An attribute cannot be taken back, only overwritten."""
    span.set_attribute("url.query", "")
