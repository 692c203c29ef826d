"""A live session: samples in, events out. It knows no sockets and no wire formats."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from app.audio.voice_activity import FRAME_SAMPLES, SPEECH_BEGINS, Activity
from app.audio.windowing import WindowPacker
from app.domain import SAMPLE_RATE, Samples, Window
from app.errors import AudioTooShort, Overloaded
from app.pipeline.live.audio_buffer import Intake, split
from app.pipeline.live.decoder_loop import Hearing
from app.pipeline.live.events import (
    Cleared,
    Committed,
    Event,
    LiveOptions,
    SpeechStarted,
    SpeechStopped,
    TimedOut,
    TurnDetection,
)
from app.pipeline.live.turn_detection import Began, Boundary, Ended, TurnDetector
from app.pipeline.live.turn_transcript import Item
from app.pipeline.transcriber import Transcriber
from app.telemetry import metrics

MIN_COMMIT_SECONDS = 0.1
"""OpenAI commits no less (docs/contract.md §5.3)."""


class LiveSession:
    """Use as an async context manager, and read `events` while samples are appended.

    `append`, `commit`, `clear`, `configure` and `finish` take effect in the order of their calls.
    A second of sound is looked at for speech, which finds the turns and cuts windows as for a
    recording; `Hearing` gives them to the model.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        options: LiveOptions,
        session_id: str,
        max_backlog_seconds: float = 60.0,
    ) -> None:
        """Raises InvalidRequest for options that the model cannot hear.

        `session_id`: what the device's turns are counted by, different for all sessions.
        """
        transcriber.check(options.options)
        self._transcriber = transcriber
        self._options = options
        self._max_backlog_seconds = max_backlog_seconds
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._hearing = Hearing(transcriber, session_id, self._events.put_nowait)
        self._intake = Intake(transcriber, _threshold(options.turns))
        self._packer = WindowPacker(transcriber.policy.within(options.max_window_seconds))
        self._turns = options.turns
        self._detector = _detector(options.turns, 0.0)
        self._order = asyncio.Lock()
        """One at a time looks at the sound."""
        self._buffer_start = 0.0
        """Where what is not committed begins, in seconds of the session."""
        self._item: Item | None = None
        """The turn that is under way."""
        self._previous_id: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "LiveSession":
        metrics.LIVE_SESSIONS.inc()
        self._tasks = [
            asyncio.create_task(self._listen(), name="live-listen"),
            asyncio.create_task(self._hearing.run(), name="live-hear"),
        ]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._events.put_nowait(None))
        return self

    async def __aexit__(self, *_: object) -> None:
        metrics.LIVE_SESSIONS.dec()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._intake.close()

    @property
    def backlog_seconds(self) -> float:
        """Sound that waits to be looked at, and complete windows that wait to be heard."""
        return self._intake.pending_seconds + self._hearing.waiting_seconds

    def append(self, samples: Samples) -> None:
        """More sound, of any length. Raises Overloaded if too much of it waits already."""
        if self._hearing.gone is not None:
            raise self._hearing.gone
        if self.backlog_seconds > self._max_backlog_seconds:
            raise Overloaded(
                f"More than {self._max_backlog_seconds:g} seconds of audio wait to be heard."
            )
        self._intake.append(samples)

    async def commit(self) -> None:
        """End the turn here. Raises AudioTooShort if there is less than `MIN_COMMIT_SECONDS`."""
        async with self._order:
            await self._look()
            buffered = self._intake.seconds - self._buffer_start
            if buffered < MIN_COMMIT_SECONDS:
                raise AudioTooShort(
                    "Error committing input audio buffer: buffer too small. Expected at least "
                    f"100ms of audio, but buffer only has {1000 * buffered:.2f}ms of audio."
                )
            self._commit(self._intake.seconds)

    async def clear(self) -> None:
        """Forget what is not committed."""
        async with self._order:
            await self._look()
            self._packer.flush()
            if self._item is not None:
                self._hearing.forget(self._item)
            self._begin_buffer(self._intake.seconds)
            self._events.put_nowait(Cleared())

    async def configure(self, options: LiveOptions) -> None:
        """Other options from the next turn on. Raises InvalidRequest as the constructor does."""
        self._transcriber.check(options.options)
        async with self._order:
            await self._look()
            self._options = options
            if self._item is None:
                self._apply(self._intake.seconds)
            elif self._detector is None and options.turns is not None:
                # Nobody would end it any more.
                self._commit(self._intake.seconds)

    async def finish(self) -> None:
        """No more sound: what is open is committed, and `events` ends once it is heard."""
        async with self._order:
            await self._look()
            self._see(await self._intake.flush())
            end = self._intake.seconds
            if self._item is not None and self._detector is not None:
                self._events.put_nowait(SpeechStopped(self._item.id, end))
                self._commit(end)
            elif self._item is not None and end - self._buffer_start >= MIN_COMMIT_SECONDS:
                self._commit(end)
            self._hearing.finish()

    async def events(self) -> AsyncIterator[Event]:
        """What happens, in order; ends after `finish`, or with the engine."""
        while (event := await self._events.get()) is not None:
            yield event
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _listen(self) -> None:
        while True:
            await self._intake.wait()
            async with self._order:
                await self._look()

    async def _look(self) -> None:
        """Find speech in everything that has come."""
        while (activity := await self._intake.next()) is not None:
            self._see(activity)
            if self._item is not None:
                self._hearing.grow(self._item, self._packer, self._intake.arrived_at)

    def _see(self, activity: Activity) -> None:
        """The next frames: complete windows go to be heard, turns begin and end."""
        detector = self._detector
        if detector is None:
            self._item = self._item or self._new_item(self._buffer_start)
        else:
            is_sentence = (
                self._item is not None
                and self._hearing.has_caught_up()
                and self._item.seems_finished
            )
            for count, speech in enumerate(activity.speech.tolist(), 1):
                boundary = detector.push(speech, is_sentence)
                if boundary is not None:
                    first, rest = split(activity, count)
                    self._hear(self._packer.push(first))
                    self._pass(boundary)
                    self._see(rest)  # the next turn may have other options
                    return
        self._hear(self._packer.push(activity))

    def _hear(self, windows: Sequence[Window]) -> None:
        """What is outside of turns was too short for a word."""
        for window in windows:
            if self._item is not None:
                self._hearing.add(self._item, window)

    def _pass(self, boundary: Boundary) -> None:
        if isinstance(boundary, Began):
            self._item = self._new_item(max(boundary.start, self._buffer_start))
            self._events.put_nowait(SpeechStarted(self._item.id, self._item.start))
            return
        if isinstance(boundary, Ended):
            assert self._item is not None, "a turn that ends has begun"
            self._events.put_nowait(SpeechStopped(self._item.id, boundary.end))
        else:
            self._item = self._new_item(boundary.start)
            self._events.put_nowait(TimedOut(self._item.id, boundary.start, boundary.end))
        self._commit(boundary.end)

    def _new_item(self, start: float) -> Item:
        return Item(start, self._options, self._transcriber.languages)

    def _commit(self, end: float) -> None:
        """The item that is open ends; without one, what there is becomes one."""
        self._item = self._item or self._new_item(self._buffer_start)
        self._hear(self._packer.flush())
        self._events.put_nowait(Committed(self._item.id, self._previous_id))
        self._hearing.complete(self._item, end, self._intake.arrived_at)
        self._previous_id = self._item.id
        self._begin_buffer(end)

    def _begin_buffer(self, at: float) -> None:
        self._item = None
        self._buffer_start = at
        if self._detector is not None:
            self._detector.end()
        self._apply(at)

    def _apply(self, at: float) -> None:
        """From that moment on, listen for turns as the options say by now."""
        turns = self._options.turns
        if turns != self._turns:
            self._turns = turns
            self._detector = _detector(turns, at)
            self._intake.judge_from(_threshold(turns))


def _detector(turns: TurnDetection | None, at: float) -> TurnDetector | None:
    """`at`: where it begins to listen, in seconds; the frame there was begun already."""
    if turns is None:
        return None
    return TurnDetector(turns, round(at * SAMPLE_RATE) // FRAME_SAMPLES)


def _threshold(turns: TurnDetection | None) -> float:
    return SPEECH_BEGINS if turns is None else turns.threshold
