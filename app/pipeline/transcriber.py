"""One request's way through the engine: windows submitted a few ahead, results read in order.

There is one path: a full answer collects what a streamed one sends.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import BinaryIO

import anyio

from app.audio.recording import Recording
from app.domain import Options, Segment, Transcript, Window
from app.pipeline.admission import Work
from app.pipeline.channel_merge import Heard, Timeline
from app.pipeline.language import SpokenLanguage
from app.pipeline.window_decoder import Listener
from app.telemetry import metrics, tracing


class Transcriber(Listener):
    """Turns recordings into text with one model. Stateless between requests."""

    @property
    def look_ahead(self) -> int:
        """So many windows of one recording fill every worker's next batch; more are not held."""
        return self._model.info.max_batch_size * (self._model.info.workers + 1)

    async def transcribe(
        self, file: BinaryIO, options: Options, request_id: str, work: Work
    ) -> Transcript:
        """The whole answer at once; raises what `stream` raises."""
        async with aclosing(self.stream(file, options, request_id, work)) as parts:
            async for part in parts:
                if isinstance(part, Transcript):
                    return part
        raise AssertionError("a stream ends with its transcript")

    async def stream(
        self, file: BinaryIO, options: Options, request_id: str, work: Work
    ) -> AsyncGenerator[Segment | Transcript]:
        """Segments in order as they are heard, then the transcript of all of them.

        `work` is told what is left of the recording, and has the moment when it must be done.
        Close it (`aclosing`) to leave early: waiting windows are dropped. Raises SpeechError,
        before the first item for everything that is wrong with the start of the recording.
        """
        self.check(options)
        request = _Request(self, file, options, request_id, work)
        try:
            async for part in request.parts():
                yield part
        finally:
            # Starlette leaves a stream by a scope that cancels every further await.
            with anyio.CancelScope(shield=True):
                await request.close()


class _Request:
    """The windows of one recording that are on their way, in order."""

    def __init__(
        self, works: Transcriber, file: BinaryIO, options: Options, request_id: str, work: Work
    ) -> None:
        self._transcriber = works
        self._options = options
        self._request_id = request_id
        self._work = work
        self._recording = Recording(
            file,
            works.policy,
            options.chunking,
            split_channels=options.split_channels,
        )
        self._blocks = self._recording.windows()
        self._language = SpokenLanguage(options, works.languages)
        self._under_way: asyncio.Queue[asyncio.Task[Heard] | Exception | None] = asyncio.Queue(
            works.look_ahead
        )
        self._tasks: set[asyncio.Task[Heard]] = set()
        self._window_count = 0
        self._reading_seconds = 0.0
        """For decoding and finding speech, waits for a thread included."""
        self._submitting = asyncio.create_task(self._submit())

    async def parts(self) -> AsyncIterator[Segment | Transcript]:
        segments: list[Segment] = []
        prompt_token_count, timeline = 0, Timeline()
        while (heard := await self._next_heard()) is not None:
            counts = [hypothesis.prompt_token_count for _, hypothesis in heard]
            prompt_token_count = max(prompt_token_count, *counts)
            for segment in timeline.add(heard):
                segments.append(segment)
                yield segment
        for segment in timeline.flush():
            segments.append(segment)
            yield segment
        duration = self._recording.duration
        metrics.AUDIO_SECONDS.inc(duration)
        metrics.REQUEST_WINDOWS.observe(self._window_count)
        self._work.heard(duration)
        yield Transcript(
            self._options.task,
            self._language.of_all(segments),
            duration,
            tuple(segments),
            prompt_token_count,
        )

    async def _next_heard(self) -> Heard | None:
        """What the next window held; None after the last. Raises what ended the request."""
        async with self._work.deadline.kept():
            item = await self._under_way.get()
            if isinstance(item, Exception):
                raise item
            return None if item is None else await item

    async def close(self) -> None:
        """Drop whatever is still on its way; returns when nothing touches the file any more."""
        remaining = [self._submitting, *self._tasks]
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)
        self._work.read_to_end()
        await self._transcriber.on_cpu(self._blocks.close)

    async def _submit(self) -> None:
        """Put the windows on their way, and last what ended them: None, or an error."""
        end = None
        reading = tracing.begin("audio")
        try:
            while (windows := await self._next_windows()) is not None:
                self._work.read(self._recording.duration)
                for window in windows:
                    await self._under_way.put(self._start(window))
            self._work.read_to_end()  # whatever the file said
        except Exception as error:
            reading.fail(type(error).__name__)
            end = error
        finally:
            reading.note(audio_seconds=self._recording.duration, work_seconds=self._reading_seconds)
            reading.end()
        await self._under_way.put(end)

    def _start(self, window: Window) -> asyncio.Task[Heard]:
        task = asyncio.create_task(
            self._transcriber.heard(
                window,
                self._options,
                self._request_id,
                self._window_count,
                self._language,
                self._work,
            )
        )
        self._window_count += 1
        self._tasks.add(task)
        self._work.queued(window.duration)
        task.add_done_callback(partial(self._finished, window))
        return task

    def _finished(self, window: Window, task: asyncio.Task[Heard]) -> None:
        self._tasks.discard(task)
        self._work.done(window.duration)
        # The exception is seen, even if an earlier window's failure ended the request.
        if not task.cancelled() and task.exception() is None:
            self._work.heard(window.start + window.duration)

    async def _next_windows(self) -> list[Window] | None:
        """Pull one block through. Not cut short by cancellation: the thread reads the file."""
        started = time.perf_counter()
        pulled = asyncio.ensure_future(
            self._transcriber.on_cpu(metrics.timed, "audio", next, self._blocks, None)
        )
        try:
            return await asyncio.shield(pulled)
        except asyncio.CancelledError:
            await asyncio.wait([pulled])
            raise
        finally:
            self._reading_seconds += time.perf_counter() - started
