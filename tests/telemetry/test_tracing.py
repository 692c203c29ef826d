"""Traces as a collector gets them: of a process with the starter, and of a fake model's batches."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx
import pytest
from prometheus_client import REGISTRY

from app.domain import Hypothesis
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Job
from tests.sockets.stream.test_conversation import CLIP, END, talk
from tests.support.api_keys import SALES_KEY, bearer, keys
from tests.support.collector import CollectedSpan, Collector
from tests.support.faulty_server import FaultyServer
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until
from tests.telemetry.traces import CALLER, TRANSCRIPTIONS, new_trace, only, post

CALL = "08_long_call.flac"
UNSAMPLED = "00"
DEVICE_STAGES = ("encode", "detect", "decode")
ROUNDING = 0.001
"""Seconds that clocks and rounding may be apart."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[LiveServer]:
    """One with keys, whose model fails if the prompt is `fail`."""
    with FaultyServer(
        api_key=SALES_KEY,
        VERBATIM_ACCESS__KEYS=keys(None, sales={"key": SALES_KEY}),
        VERBATIM_TELEMETRY__OTLP_ENDPOINT=collector.url,
    ) as server:
        yield server


def children(spans: list[CollectedSpan], parent: CollectedSpan) -> list[CollectedSpan]:
    found = [span for span in spans if span.parent_id == parent.id]
    return sorted(found, key=lambda span: span.start)


def shared_calls(collector: Collector, spans: list[CollectedSpan]) -> list[CollectedSpan]:
    """The calls on the device that windows of these spans were in; each knows of the other."""
    found = []
    for part in spans:
        if part.name in DEVICE_STAGES:
            (call,) = [span for span in collector.spans if span.id in part.links]
            assert part.id in call.links
            assert (call.name, call.parent_id) == (f"batch {part.name}", "")
            assert part.start <= call.start + ROUNDING
            assert call.end <= part.end + ROUNDING
            found.append(call)
    return found


def test_a_request_is_one_tree_below_its_callers_span(
    traced: LiveServer, collector: Collector
) -> None:
    trace_id = new_trace()
    words = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    answer = post(traced.url, trace_id, **words)
    spans = collector.whole_trace(trace_id)
    request = only(spans, f"POST {TRANSCRIPTIONS}")
    assert request.is_server
    assert request.parent_id == CALLER
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": TRANSCRIPTIONS,
        "http.response.status_code": 200,
        "verbatim.request_id": answer.headers["x-request-id"],
        "verbatim.key": "sales",
        "verbatim.model": "starter",
        "verbatim.audio_seconds": answer.json()["duration"],
        "verbatim.queue_milliseconds": request.attributes["verbatim.queue_milliseconds"],
    }
    assert not any(span.failed for span in spans)
    by_id = {span.id: span for span in spans}
    for span in spans:
        if span is not request:
            parent = by_id[span.parent_id]
            assert parent.start <= span.start + ROUNDING
            assert span.end <= parent.end + ROUNDING
    stages = [span.name for span in children(spans, request)]
    assert stages == ["upload", "model", "audio", "window", "window"], "the clip has two sentences"
    assert only(spans, "audio").attributes["verbatim.audio_seconds"] == answer.json()["duration"]
    for window in (span for span in spans if span.name == "window"):
        check_stages(window, children(spans, window))


def check_stages(window: CollectedSpan, stages: list[CollectedSpan]) -> None:
    """One after the other, and little of the window's time is without a name."""
    names = ["features", "queue", "encode", "queue", "detect", "queue", "decode"]
    assert [stage.name for stage in stages] == names
    for before, after in pairwise(stages):
        assert before.end <= after.start + ROUNDING
    assert sum(stage.seconds for stage in stages) > 0.25 * window.seconds


def test_the_calls_on_the_device_are_linked_and_alignment_is_a_part_of_one(
    traced: LiveServer, collector: Collector
) -> None:
    trace_id = new_trace()
    words = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    post(traced.url, trace_id, language="en", **words)
    spans = collector.whole_trace(trace_id)
    calls = shared_calls(collector, spans)
    assert {call.name for call in calls} == {"batch encode", "batch decode"}
    for call in calls:
        parts = [span.name for span in children(collector.of_trace(call.trace_id), call)]
        assert set(parts) == ({"align"} if call.name == "batch decode" else set())


