import asyncio
import threading
import time
from collections.abc import Awaitable

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.domain import Hypothesis
from app.engine.batcher import MAX_FAILURES_IN_ROW, Batcher
from app.engine.fake_model import FakeModel, hypothesis
from app.engine.queue import Queue
from app.engine.speech_model import DecodeOptions, Job
from app.errors import EngineBroken, EngineFailed, Overloaded
from app.process.watchdog import Watchdog
from tests.support.waiting import until

OPTIONS = DecodeOptions("transcribe", "en")


def job(value: float, request_id: str | None = None) -> Job:
    return Job(request_id or f"request-{value}", 1.0, np.array([value], np.float32))


async def busy(model: FakeModel, batcher: Batcher) -> Awaitable[Hypothesis]:
    """Put a window on the device and leave it there until the gate opens."""
    model.gate.clear()
    model.started.clear()
    first = asyncio.create_task(batcher.decode(job(0.0, "first"), OPTIONS))
    await asyncio.to_thread(model.started.wait, 60)
    return first


async def test_every_caller_gets_its_own_text() -> None:
    model = FakeModel()
    async with Batcher(model) as batcher:
        values = [number / 100 for number in range(20)]
        hypotheses = await asyncio.gather(*(batcher.decode(job(each), OPTIONS) for each in values))
    assert [each.text for each in hypotheses] == [f"{value:.2f}" for value in values]


async def test_windows_that_wait_while_the_device_is_busy_are_the_next_batch() -> None:
    model = FakeModel(max_batch_size=4)
    async with Batcher(model) as batcher:
        first = await busy(model, batcher)
        others = [asyncio.create_task(batcher.decode(job(n / 10), OPTIONS)) for n in range(1, 7)]
        await until(lambda: batcher.waiting == 6)
        model.gate.set()
        await asyncio.gather(first, *others)
    assert [len(batch) for batch in model.decoded] == [1, 4, 2]


async def test_an_idle_device_starts_at_once() -> None:
    model = FakeModel()
    async with Batcher(model) as batcher:
        for value in (0.1, 0.2):
            await asyncio.wait_for(batcher.decode(job(value), OPTIONS), 60)
    assert [len(batch) for batch in model.decoded] == [1, 1]


async def test_a_failing_window_fails_alone() -> None:
    model = FakeModel(fails_on=frozenset({" 0.20"}))
    async with Batcher(model) as batcher:
        first = await busy(model, batcher)
        others = [asyncio.create_task(batcher.decode(job(n / 10), OPTIONS)) for n in (1, 2, 3)]
        await until(lambda: batcher.waiting == 3)
        model.gate.set()
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert isinstance(outcomes[2], EngineFailed)
    assert [each.text for each in outcomes if isinstance(each, Hypothesis)] == [
        "0.00",
        "0.10",
        "0.30",
    ]


async def test_a_caller_that_leaves_removes_its_waiting_window() -> None:
    model = FakeModel()
    async with Batcher(model) as batcher:
        first = await busy(model, batcher)
        leaves = asyncio.create_task(batcher.decode(job(0.5, "leaves"), OPTIONS))
        stays = asyncio.create_task(batcher.decode(job(0.6, "stays"), OPTIONS))
        await until(lambda: batcher.waiting == 2)
        leaves.cancel()
        await until(lambda: batcher.waiting == 1)
        model.gate.set()
        await asyncio.gather(first, stays)
        with pytest.raises(asyncio.CancelledError):
            await leaves
    assert ["leaves"] not in model.encoded
    assert model.decoded == [["first"], ["stays"]]


async def test_a_caller_that_leaves_during_the_call_does_not_disturb_the_others() -> None:
    model = FakeModel()
    async with Batcher(model) as batcher:
        first = asyncio.ensure_future(await busy(model, batcher))
        first.cancel()
        other = asyncio.create_task(batcher.decode(job(0.6), OPTIONS))
        await until(lambda: batcher.waiting == 1)
        model.gate.set()
        assert (await other).text == "0.60"


async def test_closing_finishes_the_call_on_the_device_and_fails_waiting_windows() -> None:
    model = FakeModel()
    batcher = Batcher(model)
    async with batcher:
        first = await busy(model, batcher)
        second = asyncio.create_task(batcher.decode(job(0.7), OPTIONS))
        await until(lambda: batcher.waiting == 1)
        # Runs once leaving the context waits for the device.
        asyncio.get_running_loop().call_soon(model.gate.set)
    assert (await first).text == "0.00"
    with pytest.raises(Overloaded):
        await second
    with pytest.raises(Overloaded):
        await batcher.decode(job(0.8), OPTIONS)


async def test_detection_keeps_the_encoder_output_for_decoding() -> None:
    model = FakeModel()
    window = job(0.3)
    window.stretches = [(0.0, 0.5), (0.6, 1.0)]
    async with Batcher(model) as batcher:
        assert await batcher.detect_languages(window) == [model.languages] * 2
        assert (await batcher.decode(window, OPTIONS)).text == "0.30"
    assert len(model.encoded) == 1
    assert window.features is None


async def test_a_worker_survives_a_model_that_returns_too_few_results() -> None:
    class Short(FakeModel):
        def decode(self, jobs, options):  # type: ignore[no-untyped-def]
            return [] if jobs[0].request_id == "bad" else super().decode(jobs, options)

    async with Batcher(Short()) as batcher:
        with pytest.raises(EngineFailed):
            await batcher.decode(job(0.1, "bad"), OPTIONS)
        assert (await batcher.decode(job(0.2), OPTIONS)).text == "0.20"


