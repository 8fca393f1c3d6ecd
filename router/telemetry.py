"""What the router tells about an exchange: a span for the caller, one for each request to an upstream, its duration.

An exchange that is not sampled costs about a microsecond: it gets an id, and nothing of the SDK is touched.
The caller's own trace is linked, never joined: or callers would decide what is recorded, and under which id.
"""

from __future__ import annotations

import logging
import random
import re
import time
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Meter
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer, set_span_in_context

from .errors import ConfigError, Problem

SERVICE = "router"
TRACES_FILE = "TRACES_FILE"
COUNTERS = {"strangler.fallbacks": "error.type", "strangler.trips": "strangler.trip"}
"""Each with the attribute that it has beside the route's name."""
METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))
BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)

_NOBODYS = Context()  # a span in it has no parent, whatever else goes on in this task
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_exchange_id: ContextVar[int] = ContextVar("exchange_id", default=0)


class Recorder(Protocol):
    """Takes the duration of each exchange; OpenTelemetry's histogram is one."""

    def record(self, amount: float, attributes: dict[str, str | int], /) -> None: ...


class Measured(Recorder, Protocol):
    """Takes what is counted, too."""

    def count(self, name: str, route: str, what: str) -> None: ...


class Telemetry:
    """Begins the trace of each exchange. Made once per process; without arguments it only hands out ids."""

    def __init__(
        self,
        tracer: Tracer | None = None,
        duration: Recorder | None = None,
        providers: Sequence[Any] = (),
        counters: Mapping[str, Counter] = MappingProxyType({}),
        meter: Meter | None = None,
        measurements: Measured | None = None,
    ) -> None:
        self._tracer = tracer
        self._duration = duration
        self._counters = counters
        self._measurements = measurements
        self._providers = providers
        self.meter = meter
        """For whatever else is counted; None where nothing is exported."""

    def begin(self, method: str, headers: Sequence[tuple[bytes, bytes]], share: float, draw: float) -> Trace:
        """`share` (0 to 1) of the exchanges are recorded: those whose `draw`, from 0 to below 1, is smaller."""
        tracer = self._tracer
        if tracer is None or draw >= share:
            # Whoever traces behind a router that does not decides for itself; one that does has decided.
            trace = Trace(method, random.getrandbits(128) or 1, b"01" if tracer is None else b"00", self._duration)
        else:
            span = tracer.start_span(_known(method), _NOBODYS, SpanKind.SERVER, links=_link(headers))
            trace = Trace(method, span.get_span_context().trace_id, b"01", self._duration, tracer, span)
        _exchange_id.set(trace.exchange_id)
        return trace

    def count(self, name: str, route: str, what: str) -> None:
        """One more of COUNTERS; `what` is its other attribute's value."""
        if name in self._counters:
            self._counters[name].add(1, {"strangler.route": route, COUNTERS[name]: what})
        if self._measurements is not None:
            self._measurements.count(name, route, what)

    def close(self) -> None:
        """Send what is not sent yet."""
        for provider in self._providers:
            provider.shutdown()


class Trace:
    """Of one exchange: entered while it lasts, filled in as it goes on, told at its end."""

    # Defaults in the class: what is not told, as of most exchanges, costs nothing.
    route = path = stage = upstream = error = fallback = ""
    is_tripped = False
    status = 0
    caller_left = False

    def __init__(
        self,
        method: str,
        exchange_id: int,
        flags: bytes,
        duration: Recorder | None = None,
        tracer: Tracer | None = None,
        span: Span | None = None,
    ) -> None:
        self.exchange_id = exchange_id
        self._method = method
        self.flags = flags
        self._duration = duration
        self._tracer = tracer
        self._span = span
        self._began = 0.0 if duration is None else time.perf_counter()

    def call(self, upstream: str, purpose: str = "") -> Call:
        """A request to an upstream, to be entered while it lasts; `purpose` names one that is not the caller's own."""
        if self._tracer is None or self._span is None:
            return Call(b"00-%032x-%016x-%b" % (self.exchange_id, random.getrandbits(64) or 1, self.flags))
        name = purpose or self._name()
        attributes = {
            "http.request.method": "POST" if purpose else _known(self._method),
            "strangler.upstream": upstream,
        }
        span = self._tracer.start_span(name, set_span_in_context(self._span, _NOBODYS), SpanKind.CLIENT, attributes)
        return Call(b"00-%032x-%016x-01" % (self.exchange_id, span.get_span_context().span_id), span)

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._span is None and self._duration is None:
            return
        if kind is not None and not self.error:
            self.error = kind.__name__
        attributes = self._attributes()
        if self._duration is not None:
            self._duration.record(time.perf_counter() - self._began, attributes)
        if self._span is not None:
            self._span.update_name(self._name())
            self._span.set_attributes(attributes)
            _finish(self._span, self.status, self.error, caller_left=self.caller_left)

    def _name(self) -> str:
        return f"{_known(self._method)} {self.path}" if self.path else _known(self._method)

    def _attributes(self) -> dict[str, str | int]:
        """Of span and measurement alike: each takes few values, whatever callers send."""
        found: dict[str, str | int] = {
            "http.request.method": _known(self._method, "_OTHER"),
            "http.route": self.path,
            "http.response.status_code": self.status,
            "error.type": self.error,
            "strangler.route": self.route,
            "strangler.stage": self.stage,
            "strangler.upstream": self.upstream,
            "strangler.fallback": self.fallback,
            "strangler.tripped": self.is_tripped,
        }
        return {name: value for name, value in found.items() if value}