def test_an_error_of_the_device_shows_in_every_span_around_it(
    traced: LiveServer, collector: Collector
) -> None:
    trace_id = new_trace()
    assert post(traced.url, trace_id, language="en", prompt="fail").status_code == 500
    spans = collector.whole_trace(trace_id)
    failed = {(span.name, span.attributes["error.type"]) for span in spans if span.failed}
    assert failed == {
        (f"POST {TRANSCRIPTIONS}", "500"),
        ("window", "EngineFailed"),
        ("decode", "RuntimeError"),
    }
    calls = [call for call in shared_calls(collector, spans) if call.name == "batch decode"]
    assert calls
    assert all(call.failed for call in calls)


def test_an_error_of_the_caller_is_no_failure(traced: LiveServer, collector: Collector) -> None:
    invalid, foreign = new_trace(), new_trace()
    assert post(traced.url, invalid, temperature="hot").status_code == 400
    parent = {"traceparent": f"00-{foreign}-{CALLER}-01"}
    assert httpx.get(f"{traced.url}/v1/models/x", headers=parent).status_code == 401
    spans = collector.whole_trace(invalid)
    assert [span.name for span in spans if span.failed] == ["upload"]
    request = only(spans, f"POST {TRANSCRIPTIONS}")
    assert request.attributes["http.response.status_code"] == 400
    (refused,) = collector.whole_trace(foreign)
    assert refused.name == "GET", "refused before its route is looked up"
    assert refused.attributes["http.response.status_code"] == 401
    assert "verbatim.key" not in refused.attributes
    assert not refused.failed


def test_the_span_of_a_stream_lasts_until_its_end(traced: LiveServer, collector: Collector) -> None:
    trace_id = new_trace()
    answer = post(traced.url, trace_id, language="en", stream="true", model="gpt-4o-transcribe")
    assert "transcript.text.done" in answer.text
    spans = collector.whole_trace(trace_id)
    request = only(spans, f"POST {TRANSCRIPTIONS}")
    assert request.end >= max(span.end for span in spans if span.name == "decode")
    assert not any(span.failed for span in spans)


def two_windows_only(job: Job, options: DecodeOptions) -> Hypothesis:
    """The first window's end is sent when the second one is known."""
    if job.position > 1:
        raise RuntimeError("this window cannot be decoded")
    return hypothesis(" a window", job.duration, options)


def test_a_stream_that_breaks_off_has_failed_though_its_status_was_good(
    collector: Collector,
) -> None:
    trace_id = new_trace()
    app = fake_app(FakeModel(answers=two_windows_only), telemetry={"otlp_endpoint": collector.url})
    with served(app) as url:
        answer = post(url, trace_id, CALL, language="en", stream="true", model="gpt-4o-transcribe")
    assert "transcript.text.delta" in answer.text
    assert "transcript.text.done" not in answer.text
    request = only(collector.of_trace(trace_id), f"POST {TRANSCRIPTIONS}")
    assert request.failed
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["verbatim.outcome"] == "failed"


def test_the_span_of_a_stream_shows_that_the_caller_left(
    traced: LiveServer, collector: Collector
) -> None:
    before = len(collector.spans)
    with traced.stream(FOLDER / CALL, language="en") as answer:
        next(answer.iter_lines())
        request_id = answer.headers["x-request-id"]

    def is_mine(span: CollectedSpan) -> bool:
        return span.attributes.get("verbatim.request_id") == request_id

    wait_until(lambda: any(is_mine(span) for span in collector.spans[before:]))
    (request,) = [span for span in collector.spans[before:] if is_mine(span)]
    assert request.attributes["verbatim.outcome"] == "left"
    assert request.attributes["http.response.status_code"] == 200
    assert not request.failed


