"""Transcription of one recording: windows submitted a few ahead, results read in order.

There is one path: a full answer collects what a streamed one sends.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import anyio

from app.audio.recording import Recording
from app.domain import Options, Segment, Transcript, Window
from app.engine.speech_model import EngineInfo
from app.pipeline.admission import Work
from app.pipeline.channel_merge import ChannelMerger, DecodedWindows
from app.pipeline.language import SpokenLanguage
from app.pipeline.speakers import Heard, Speakers
from app.pipeline.window_decoder import WindowDecoder
from app.telemetry import metrics, tracing


class Transcriber:
    """Turns recordings into text with one model. Stateless between requests."""

    def __init__(self, decoder: WindowDecoder) -> None:
        self.decoder = decoder

    async def transcribe(
        self,
        file: BinaryIO,
        options: Options,
        request_id: str,
        work: Work,
        speakers: Speakers | None = None,
    ) -> Transcript:
        """Transcribe the whole recording. Arguments and errors are those of `stream`."""
        async with aclosing(self.stream(file, options, request_id, work, speakers)) as parts:
            async for part in parts:
                if isinstance(part, Transcript):
                    return part
        raise AssertionError("a stream ends with its transcript")

    async def stream(
        self,
        file: BinaryIO,
        options: Options,
        request_id: str,
        work: Work,
        speakers: Speakers | None = None,
    ) -> AsyncGenerator[Segment | Transcript]:
        """Yield segments in order as they are decoded, then the transcript of all of them.

        With `speakers`, segments are cut where the speaker changes. Those of the transcript know
        all of the recording, so that their speakers and cuts may be others.

        `options` must have passed `WindowDecoder.check`. Progress is noted in `work`; its deadline
        is kept. Close the generator (`aclosing`) to leave early: waiting windows are dropped.
        Raises SpeechError, before the first segment if the start of the recording is at fault.
        """
        transcription = _Transcription(self.decoder, file, options, request_id, work, speakers)
        try:
            async for part in transcription.parts():
                yield part
        finally:
            # Starlette leaves a stream by a scope that cancels every further await.
            with anyio.CancelScope(shield=True):
                await transcription.close()


@dataclass(frozen=True, slots=True)
class _Done:
    """A window, decoded, and the voices in it; None if speakers are not told apart by voice."""

    decoded: DecodedWindows
    heard: Heard | None


class _Transcription:
    """The windows of one recording that are submitted and not yet read, in order."""

    def __init__(
        self,
        decoder: WindowDecoder,
        file: BinaryIO,
        options: Options,
        request_id: str,
        work: Work,
        speakers: Speakers | None,
    ) -> None:
        self._decoder = decoder
        self._speakers = speakers
        self._options = options
        self._request_id = request_id
        self._work = work
        self._recording = Recording(
            file,
            decoder.policy,
            options.chunking,
            split_channels=options.split_channels,
        )
        self._blocks = self._recording.windows()
        self._language = SpokenLanguage(decoder.languages)
        self._submitted: asyncio.Queue[asyncio.Task[_Done] | Exception | None]
        self._submitted = asyncio.Queue(_look_ahead(decoder.info))
        self._tasks: set[asyncio.Task[_Done]] = set()
        self._window_count = 0
        self._reading_seconds = 0.0
        """Time spent reading the file and detecting speech, waits for a thread included."""
        self._submitting = asyncio.create_task(self._submit())

    async def parts(self) -> AsyncIterator[Segment | Transcript]:
        """Yield what `Transcriber.stream` does, and raise what it raises."""
        segments: list[Segment] = []
        prompt_token_count, merger = 0, ChannelMerger(self._decoder.is_usually_lower)
        while (done := await self._next_done()) is not None:
            counts = [hypothesis.prompt_token_count for _, hypothesis in done.decoded]
            prompt_token_count = max(prompt_token_count, *counts)
            released = merger.add(done.decoded)
            segments += released
            for segment in await self._spoken(done.heard, released):
                yield segment
        released = merger.flush()
        segments += released
        for segment in await self._spoken(None, released, are_last=True):
            yield segment
        if self._speakers is not None:
            segments = await self._speakers.final(segments)
        duration = self._recording.duration
        metrics.AUDIO_SECONDS.inc(duration)
        metrics.REQUEST_WINDOWS.observe(self._window_count)
        self._work.mark_decoded(duration)
        yield Transcript(
            self._options.task,
            self._language.of_transcript(self._options, segments),
            duration,
            tuple(segments),
            prompt_token_count,
        )

    async def _spoken(
        self, heard: Heard | None, released: list[Segment], *, are_last: bool = False
    ) -> list[Segment]:
        """The segments as a stream sends them."""
        if self._speakers is None:
            return released
        return await self._speakers.so_far(heard, released, are_last=are_last)

    async def _next_done(self) -> _Done | None:
        """The next window, decoded; None after the last. Raises what ended the recording."""
        async with self._work.deadline.kept():
            submitted = await self._submitted.get()
            if isinstance(submitted, Exception):
                raise submitted
            return None if submitted is None else await submitted

    async def close(self) -> None:
        """Drop all submitted windows; returns when no thread reads the file any more."""
        remaining = [self._submitting, *self._tasks]
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)
        self._work.mark_read_to_end()
        self._blocks.close()  # closes the decoder's socket: no work for a thread

    async def _submit(self) -> None:
        """Submit all windows, and then the end of the recording: None, or an error."""
        end = None
        reading = tracing.begin("audio")
        try:
            while (windows := await self._next_windows()) is not None:
                self._work.mark_read(self._recording.duration)
                for window in windows:
                    await self._submitted.put(self._start(window))
            self._work.mark_read_to_end()  # whatever length the file claimed
        except Exception as error:
            reading.fail(type(error).__name__)
            end = error
        finally:
            reading.note(audio_seconds=self._recording.duration, work_seconds=self._reading_seconds)
            reading.end()
        await self._submitted.put(end)

    def _start(self, window: Window) -> asyncio.Task[_Done]:
        decode = partial(
            self._decoder.decode,
            window,
            self._options,
            self._request_id,
            self._window_count,
            self._language.next_window(self._options, window.channel),
            self._work,
        )
        if self._speakers is not None:
            self._speakers.has_sides = self._recording.has_sides
        task = asyncio.create_task(self._done(window, decode))
        self._window_count += 1
        self._tasks.add(task)
        self._work.add_window(window.duration)
        task.add_done_callback(partial(self._on_done, window))
        return task

    async def _done(self, window: Window, decode: Callable[[], Awaitable[DecodedWindows]]) -> _Done:
        """Decode a window, and hear its voices meanwhile."""
        if self._speakers is None:
            return _Done(await decode(), None)
        hearing = asyncio.create_task(self._speakers.hear(window))
        try:
            return _Done(await decode(), await hearing)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    def _on_done(self, window: Window, task: asyncio.Task[_Done]) -> None:
        self._tasks.discard(task)
        self._work.remove_window(window.duration)
        # The exception is read, even if an earlier window's failure ended the request.
        if not task.cancelled() and task.exception() is None:
            self._work.mark_decoded(window.start + window.duration)

    async def _next_windows(self) -> list[Window] | None:
        """Read one block."""
        started = time.perf_counter()
        try:
            return await self._decoder.on_cpu(metrics.timed, "audio", next, self._blocks, None)
        finally:
            self._reading_seconds += time.perf_counter() - started


def _look_ahead(info: EngineInfo) -> int:
    """Windows of one recording that fill the next batch of every worker; no more are submitted."""
    return info.max_batch_size * (info.workers + 1)
