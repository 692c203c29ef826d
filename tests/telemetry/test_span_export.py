"""The exporter of a whole process, and with a fake model."""

import json
import subprocess
import sys
import time

import pytest

from app.engine.fake_model import FakeModel
from app.setting_groups import TelemetrySettings
from app.telemetry import span_export, tracing
from tests.support.collector import Collector
from tests.support.live_server import ROOT, LiveServer
from tests.support.served import fake_app, served
from tests.telemetry.traces import CLIP_SECONDS, TRANSCRIPTIONS, new_trace, only, post


def test_sigterm_sends_the_last_spans_and_the_log_names_their_trace() -> None:
    with Collector() as collector:
        trace_id = new_trace()
        with LiveServer(
            VERBATIM_TELEMETRY__OTLP_ENDPOINT=collector.url,
            VERBATIM_TELEMETRY__LOG_LEVEL="info",
            VERBATIM_TELEMETRY__LOG_FORMAT="json",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        ) as server:
            answer = post(server.url, trace_id, language="en")
            server.terminate()
        spans = collector.of_trace(trace_id)
        assert only(spans, f"POST {TRANSCRIPTIONS}").is_server
        assert collector.paths == {"/v1/traces"}
        assert {span.service for span in spans} == {"verbatim"}
        assert b"deployment.environment.name" in collector.bodies[-1]
    lines = [json.loads(line) for line in server.errors.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line == {
        "event": "request",
        "level": "info",
        "timestamp": line["timestamp"],
        "request_id": answer.headers["x-request-id"],
        "trace_id": trace_id,
        "method": "POST",
        "path": TRANSCRIPTIONS,
        "status": 200,
        "milliseconds": line["milliseconds"],
        "key": "anonymous",
        "model": "starter",
        "audio_seconds": CLIP_SECONDS,
        "queue_milliseconds": line["queue_milliseconds"],
    }
    assert 0 <= line["queue_milliseconds"] <= line["milliseconds"]


@pytest.mark.parametrize("status", [None, 503])
def test_requests_do_not_wait_for_a_collector_that_is_mute_or_down(
    monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    monkeypatch.setattr(span_export, "EXPORT_SECONDS", 60.0)
    with Collector(status=status or 200) as collector:
        if status is None:
            collector.release.clear()
        app = fake_app(FakeModel(), telemetry={"otlp_endpoint": collector.url})
        with served(app) as url:
            answers = [post(url, new_trace(), language="en") for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200] * 3
            stopping = time.monotonic()
        assert time.monotonic() - stopping < span_export.FLUSH_SECONDS + 20
        assert collector.spans == []


def test_spans_beyond_the_limit_of_waiting_ones_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_export, "MAX_WAITING_SPANS", 600)
    with Collector() as collector:
        collector.release.clear()
        settings = TelemetrySettings.model_validate({"otlp_endpoint": collector.url})
        with tracing.exported(settings):
            for _ in range(5_000):
                with tracing.request({}):
                    pass
            collector.release.set()
        batch = 512  # OpenTelemetry's own: what was on its way when the queue filled
        assert 600 <= len(collector.spans) <= 600 + 2 * batch


def test_libraries_of_what_is_off_are_not_imported() -> None:
    """Tracing, a Redis, jobs, signing in: each has megabytes."""
    script = (
        "import sys, app.application\n"
        "from app.settings import TelemetrySettings\n"
        "from app.telemetry import tracing\n"
        "with tracing.exported(TelemetrySettings()), tracing.request({}) as request:\n"
        "    with tracing.span('stage'), tracing.device_call('decode', [tracing.anchor()]):\n"
        "        tracing.begin('item').end()\n"
        "    assert request.log_fields == {}\n"
        "print(*sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    found = run.stdout.split()
    assert "opentelemetry.trace" in found, "FastAPI has the interface imported in any case"
    off = {"opentelemetry.sdk", "opentelemetry.exporter", "redis", "psycopg", "authlib"}
    assert off.isdisjoint(found)