async def test_a_live_session_has_a_span_for_each_item(
    traced: LiveServer, collector: Collector
) -> None:
    start = json.dumps({"format": "auto", "language": "en"})
    before = len(collector.spans)
    said, _ = await talk(traced, start, (FOLDER / CLIP).read_bytes(), END, key=SALES_KEY)
    finals = [message for message in said if message["type"] == "final"]
    spans = await asyncio.to_thread(spans_of_socket, collector, before)
    session = only(spans, "WEBSOCKET /stream")
    assert session.attributes["http.response.status_code"] == 101
    items = children(spans, session)
    assert [item.name for item in items] == ["item"] * len(finals)
    for item in items:
        assert "window" in {span.name for span in children(spans, item)}
        assert session.start <= item.start < item.end <= session.end


def spans_of_socket(collector: Collector, since: int) -> list[CollectedSpan]:
    def ended() -> list[str]:
        spans = collector.spans[since:]
        return [span.trace_id for span in spans if span.name == "WEBSOCKET /stream"]

    wait_until(lambda: bool(ended()))
    return collector.of_trace(ended()[0])


def test_health_and_metrics_are_not_traced(traced: LiveServer, collector: Collector) -> None:
    trace_id, last = new_trace(), new_trace()
    for path, each in (("/health/ready", trace_id), ("/metrics", trace_id), ("/v1/models", last)):
        headers = {**bearer(SALES_KEY), "traceparent": f"00-{each}-{CALLER}-01"}
        httpx.get(f"{traced.url}{path}", headers=headers)
    collector.whole_trace(last)
    assert collector.of_trace(trace_id) == []


def test_windows_of_two_requests_link_to_the_one_call_that_they_shared(
    collector: Collector,
) -> None:
    traces = [new_trace() for _ in range(3)]
    model = FakeModel()
    model.gate.clear()
    app = fake_app(model, telemetry={"otlp_endpoint": collector.url, "trace_ratio": 0})
    with served(app) as url, ThreadPoolExecutor(4) as callers:
        answers = [callers.submit(post, url, traces[0], language="en")]
        assert model.started.wait(10)
        answers += [callers.submit(post, url, each, language="en") for each in traces[1:]]
        answers += [callers.submit(post, url, new_trace(), flags=UNSAMPLED, language="en")]
        wait_until(lambda: REGISTRY.get_sample_value("stt_queue_windows") == 3)
        model.gate.set()
        assert [answer.result().status_code for answer in answers] == [200] * 4
    spans = [collector.of_trace(each) for each in traces]
    assert all(only(each, f"POST {TRANSCRIPTIONS}").parent_id == CALLER for each in spans)
    calls = [shared_calls(collector, each)[-1] for each in spans]
    assert calls[1] == calls[2] != calls[0]
    assert calls[1].attributes["verbatim.windows"] == 3, "the one that is not traced was there"
    assert calls[1].links == {only(each, "decode").id for each in spans[1:]}
    waits = [span.seconds for span in spans[1] if span.name == "queue"]
    assert max(waits) > calls[0].end - only(spans[1], "features").end - ROUNDING


def test_a_share_of_the_requests_is_traced_unless_the_caller_has_decided() -> None:
    trace_id = new_trace()
    with Collector() as own:
        app = fake_app(FakeModel(), telemetry={"otlp_endpoint": own.url, "trace_ratio": 0})
        with served(app) as url:
            assert post(url).status_code == 200
            assert post(url, new_trace(), flags=UNSAMPLED).status_code == 200
            assert post(url, trace_id).status_code == 200
    found = own.spans
    assert Counter(span.name for span in found if span.trace_id == trace_id)["window"] == 1
    others = {span.name for span in found if span.trace_id != trace_id}
    assert others == {"batch encode", "batch detect", "batch decode"}


def test_a_doubtful_window_has_a_span_for_its_fallback(collector: Collector) -> None:
    trace_id = new_trace()
    doubtful = {0.0: hypothesis("perhaps", avg_logprob=-2.0)}
    app = fake_app(FakeModel(answers=doubtful), telemetry={"otlp_endpoint": collector.url})
    with served(app) as url:
        post(url, trace_id, language="en")
    spans = collector.of_trace(trace_id)
    again = only(spans, "fallback")
    assert again.parent_id == only(spans, "window").id
    assert again.attributes["verbatim.temperature"] == 0.2
    assert [span.name for span in children(spans, again)] == ["queue", "decode"]
