"""Export of spans to a collector, in batches and from a thread of its own.

OpenTelemetry's SDK reads its own variables as well: `OTEL_EXPORTER_OTLP_HEADERS` for a collector
that requires credentials, `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.
"""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Tracer

from app.telemetry.tracing import Tracers

MAX_WAITING_SPANS = 8192
"""About 2 kB each. While the collector does not answer, the oldest of more spans are lost."""

EXPORT_INTERVAL_MILLISECONDS = 1000
EXPORT_SECONDS = 5.0
"""Time limit for one batch, retries included."""

FLUSH_SECONDS = 2.0
"""Time limit for the last spans of a process that ends."""

COMPLAINT_SECONDS = 60.0
"""Interval between log records about a collector that is down."""


@contextmanager
def span_export(endpoint: str, ratio: float) -> Iterator[Tracers]:
    """Tracers that send to `endpoint`; `ratio`: the share of requests traced, 0 to 1.

    Leaving waits for the last spans to be sent, for `FLUSH_SECONDS` at the most.
    """
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    logger.setLevel(logging.ERROR)  # retries are no news
    logger.filters[:] = [_Seldom()]
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    processor = BatchSpanProcessor(
        exporter,
        max_queue_size=MAX_WAITING_SPANS,
        schedule_delay_millis=EXPORT_INTERVAL_MILLISECONDS,
    )
    own = {"service.name": "verbatim", "host.name": socket.gethostname()}
    resource = Resource.create(own).merge(OTELResourceDetector().detect())

    def tracer(sampler: Sampler) -> Tracer:
        provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return provider.get_tracer("verbatim")

    try:
        yield Tracers(tracer(ParentBased(TraceIdRatioBased(ratio))), tracer(ALWAYS_ON))
    finally:
        flushing = threading.Thread(target=processor.shutdown, name="last-spans", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        if flushing.is_alive():
            exporter.shutdown()  # type: ignore[no-untyped-call]


class _Seldom(logging.Filter):
    """Passes one record in `COMPLAINT_SECONDS`."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + COMPLAINT_SECONDS
        return True
