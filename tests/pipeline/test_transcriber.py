import asyncio
import gc
import io
import threading
from contextlib import aclosing
from itertools import pairwise

import pytest

from app.audio.expected_length import Length
from app.domain import Options, Segment, Transcript
from app.engine.fake_model import FakeModel
from app.engine.pace import Pace
from app.errors import UndecodableAudio
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from tests.pipeline.transcribing import CALL, any_work, running, short_windows
from tests.support.recordings import load_sample, silence, stereo_wav, wav
from tests.support.waiting import until


async def test_segments_come_in_order_and_the_transcript_is_all_of_them() -> None:
    async with running(short_windows()) as transcriber:
        parts = [
            part async for part in transcriber.stream(io.BytesIO(CALL), Options(), "r", any_work())
        ]
    *segments, transcript = parts
    assert isinstance(transcript, Transcript)
    assert transcript.segments == tuple(segments)
    assert transcript.duration == pytest.approx(73.355, abs=0.001)
    numbers = [float(word) for word in transcript.text.split()]
    assert len(numbers) == 22
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)


async def test_the_first_segment_does_not_wait_for_the_last_window() -> None:
    model = short_windows(max_batch_size=1)
    async with (
        running(model) as transcriber,
        aclosing(
            transcriber.stream(io.BytesIO(CALL), Options(language="en"), "r", any_work())
        ) as parts,
    ):
        await anext(parts)
        assert model.count < 10


async def test_the_sides_of_a_call_come_in_one_order_and_while_it_goes_on() -> None:
    sides = stereo_wav(load_sample("08_long_call.flac"), load_sample("11_sales_call.mp3"))
    model = short_windows(max_batch_size=1)
    options = Options(language="en", split_channels=True)
    async with (
        running(model) as transcriber,
        aclosing(transcriber.stream(io.BytesIO(sides), options, "r", any_work())) as parts,
    ):
        segments = [await anext(parts)]
        assert model.count < 10
        segments += [part async for part in parts]
    *segments, transcript = segments
    assert isinstance(transcript, Transcript)
    assert transcript.segments == tuple(segments)
    assert {segment.channel for segment in transcript.segments} == {0, 1}
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
    for channel in (0, 1):
        own = [each for each in transcript.segments if each.channel == channel]
        assert all(earlier.end <= later.start for earlier, later in pairwise(own))


async def test_windows_prepared_ahead_are_bounded() -> None:
    model = short_windows(max_batch_size=2)
    model.gate.clear()
    async with running(model) as transcriber:
        task = asyncio.create_task(
            transcriber.transcribe(io.BytesIO(CALL), Options(language="en"), "r", any_work())
        )
        # One is awaited, a batch for each worker and one more wait, and one has no room to wait.
        await until(lambda: model.count >= 1 + 2 * 2 + 1)
        for _ in range(10):  # whatever else were read would go through these threads
            await transcriber.decoder.on_cpu(lambda: None)
        assert model.count == 1 + 2 * 2 + 1
        model.gate.set()
        await task


async def test_leaving_early_drops_what_waits() -> None:
    model = short_windows(max_batch_size=1)
    async with running(model) as transcriber:
        async with aclosing(
            transcriber.stream(io.BytesIO(CALL), Options(), "r", any_work())
        ) as parts:
            await anext(parts)
        decoded = len(model.decoded)
        assert transcriber.decoder._batcher.waiting == 0
    assert len(model.decoded) <= decoded + 1


async def test_the_work_counts_what_is_left_and_nothing_once_it_ends() -> None:
    model = short_windows(max_batch_size=1)
    left = Work(Pace(1, 8.0), Length(73.0, is_claimed=True), Deadline())
    async with running(model) as transcriber:
        parts = transcriber.stream(io.BytesIO(CALL), Options(language="en"), "r", left)
        async with aclosing(parts):
            await anext(parts)
            assert 50.0 < left.padded_seconds < 76.0
        assert left.padded_seconds == pytest.approx(0.0)
        lying = Work(Pace(1, 8.0), Length(3600.0, is_claimed=True), Deadline())
        with pytest.raises(UndecodableAudio):
            await transcriber.transcribe(io.BytesIO(b"text"), Options(), "r", lying)
        assert lying.padded_seconds == 0.0


async def test_the_work_counts_how_far_it_was_decoded_and_how_long_it_waited() -> None:
    model, work = short_windows(max_batch_size=1), any_work()
    async with (
        running(model) as transcriber,
        aclosing(transcriber.stream(io.BytesIO(CALL), Options(language="en"), "r", work)) as parts,
    ):
        model.gate.clear()
        first = asyncio.ensure_future(anext(parts))
        await asyncio.to_thread(model.started.wait)
        assert (work.decoded_seconds, work.queue_seconds) == (0.0, None), "it is on the device"
        model.gate.set()
        segment = await first
        assert isinstance(segment, Segment)
        assert segment.end <= work.decoded_seconds < 73
        assert work.queue_seconds is not None
        assert 0 <= work.queue_seconds < 10
    stopped_at = work.decoded_seconds
    assert stopped_at < 73.355, "what was dropped is not decoded"
    async with running(model) as transcriber:
        await transcriber.transcribe(io.BytesIO(CALL), Options(language="en"), "r", work)
    assert work.decoded_seconds == pytest.approx(73.355, abs=0.001), "its pauses included"


async def test_cancelling_a_request_that_waits_for_the_device_returns_at_once() -> None:
    model = short_windows()
    model.gate.clear()
    async with running(model) as transcriber:
        task = asyncio.create_task(
            transcriber.transcribe(io.BytesIO(CALL), Options(), "r", any_work())
        )
        await asyncio.to_thread(model.started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
        model.gate.set()


async def test_silence_has_an_empty_transcript_and_never_reaches_the_device() -> None:
    model = FakeModel()
    async with running(model) as transcriber:
        transcript = await transcriber.transcribe(
            io.BytesIO(wav(silence(35.0))), Options(), "r", any_work()
        )
    assert (transcript.text, transcript.segments, transcript.duration) == ("", (), 35.0)
    assert transcript.language == "en"
    assert model.encoded == []


async def test_a_file_that_is_no_audio_is_refused() -> None:
    async with running(FakeModel()) as transcriber:
        with pytest.raises(UndecodableAudio):
            await transcriber.transcribe(io.BytesIO(b"text"), Options(), "r", any_work())


async def test_a_bad_recording_that_is_left_while_it_is_read_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gc.collect()  # what other tests left is logged before
    caplog.clear()
    begun, gate = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            begun.set()
            gate.wait(30)
            return super().read(size)

    async with running(short_windows()) as transcriber:
        task = asyncio.create_task(
            transcriber.transcribe(Slow(b"text" * 1000), Options(), "r", any_work())
        )
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done(), "a thread reads the file"
        gate.set()
        await asyncio.wait([task])
        del task
        gc.collect()
    assert caplog.text == ""
