"""One request's way through the engine: windows submitted a few ahead, results read in order.

There is one path: a full answer collects what a streamed one sends.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from typing import BinaryIO, TypeVar

import anyio

from app.audio.recording import Recording
from app.audio.windows import WindowPolicy
from app.domain import Hypothesis, Options, Priority, Segment, Transcript, Window
from app.engine.batcher import Batcher
from app.engine.model import DecodeOptions, Job, SpeechModel
from app.errors import InvalidRequest
from app.languages import language_name
from app.pipeline import fallback
from app.pipeline.admission import Work
from app.pipeline.context import distinct
from app.pipeline.language import SpokenLanguage
from app.pipeline.timeline import Heard, Timeline
from app.pipeline.unheard import unheard
from app.telemetry import metrics

T = TypeVar("T")


class Transcriber:
    """Turns recordings into text with one model. Stateless between requests."""

    def __init__(
        self, model: SpeechModel, batcher: Batcher, cpu: Executor, use_fallback: bool
    ) -> None:
        self._model = model
        self._batcher = batcher
        self._cpu = cpu
        self._use_fallback = use_fallback
        self.languages = model.profile.languages
        self.pace = batcher.pace
        self.policy = WindowPolicy(model.profile.window_seconds, model.profile.max_gap_seconds)
        # Enough for one long recording to fill every worker's next batch, and no more in memory.
        self.look_ahead = model.info.max_batch_size * (model.info.workers + 1)

    def check(self, options: Options) -> None:
        """Raises InvalidRequest for what this model cannot hear."""
        named = [("language", options.language)] if options.language else []
        for param, code in named + [("languages", code) for code in options.languages]:
            if code not in self.languages:
                names = ", ".join(language_name(each) for each in self.languages)
                raise InvalidRequest(
                    f"The model '{self._model.info.model}' does not hear "
                    f"{language_name(code)}. It hears: {names}.",
                    param,
                )

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

    async def heard(
        self,
        window: Window,
        options: Options,
        request_id: str,
        position: int,
        language: SpokenLanguage,
        work: Work | None = None,
    ) -> Heard:
        """Decode a window; what the model left unheard at its end is decoded as one more.

        `work` is told how long its first window waited for the device.
        """
        features = await self.on_cpu(
            metrics.timed, "features", self._model.features, window.samples
        )
        job = Job(request_id, window.duration, features, options.priority, position)
        decode_options = DecodeOptions(
            options.task,
            await language.of(job, self._batcher),
            options.prompt,
            distinct(options.keywords),
            words=options.words,
            token_scores=options.token_scores,
        )
        ladder: Sequence[float] = (options.temperature,)
        if options.temperature == 0.0 and self._use_fallback:
            ladder = fallback.TEMPERATURES
        hypothesis = await fallback.decode(self._batcher, job, decode_options, ladder)
        if work is not None and work.queue_seconds is None:
            work.queue_seconds = job.queue_seconds
        hypothesis, rest = unheard(window, hypothesis)
        heard = [(window, hypothesis)]
        if rest is not None:
            metrics.FALLBACKS.labels("unheard_speech").inc()
            heard += await self.heard(rest, options, request_id, position, language)
        return heard

    async def draft(
        self, window: Window, options: Options, request_id: str, language: SpokenLanguage
    ) -> Hypothesis:
        """A quick look at a window that still grows: once, and without words and scores.

        It waits among the requests that take turns, so that drafts hold up neither live windows
        that are complete nor, for more than their turn, everybody else.
        """
        features = await self.on_cpu(
            metrics.timed, "features", self._model.draft_features, window.samples
        )
        priority = Priority.INTERACTIVE
        job = Job(request_id, window.duration, features, priority, position=1, is_draft=True)
        decode_options = DecodeOptions(
            options.task,
            await language.so_far(job, self._batcher),
            options.prompt,
            distinct(options.keywords),
        )
        return fallback.draft(await self._batcher.decode(job, decode_options), decode_options)

    async def on_cpu(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._cpu, work, *arguments)


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
        try:
            while (windows := await self._next_windows()) is not None:
                self._work.read(self._recording.duration)
                for window in windows:
                    await self._under_way.put(self._start(window))
            self._work.read_to_end()  # whatever the file said
        except Exception as error:
            end = error
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
        pulled = asyncio.ensure_future(
            self._transcriber.on_cpu(metrics.timed, "audio", next, self._blocks, None)
        )
        try:
            return await asyncio.shield(pulled)
        except asyncio.CancelledError:
            await asyncio.wait([pulled])
            raise
