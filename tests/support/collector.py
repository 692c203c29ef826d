"""A stand-in for an OpenTelemetry collector: it takes OTLP over HTTP and keeps the spans."""

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.waiting import wait_until

Value = str | bool | int | float
FAILED = trace_pb2.Status.STATUS_CODE_ERROR
SERVER = trace_pb2.Span.SPAN_KIND_SERVER


@dataclass(frozen=True)
class CollectedSpan:
    """Ids in hexadecimal, times in seconds since 1970."""

    name: str
    trace_id: str
    id: str
    parent_id: str
    is_server: bool
    start: float
    end: float
    attributes: dict[str, Value]
    links: frozenset[str]
    """Ids of spans."""
    failed: bool
    service: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Collector:
    """Use as a context manager. `status`: of its answers; `delay`: an event they wait for."""

    def __init__(self, port: int = 0, status: int = 200) -> None:
        self.status = status
        self.paths: set[str] = set()
        self.bodies: list[bytes] = []
        self.spans: list[CollectedSpan] = []
        self.release = threading.Event()
        self.release.set()
        """While it is cleared, nobody is answered."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            facts = {fact.key: fact.value.string_value for fact in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_collected(span, facts["service.name"]) for span in scope.spans]

    def of_trace(self, trace_id: str) -> list[CollectedSpan]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def whole_trace(self, trace_id: str) -> list[CollectedSpan]:
        """All spans of a request, once it has ended: its own span is the last one."""
        return self.until(lambda span: span.is_server and span.trace_id == trace_id, trace_id)

    def until(self, wanted: Callable[[CollectedSpan], bool], trace_id: str) -> list[CollectedSpan]:
        wait_until(lambda: any(wanted(span) for span in list(self.spans)))
        return self.of_trace(trace_id)


def _handler_of(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            collector.release.wait()
            if collector.status == 200:
                collector.take(self.path, body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


def _collected(span: trace_pb2.Span, service: str) -> CollectedSpan:
    attributes: dict[str, Value] = {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in span.attributes
    }
    return CollectedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        is_server=span.kind == SERVER,
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        attributes=attributes,
        links=frozenset(link.span_id.hex() for link in span.links),
        failed=span.status.code == FAILED,
        service=service,
    )