async def test_two_workers_run_two_calls_at_once() -> None:
    model = FakeModel(workers=2, max_batch_size=1)
    async with Batcher(model) as batcher:
        first = await busy(model, batcher)
        model.started.clear()
        second = asyncio.create_task(batcher.decode(job(0.2), OPTIONS))
        assert await asyncio.to_thread(model.started.wait, 5)
        model.gate.set()
        await asyncio.gather(first, second)


async def test_a_clip_is_decoded_while_every_worker_has_a_batch_of_a_long_recording() -> None:
    gate = threading.Event()

    def answer(job: Job, options: DecodeOptions) -> Hypothesis:
        if job.position:
            assert gate.wait(100)
        return hypothesis(job.request_id)

    model = FakeModel(workers=2, has_spare_worker=True, answers=answer)
    async with Batcher(model) as batcher:
        long = []
        for position in range(4, 12):
            window = job(position / 100, "long")
            window.position = position
            long.append(asyncio.create_task(batcher.decode(window, OPTIONS)))
        await until(lambda: len(model.decoded) == 2)
        counted = batcher.pace.cost
        for _ in range(2):
            async with asyncio.timeout(60):
                assert (await batcher.decode(job(0.5, "clip"), OPTIONS)).text == "clip"
        assert 0 < batcher.pace.cost < counted
        assert not any(each.done() for each in long)
        gate.set()
        await asyncio.gather(*long)


async def test_the_pace_begins_with_the_warm_up_and_goes_on_with_measured_calls() -> None:
    model = FakeModel()
    async with Batcher(model, warm_up_seconds=3.0) as batcher:
        assert batcher.pace.cost == pytest.approx(3.0 / 30.0)
        began = time.perf_counter()
        first = await busy(model, batcher)
        await asyncio.sleep(0.2)
        model.gate.set()
        await first
        at_most = time.perf_counter() - began
        assert 0.99 * 3.2 < batcher.pace.cost * (30.0 + 8.25) < 3.0 + 2 * at_most


async def test_only_the_wait_of_the_first_window_of_a_request_is_observed() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("stt_queue_wait_seconds_count") or 0.0

    before = count()
    async with Batcher(FakeModel()) as batcher:
        later = job(0.2, "request")
        later.position = 1
        await asyncio.gather(*(batcher.decode(each, OPTIONS) for each in (job(0.1), later)))
    assert count() == before + 1


@pytest.mark.parametrize(
    "error",
    [MemoryError(), SystemExit(), RuntimeError("CUDA failed with error misaligned address")],
    ids=repr,
)
async def test_a_lost_device_fails_waiting_and_later_windows(error: BaseException) -> None:
    model, reasons = FakeModel(max_batch_size=1, fails_on={"bad"}, error=error), list[str]()
    async with Batcher(model, on_broken=reasons.append) as batcher:
        first = await busy(model, batcher)
        others = [batcher.decode(job(0.1, name), OPTIONS) for name in ("bad", "waits")]
        calls = [asyncio.ensure_future(each) for each in others]
        await until(lambda: batcher.waiting == 2)
        model.gate.set()
        assert (await first).text == "0.00"
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in outcomes] == [EngineBroken, EngineBroken]
        with pytest.raises(EngineBroken):
            await batcher.decode(job(0.3), OPTIONS)
    assert len(reasons) == 1


async def test_windows_that_fail_in_a_row_break_nothing_if_silence_is_decoded() -> None:
    model, reasons = FakeModel(fails_on={"bad"}), list[str]()
    async with Batcher(model, on_broken=reasons.append) as batcher:
        for _ in range(2 * MAX_FAILURES_IN_ROW):
            with pytest.raises(EngineFailed):
                await batcher.decode(job(0.1, "bad"), OPTIONS)
        assert (await batcher.decode(job(0.2), OPTIONS)).text == "0.20"
    assert model.warm_up_count == 2
    assert reasons == []


async def test_windows_that_fail_in_a_row_break_the_engine_if_silence_fails_too() -> None:
    model, reasons = FakeModel(is_broken=True), list[str]()
    async with Batcher(model, on_broken=reasons.append) as batcher:
        for _ in range(MAX_FAILURES_IN_ROW - 1):
            with pytest.raises(EngineFailed):
                await batcher.decode(job(0.1), OPTIONS)
        with pytest.raises(EngineBroken):
            await batcher.decode(job(0.1), OPTIONS)
    assert model.warm_up_count == 1
    assert len(reasons) == 1


async def test_a_queue_that_fails_leaves_no_caller_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LookupError("a defect of the queue")

    model, reasons = FakeModel(), list[str]()
    async with Batcher(model, on_broken=reasons.append) as batcher:
        monkeypatch.setattr(Queue, "next_step", fails)
        with pytest.raises(EngineBroken):
            await asyncio.wait_for(batcher.decode(job(0.1), OPTIONS), 60)
    assert reasons == ["LookupError: a defect of the queue"]


async def test_a_call_on_the_device_is_watched() -> None:
    model, watchdog = FakeModel(), Watchdog(3600.0)
    async with Batcher(model, watchdog=watchdog) as batcher:
        first = await busy(model, batcher)
        assert watchdog.oldest_call_seconds > 0
        model.gate.set()
        await first
        assert watchdog.oldest_call_seconds == 0