class Call:
    """A request to an upstream; its span ends when the block does, which is after the answer's last byte."""

    __slots__ = ("_span", "status", "traceparent")

    def __init__(self, traceparent: bytes, span: Span | None = None) -> None:
        self.traceparent = traceparent
        self.status = 0
        self._span = span

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._span is None:
            return
        if self.status:
            self._span.set_attribute("http.response.status_code", self.status)
        caller_left = kind is not None and issubclass(kind, CancelledError)
        error = kind.__name__ if kind is not None and not caller_left else ""
        _finish(self._span, self.status, error, caller_left=caller_left)


class TraceId(logging.Filter):
    """Gives every log line the id of its exchange, or a dash."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.trace_id = f"{_exchange_id.get():032x}" if _exchange_id.get() else "-"
        return True


def open_telemetry(environ: Mapping[str, str], measurements: Measured | None = None) -> Telemetry:
    """What the environment asks for: TRACES_FILE, or OTLP by OpenTelemetry's own variables; else nothing.

    `measurements` gets it all too, if there is somebody who may ask for them.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Telemetry(duration=measurements, measurements=measurements)
    tracers, meters = _tracer_provider(environ), _meter_provider(environ)
    meter = meters and meters.get_meter(__name__)
    duration = meter and meter.create_histogram(
        "http.server.request.duration",
        unit="s",
        description="From a request's head to its answer's last byte.",
        explicit_bucket_boundaries_advisory=BUCKETS_SECONDS,
    )
    counters = {name: meter.create_counter(name) for name in COUNTERS} if meter else {}
    tracer = tracers and tracers.get_tracer(__name__)
    if duration and measurements:
        duration = _Both(duration, measurements)
    providers = [each for each in (tracers, meters) if each]
    return Telemetry(tracer, duration or measurements, providers, counters, meter, measurements)


def check_installed(environ: Mapping[str, str]) -> None:
    """Raises ConfigError if what the environment asks for needs a package that is not there."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    by_otlp = sends(environ, "TRACES") or sends(environ, "METRICS")
    try:
        if by_otlp or environ.get(TRACES_FILE):
            import opentelemetry.sdk.trace
        if by_otlp:
            import opentelemetry.exporter.otlp.proto.http  # noqa: F401
    except ModuleNotFoundError as missing:
        cure = f"need {missing.name}: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        raise ConfigError("The environment", (Problem("traces and measurements", cure),)) from None


class _Both:
    def __init__(self, one: Recorder, other: Recorder) -> None:
        self._one, self._other = one, other

    def record(self, amount: float, attributes: dict[str, str | int]) -> None:
        self._one.record(amount, attributes)
        self._other.record(amount, attributes)


def sends(environ: Mapping[str, str], signal: str) -> bool:
    """Whether a signal goes out by OTLP: because it is chosen, or because there is an address and no choice."""
    if chosen := environ.get(f"OTEL_{signal}_EXPORTER"):
        return "otlp" in chosen.replace(" ", "").split(",")
    return any(environ.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in (f"{signal}_", ""))


def _tracer_provider(environ: Mapping[str, str]) -> Any:
    if not environ.get(TRACES_FILE) and not sends(environ, "TRACES"):
        return None
    from pathlib import Path

    from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    from .traces_file import TracesFile

    # Sampling is routes.toml's. Events would hold the words of exceptions, which may quote; the log has them.
    provider = TracerProvider(
        sampling.ALWAYS_ON, resource=_resource(environ), span_limits=SpanLimits(max_events=0), shutdown_on_exit=False
    )
    if path := environ.get(TRACES_FILE):
        provider.add_span_processor(SimpleSpanProcessor(TracesFile(Path(path))))
    if sends(environ, "TRACES"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _meter_provider(environ: Mapping[str, str]) -> Any:
    if not sends(environ, "METRICS"):
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return MeterProvider([reader], _resource(environ), shutdown_on_exit=False)


def _resource(environ: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or SERVICE})


def _finish(span: Span, status: int, error: str, *, caller_left: bool) -> None:
    if caller_left:
        span.set_attribute("strangler.caller_left", True)
    if error:
        span.set_attribute("error.type", error)
    if error or status >= 500:
        span.set_status(StatusCode.ERROR)
    span.end()


def _known(method: str, otherwise: str = "HTTP") -> str:
    return method if method in METHODS else otherwise


def _link(headers: Sequence[tuple[bytes, bytes]]) -> list[Link]:
    """To the caller's own span, if there is exactly one and it can be read."""
    found = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(found[0]) if len(found) == 1 else None
    if match is None:
        return []
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return [Link(context)] if context.is_valid else []
