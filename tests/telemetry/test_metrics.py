"""Metrics of a batcher, a detector and a server."""

import asyncio
from collections import deque

import httpx
import numpy as np
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Gauge

from app.audio.voice_activity import VoiceActivity
from app.domain import Hypothesis
from app.engine.batcher import Batcher
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.speech_model import DecodeOptions, Job
from app.errors import EngineFailed
from app.pipeline import fallback
from app.telemetry.metrics import follow
from tests.support.api_keys import bearer, keys
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, load_sample, silence, wav
from tests.support.served import fake_app, served
from tests.support.waiting import until, wait_until

OPTIONS = DecodeOptions("transcribe", "en")
CLIP = "12_short_clip.wav"


def value(sample: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(sample, labels)
    assert found is not None, f"{sample}{labels} does not begin at 0"
    return found


def job(number: float) -> Job:
    return Job(f"request-{number}", 1.0, np.array([number], np.float32))


def test_a_gauge_is_read_again_if_a_collection_changed_while_it_was_read() -> None:
    registry, waiting, reads = CollectorRegistry(), deque([1, 2, 3]), []

    def read() -> int:
        reads.append(len(waiting))
        for _ in waiting:
            if len(reads) < 3:
                waiting.append(0)
        return len(waiting)

    follow(Gauge("waiting", "", registry=registry), read)
    assert registry.get_sample_value("waiting") == 5
    assert reads == [3, 4, 5]


def test_a_gauge_that_cannot_be_read_has_an_error_and_not_an_old_value() -> None:
    registry = CollectorRegistry()

    def read() -> int:
        raise RuntimeError("there is no loop")

    follow(Gauge("tasks", "", registry=registry), read)
    with pytest.raises(RuntimeError, match="no loop"):
        registry.get_sample_value("tasks")


async def decode(model: FakeModel) -> Hypothesis:
    async with Batcher(model) as batcher:
        return await fallback.decode(batcher, job(0.5), OPTIONS, fallback.TEMPERATURES)


async def test_a_call_counts_its_places_and_its_windows() -> None:
    def counts() -> list[float]:
        names = ("stt_batch_places_total", "stt_batch_windows_sum", "stt_batch_windows_count")
        return [value(name, stage=stage) for stage in ("encode", "decode") for name in names]

    before = counts()
    model = FakeModel(max_batch_size=4)
    async with Batcher(model) as batcher:
        model.gate.clear()
        first = asyncio.create_task(batcher.decode(job(0.0), OPTIONS))
        await asyncio.to_thread(model.started.wait, 10)
        others = [asyncio.create_task(batcher.decode(job(n / 10), OPTIONS)) for n in (1, 2, 3)]
        await until(lambda: batcher.waiting == 3)
        model.gate.set()
        await asyncio.gather(first, *others)
    # Four windows: encoded one by one, decoded as one and three of four.
    assert np.subtract(counts(), before).tolist() == [4, 4, 4, 8, 4, 2]


async def test_the_oldest_wait_grows_while_the_device_is_busy() -> None:
    model = FakeModel(max_batch_size=1)
    async with Batcher(model) as batcher:
        assert batcher.oldest_wait_seconds == 0
        model.gate.clear()
        first = asyncio.create_task(batcher.decode(job(0.0), OPTIONS))
        await asyncio.to_thread(model.started.wait, 10)
        second = asyncio.create_task(batcher.decode(job(0.1), OPTIONS))
        await until(lambda: batcher.oldest_wait_seconds > 0)
        before = batcher.oldest_wait_seconds
        await until(lambda: before + 0.05 < batcher.oldest_wait_seconds < 10)
        model.gate.set()
        await asyncio.gather(first, second)
        assert batcher.oldest_wait_seconds == 0


async def test_stages_are_timed_and_failed_calls_counted() -> None:
    timed = [value("stt_stage_seconds_count", stage=stage) for stage in ("encode", "decode")]
    failed = value("stt_failed_device_calls_total", stage="decode")
    async with Batcher(FakeModel(fails_on=frozenset({" 0.50"}))) as batcher:
        with pytest.raises(EngineFailed):
            await batcher.decode(job(0.5), OPTIONS)
    assert value("stt_stage_seconds_count", stage="encode") == timed[0] + 1
    assert value("stt_stage_seconds_count", stage="decode") == timed[1] + 1
    assert value("stt_failed_device_calls_total", stage="decode") == failed + 1


async def test_only_decodings_after_the_first_are_fallback() -> None:
    before = value("stt_stage_seconds_count", stage="fallback")
    await decode(FakeModel())
    assert value("stt_stage_seconds_count", stage="fallback") == before
    mumble = hypothesis(" mumble", avg_logprob=-1.5)
    await decode(FakeModel(answers={0.0: mumble, 0.2: mumble}))
    assert value("stt_stage_seconds_count", stage="fallback") == before + 2


async def test_a_window_in_which_the_model_finds_no_speech_is_counted() -> None:
    before = value("stt_silent_windows_total")
    silent = hypothesis(" Thank you.", avg_logprob=-1.5, no_speech_prob=0.9)
    assert (await decode(FakeModel(answers={0.0: silent}))).text == ""
    assert value("stt_silent_windows_total") == before + 1


def test_all_sound_is_speech_or_silence() -> None:
    def seconds() -> list[float]:
        name = "stt_voice_activity_seconds_total"
        return [value(name, activity=activity) for activity in ("speech", "silence")]

    before = seconds()
    detector = VoiceActivity()
    clip = load_sample(CLIP)
    detector.push(clip)
    detector.push(silence(10.0))
    detector.flush()
    speech, quiet = np.subtract(seconds(), before)
    assert speech + quiet == pytest.approx(len(clip) / 16_000 + 10, abs=0.033)
    assert 1.5 < speech < len(clip) / 16_000
    assert quiet > 9.5


def test_refusals_before_the_route_are_answers_too() -> None:
    visitor = {"key": "visitor", "requests_per_minute": 1}
    labels = {"handler": "/v1/models", "method": "GET", "status": "4xx"}

    def answers() -> float:
        return REGISTRY.get_sample_value("http_requests_total", labels) or 0.0

    # The instrumentator counts for the first application of a process only.
    for collector, names in list(REGISTRY._collector_to_names.items()):
        if any(name.startswith("http_") for name in names):
            REGISTRY.unregister(collector)
    with served(fake_app(FakeModel(), access={"keys": keys(visitor=visitor)})) as url:
        statuses = [
            httpx.get(f"{url}/v1/models", headers=bearer(key)).status_code
            for key in ("visitor", "visitor", "a stranger")
        ]
        assert statuses == [200, 429, 401]
        wait_until(lambda: answers() == 2)


def test_a_recording_counts_its_windows_and_its_stages(server: LiveServer) -> None:
    def windows(le: str) -> float:
        return server.metric(f'stt_request_windows_bucket{{le="{le}"}}')

    def stage(name: str) -> float:
        return server.metric(f'stt_stage_seconds_count{{stage="{name}"}}')

    none, up_to_two, aligned = windows("0.0"), windows("2.0"), stage("align")
    create = server.client.audio.transcriptions.create
    create(file=("quiet.wav", wav(silence(3.0))), model="whisper-1")
    assert (windows("0.0"), windows("2.0")) == (none + 1, up_to_two + 1)
    features, audio = stage("features"), stage("audio")
    words = create(
        file=FOLDER / CLIP,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert words.words
    assert windows("0.0") == none + 1
    assert windows("2.0") == up_to_two + 2
    assert stage("features") > features
    assert stage("audio") > audio
    assert stage("align") > aligned


def test_the_metrics_show_the_servers_limits(server: LiveServer) -> None:
    assert server.metric("stt_live_sessions_max") == 64
    assert server.metric('stt_device_workers{model="starter"}') >= 1
    wait_until(lambda: server.metric("stt_requests_in_flight") == 0)
    assert server.metric('stt_model_unloads_total{model="starter",reason="limit"}') == 0
    text = httpx.get(f"{server.url}/metrics").text
    assert "stt_windows_created" not in text
