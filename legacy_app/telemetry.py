"""Traces of the monolith: off unless TRACES_FILE or OpenTelemetry's own variables say where spans go.

The WSGI middleware makes the SERVER span, which lasts as long as a stream; Django's own, inside it, knows the route.
Django's alone would end before a stream begins, and what the stream calls would land in another trace.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from opentelemetry import baggage, metrics, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import default_getter
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))

server_span: ContextVar[Span] = ContextVar("server_span", default=trace.INVALID_SPAN)
"""Of the request that this thread answers. The current span is another one inside views, and none when a stream is
closed because its reader left."""

_tracer = trace.get_tracer("legacy_app")  # does nothing until set_up() says where spans go


def is_on(environ: Mapping[str, str] = os.environ) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return bool(environ.get("TRACES_FILE")) or sends(environ, "TRACES") or sends(environ, "METRICS")


def sends(environ: Mapping[str, str], signal: str) -> bool:
    """Whether a signal goes out by OTLP: because it is chosen, or because there is an address and no choice."""
    if chosen := environ.get(f"OTEL_{signal}_EXPORTER"):
        return "otlp" in chosen.replace(" ", "").split(",")
    return any(environ.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in (f"{signal}_", ""))


def set_up(service: str, environ: Mapping[str, str] = os.environ) -> None:
    """Once per process, and after a fork: exporters have threads, which do not survive one."""
    if not is_on(environ):
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or service})
    set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), RoutersBaggage()]))
    trace.set_tracer_provider(_tracer_provider(resource, environ))
    metrics.set_meter_provider(MeterProvider(_metric_readers(environ), resource))


def wsgi_application():
    """Django's, in a SERVER span if tracing is on."""
    if not is_on():
        return get_wsgi_application()
    settings.MIDDLEWARE  # noqa: B018  (a mistake in the settings is told here; the instrumentor would hide it)
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    import opentelemetry.instrumentation.httpx  # noqa: F401  (now, not while the first caller waits)
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    DjangoInstrumentor().instrument(request_hook=_without_query, response_hook=_name_server_span)
    # Durations are Django's to measure, who knows the route; both would count every request twice.
    return OpenTelemetryMiddleware(
        get_wsgi_application(), request_hook=_begun, meter_provider=metrics.NoOpMeterProvider()
    )


def instrument(client: httpx.Client) -> httpx.Client:
    """The client, with a span per request and the trace's id in it. Only this way it works for any transport."""
    if is_on():
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

        HTTPXClientInstrumentor.instrument_client(client)
    return client


def start_span(name: str, attributes: Mapping[str, Any], kind: SpanKind = SpanKind.CLIENT) -> Span:
    """A span that whoever started it has to end."""
    return _tracer.start_span(name, kind=kind, attributes=attributes)


@contextmanager
def span(name: str, attributes: Mapping[str, Any], kind: SpanKind = SpanKind.CLIENT) -> Iterator[Span]:
    """A span around a block that never yields in between."""
    with _tracer.start_as_current_span(name, kind=kind, attributes=attributes, record_exception=False) as started:
        yield started


class RoutersBaggage(W3CBaggagePropagator):
    """Passes on what the router says of an exchange, and nothing that callers call baggage."""

    def extract(self, carrier, context=None, getter=default_getter):
        context = context or Context()
        for name, value in baggage.get_all(super().extract(carrier, context, getter)).items():
            if name.startswith("strangler."):
                context = baggage.set_baggage(name, value, context)
        return context


class TraceId(logging.Filter):
    """Gives every log line the id of the trace it belongs to, or a dash."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = trace.get_current_span().get_span_context()
        record.trace_id = f"{context.trace_id:032x}" if context.is_valid else "-"
        return True


def _tracer_provider(resource, environ):
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    # Events would hold the words of exceptions, which may quote what somebody wrote; the log has them.
    provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_events=0))
    if path := environ.get("TRACES_FILE"):
        from legacy_app.traces_file import TracesFile

        provider.add_span_processor(SimpleSpanProcessor(TracesFile(Path(path))))
    if sends(environ, "TRACES"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _metric_readers(environ):
    if not sends(environ, "METRICS"):
        return []
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return [PeriodicExportingMetricReader(OTLPMetricExporter())]


def _begun(started: Span, _environ: dict) -> None:
    server_span.set(started)
    _without_query(started)


def _without_query(started: Span, _request=None) -> None:
    """What somebody searches for is theirs. An attribute cannot be taken back, only overwritten."""
    started.set_attribute("url.query", "")


def _name_server_span(_django_span: Span, request, _response) -> None:
    """Only Django knows the route; the SERVER span is what people look at."""
    if match := request.resolver_match:
        method = request.method if request.method in METHODS else "HTTP"  # names are few, whatever a caller sends
        server_span.get().update_name(f"{method} /{match.route}")
        server_span.get().set_attribute("http.route", f"/{match.route}")
