"""A live session: samples in, events out, without knowledge of sockets and wire formats."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from app.audio.voice_activity import (
    CLEAR_SPEECH,
    FRAME_SAMPLES,
    SPEECH_BEGINS,
    Activity,
    SpeechState,
)
from app.audio.windowing import WindowPacker
from app.domain import SAMPLE_RATE, Samples, Window
from app.errors import AudioTooShort, Overloaded
from app.pipeline.language import SpokenLanguage
from app.pipeline.live.audio_buffer import AudioBuffer, split
from app.pipeline.live.decoder_loop import DecoderLoop
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
from app.pipeline.live.turn_transcript import TurnTranscript
from app.pipeline.window_decoder import WindowDecoder
from app.telemetry import metrics

MIN_COMMIT_SECONDS = 0.1
"""Least audio that can be committed, as OpenAI has it (docs/contract.md §5.3)."""


class LiveSession:
    """Transcribes audio while it arrives. An async context manager; read `events` meanwhile.

    `append`, `commit`, `clear`, `configure` and `finish` take effect in the order of their calls.
    Audio is analysed for speech, a second at a time at most, which finds turns and cuts windows as
    for a recording; `DecoderLoop` decodes the windows.
    """

    def __init__(
        self,
        decoder: WindowDecoder,
        options: LiveOptions,
        session_id: str,
        max_backlog_seconds: float = 60.0,
    ) -> None:
        """Raises InvalidRequest as `WindowDecoder.check` does.

        `session_id`: unique; the device's queue gives turns by it. `max_backlog_seconds`: audio not
        decoded yet beyond which `append` raises Overloaded.
        """
        decoder.check(options.options)
        self._decoder = decoder
        self._options = options
        self._language = SpokenLanguage(decoder.languages)
        self._max_backlog_seconds = max_backlog_seconds
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._decoding = DecoderLoop(decoder, session_id, self._events.put_nowait)
        self._audio = AudioBuffer(decoder, _threshold(options.turns))
        policy = decoder.policy.within(options.max_window_seconds)
        # What is a turn, its threshold alone decides.
        self._packer = WindowPacker(replace(policy, min_probability=0.0, may_be_undetected=False))
        self._turns = options.turns
        self._detector = _detector(options.turns, 0.0)
        self._speech = SpeechState(_turn_threshold(options.turns))
        """Of turns. Within them, all is decoded that is speech in a request, too."""
        self._order = asyncio.Lock()
        """Held while audio is analysed, so that calls take effect in order."""
        self._buffer_start = 0.0
        """Start of the audio that is not committed, in seconds of the session."""
        self._turn: TurnTranscript | None = None
        """The turn that has begun and not ended."""
        self._previous_id: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "LiveSession":
        metrics.LIVE_SESSIONS.inc()
        self._tasks = [
            asyncio.create_task(self._analyse_arriving(), name="live-analyse"),
            asyncio.create_task(self._decoding.run(), name="live-decode"),
        ]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._events.put_nowait(None))
        return self

    async def __aexit__(self, *_: object) -> None:
        metrics.LIVE_SESSIONS.dec()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._audio.close()

    @property
    def backlog_seconds(self) -> float:
        """Audio that is not analysed yet, and complete windows that are not decoded yet."""
        return self._audio.pending_seconds + self._decoding.backlog_seconds

    def append(self, samples: Samples) -> None:
        """Add audio of any length. Raises Overloaded if the backlog is too long, or the engine
        accepts no windows any more."""
        if self._decoding.engine_error is not None:
            raise self._decoding.engine_error
        if self.backlog_seconds > self._max_backlog_seconds:
            raise Overloaded(
                f"More than {self._max_backlog_seconds:g} seconds of audio wait to be heard."
            )
        self._audio.append(samples)

    async def commit(self) -> None:
        """End the turn here. Raises AudioTooShort below `MIN_COMMIT_SECONDS` of audio."""
        async with self._order:
            await self._analyse()
            buffered = self._audio.seconds - self._buffer_start
            if buffered < MIN_COMMIT_SECONDS:
                raise AudioTooShort(
                    "Error committing input audio buffer: buffer too small. Expected at least "
                    f"100ms of audio, but buffer only has {1000 * buffered:.2f}ms of audio."
                )
            self._commit(self._audio.seconds)

    async def clear(self) -> None:
        """Discard the audio that is not committed."""
        async with self._order:
            await self._analyse()
            self._packer.flush()
            if self._turn is not None:
                self._decoding.discard(self._turn)
            self._begin_buffer(self._audio.seconds)
            self._events.put_nowait(Cleared())

    async def configure(self, options: LiveOptions) -> None:
        """Change the options from the next turn on. Raises InvalidRequest as the constructor."""
        self._decoder.check(options.options)
        async with self._order:
            await self._analyse()
            self._options = options
            if self._turn is None:
                self._apply(self._audio.seconds)
            elif self._detector is None and options.turns is not None:
                # The client no longer ends the turn, and no detector saw it begin.
                self._commit(self._audio.seconds)

    async def finish(self) -> None:
        """End the audio: the open turn is committed, and `events` ends once all is decoded."""
        async with self._order:
            await self._analyse()
            self._process(await self._audio.flush())
            end = self._audio.seconds
            if self._turn is not None and self._detector is not None:
                self._events.put_nowait(SpeechStopped(self._turn.id, end))
                self._commit(end)
            elif self._turn is not None and end - self._buffer_start >= MIN_COMMIT_SECONDS:
                self._commit(end)
            self._decoding.finish()

    async def events(self) -> AsyncIterator[Event]:
        """Yield events in order; ends after `finish`, or when the engine accepts no windows."""
        while (event := await self._events.get()) is not None:
            yield event
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _analyse_arriving(self) -> None:
        while True:
            await self._audio.wait()
            async with self._order:
                await self._analyse()

    async def _analyse(self) -> None:
        """Analyse all audio that has arrived."""
        while (activity := await self._audio.next()) is not None:
            self._process(activity)
            if self._turn is not None:
                self._decoding.update_open(self._turn, self._packer, self._audio.arrived_at)

    def _process(self, activity: Activity) -> None:
        """Begin and end turns, and submit complete windows, with the next frames."""
        detector = self._detector
        if detector is None:
            self._turn = self._turn or self._new_turn(self._buffer_start)
        else:
            is_sentence = (
                self._turn is not None
                and self._decoding.has_caught_up(detector.speech_end)
                and self._turn.seems_finished
            )
            for count, probability in enumerate(activity.probabilities.tolist(), 1):
                boundary = detector.push(self._speech.push(probability), is_sentence)
                if boundary is not None:
                    first, rest = split(activity, count)
                    self._submit(self._packer.push(first))
                    self._on_boundary(boundary)
                    self._process(rest)  # the next turn may have other options
                    return
        self._submit(self._packer.push(activity))

    def _submit(self, windows: Sequence[Window]) -> None:
        """Windows outside of turns are dropped: their sound was too short for a word."""
        for window in windows:
            if self._turn is not None:
                # Few frames of a turn's only word may be certain; they began the turn.
                is_certain = self._turns is not None and self._turns.threshold >= CLEAR_SPEECH
                window = replace(window, is_clear=window.is_clear or is_certain)
                self._decoding.submit(self._turn, window)

    def _on_boundary(self, boundary: Boundary) -> None:
        if isinstance(boundary, Began):
            self._turn = self._new_turn(max(boundary.start, self._buffer_start))
            self._events.put_nowait(SpeechStarted(self._turn.id, self._turn.start))
            return
        if isinstance(boundary, Ended):
            assert self._turn is not None, "a turn that ends has begun"
            self._events.put_nowait(SpeechStopped(self._turn.id, boundary.end))
        else:
            self._turn = self._new_turn(boundary.start)
            self._events.put_nowait(TimedOut(self._turn.id, boundary.start, boundary.end))
        self._commit(boundary.end)

    def _new_turn(self, start: float) -> TurnTranscript:
        return TurnTranscript(start, self._options, self._language, self._decoder.is_usually_lower)

    def _commit(self, end: float) -> None:
        """End the open turn; without one, the audio since the last turn becomes one."""
        self._turn = self._turn or self._new_turn(self._buffer_start)
        self._submit(self._packer.flush())
        self._events.put_nowait(Committed(self._turn.id, self._previous_id))
        self._decoding.end_turn(self._turn, end, self._audio.arrived_at)
        self._previous_id = self._turn.id
        self._begin_buffer(end)

    def _begin_buffer(self, at: float) -> None:
        self._turn = None
        self._buffer_start = at
        if self._detector is not None:
            self._detector.end()
        self._apply(at)

    def _apply(self, at: float) -> None:
        """Detect turns by the current options from `at` on, in seconds of the session."""
        turns = self._options.turns
        if turns != self._turns:
            self._turns = turns
            self._detector = _detector(turns, at)
            self._audio.set_threshold(_threshold(turns))
            self._speech.set_threshold(_turn_threshold(turns))


def _detector(turns: TurnDetection | None, at: float) -> TurnDetector | None:
    """`at`: start of the detection, in seconds, rounded down to a frame."""
    if turns is None:
        return None
    return TurnDetector(turns, round(at * SAMPLE_RATE) // FRAME_SAMPLES)


def _turn_threshold(turns: TurnDetection | None) -> float:
    return SPEECH_BEGINS if turns is None else turns.threshold


def _threshold(turns: TurnDetection | None) -> float:
    """Of the sound that is decoded: a turn begins at a word that is certain, and has others."""
    return min(SPEECH_BEGINS, _turn_threshold(turns))
