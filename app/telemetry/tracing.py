"""Traces: the stages of a request, as spans. Only this module and span_export.py know
OpenTelemetry; while tracing is off, all functions here return at once.

A request's spans follow its tasks by a context variable. The variable ends at the device, where
windows of many requests share a call: there a window has a `TraceAnchor`, and the call is a span of
its own. No span has text, audio or request fields: only numbers, and names that the operator chose.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.setting_groups import TelemetrySettings

_W3C = TraceContextTextMapPropagator()


class Span:
    """A span of a trace; without effect while tracing is off."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def log_fields(self) -> dict[str, str]:
        """The `trace_id`, as W3C's hexadecimal digits; empty while tracing is off."""
        context = self._span.get_span_context()
        return {"trace_id": trace.format_trace_id(context.trace_id)} if context.is_valid else {}

    def note(self, **facts: str | float | None) -> None:
        """Set attributes, `verbatim.` before each name; values that are None are left out."""
        for name, fact in facts.items():
            if fact is not None:
                value = round(fact, 3) if isinstance(fact, float) else fact
                self._span.set_attribute(f"verbatim.{name}", value)

    def answered(self, method: str, route: str | None, status: int) -> None:
        """Set OpenTelemetry's attributes for HTTP; `route` is a pattern, None if there is none."""
        self._span.update_name(f"{method} {route}" if route else method)
        self._span.set_attribute("http.request.method", method)
        if route:
            self._span.set_attribute("http.route", route)
        if status:
            self._span.set_attribute("http.response.status_code", status)

    def fail(self, reason: str) -> None:
        """Mark the span as failed. `reason`: one of few; error messages may quote the request."""
        self._span.set_attribute("error.type", reason)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()

    def inside(self) -> AbstractContextManager[object]:
        """A context in which new spans become children of this one."""
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)


_NO_SPAN = Span(trace.INVALID_SPAN)
NOTHING = nullcontext(_NO_SPAN)
"""The context of stages that are not traced."""


@dataclass(frozen=True, slots=True)
class Tracers:
    """The exporting tracers."""

    requests: Tracer
    """Samples the configured share of requests."""
    device_calls: Tracer
    """Exports every span: a call has one only if the request of a window in it has one."""


_tracers: Tracers | None = None


@contextmanager
def exported(settings: TelemetrySettings) -> Iterator[None]:
    """Trace requests while the context is open, if a collector is configured.

    The configured share of requests is traced; a `traceparent` decides for its request.
    """
    global _tracers
    if settings.otlp_endpoint is None:
        yield
        return
    # 5 MB and 0.1 s, only where tracing is on.
    from app.telemetry.span_export import span_export

    with span_export(str(settings.otlp_endpoint), settings.trace_ratio) as tracers:
        _tracers = tracers
        try:
            yield
        finally:
            _tracers = None


def request(headers: Mapping[str, str]) -> AbstractContextManager[Span]:
    """Begin the span of a request or live session, in the caller's trace or in a new one."""
    if _tracers is None:
        return NOTHING
    caller = _W3C.extract(headers)
    return _within(_tracers.requests.start_span("request", caller, kind=SpanKind.SERVER))


def span(name: str, **facts: str | float | None) -> AbstractContextManager[Span]:
    """Begin the span of a stage of the current request; nothing if that is not traced.

    An exception that leaves the context marks the span as failed, by the name of its class.
    """
    tracers = _tracers_here()
    if tracers is None:
        return NOTHING
    begun = tracers.requests.start_span(name)
    Span(begun).note(**facts)
    return _within(begun)


def begin(name: str) -> Span:
    """Begin a span as `span` does, for a stage that is no block of code; `end` must be called."""
    tracers = _tracers_here()
    return Span(tracers.requests.start_span(name)) if tracers else _NO_SPAN


def _tracers_here() -> Tracers | None:
    """None if the current request is not traced: no trace begins with a stage."""
    return _tracers if _tracers and trace.get_current_span().is_recording() else None


@contextmanager
def _within(begun: trace.Span) -> Iterator[Span]:
    span = Span(begun)
    try:
        with span.inside():
            yield span
    except Exception as error:
        span.fail(type(error).__name__)
        raise
    finally:
        span.end()


@dataclass(slots=True)
class TraceAnchor:
    """The parent context of the spans of a window in the queue, and the start of its wait."""

    context: Context
    waiting_since: int
    """Nanoseconds since 1970."""


def anchor() -> TraceAnchor | None:
    """The anchor of a window that is queued now; None if its request is not traced."""
    if _tracers_here() is None:
        return None
    here = trace.set_span_in_context(trace.get_current_span(), Context())
    return TraceAnchor(here, time.time_ns())


@contextmanager
def device_call(stage: str, anchors: Sequence[TraceAnchor | None]) -> Iterator[None]:
    """Trace a call on the device; `anchors`: one for each window in it, None if not traced.

    Each window gets a span for its wait until now and one for its part in the call; the latter and
    the span of the call, which is a trace of its own, are linked to each other.
    """
    traced = [each for each in anchors if each is not None]
    if _tracers is None or not traced:
        yield
        return
    now = time.time_ns()
    for each in traced:
        waited = _tracers.requests.start_span("queue", each.context, start_time=each.waiting_since)
        waited.end(now)
    parts = [_tracers.requests.start_span(stage, each.context, start_time=now) for each in traced]
    links = [Link(part.get_span_context()) for part in parts]
    call = _tracers.device_calls.start_span(
        f"batch {stage}", Context(), links=links, start_time=now
    )
    Span(call).note(windows=len(anchors))
    try:
        with _within(call):
            yield
    except Exception as error:
        for part in parts:
            Span(part).fail(type(error).__name__)
        raise
    finally:
        for each, part in zip(traced, parts, strict=True):
            part.add_link(call.get_span_context())
            part.end()
            each.waiting_since = time.time_ns()
