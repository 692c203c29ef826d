"""Decoding for a live session: complete windows first, drafts of the open window in between.

One call at a time: so text comes in order, a session uses no more than one turn of the device, and
under load drafts become rarer by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.audio.windowing import WindowPacker
from app.domain import Hypothesis, Window
from app.errors import Overloaded, SpeechError
from app.pipeline.live.events import Completed, Event, Failed, Partial
from app.pipeline.live.preceding_speech import RecentSpeech
from app.pipeline.live.turn_transcript import TurnTranscript
from app.pipeline.window_decoder import WindowDecoder
from app.telemetry import metrics

MIN_NEW_SECONDS = 0.4
"""New speech that makes another draft worth decoding; at a pause, any new speech does."""


@dataclass(frozen=True, slots=True)
class _OpenWindow:
    """The incomplete window of a turn; `packer` has its sound."""

    turn: TurnTranscript
    packer: WindowPacker
    arrived_at: float
    """When its last sound arrived, on the event loop's clock."""


@dataclass(frozen=True, slots=True)
class _EndOfTurn:
    """Mark in the backlog: the turn has no more windows."""

    turn: TurnTranscript
    end: float
    """Seconds of the session."""
    arrived_at: float
    """When the last sound of the turn arrived, on the event loop's clock."""


class DecoderLoop:
    """Decodes one live session's complete windows in order, and drafts of the open one in between,
    until `finish` and an empty backlog."""

    def __init__(
        self, decoder: WindowDecoder, session_id: str, emit: Callable[[Event], None]
    ) -> None:
        self._decoder = decoder
        self._session_id = session_id
        self._emit = emit
        self._backlog: deque[tuple[TurnTranscript, Window] | _EndOfTurn] = deque()
        policy = decoder.policy
        self._recent = RecentSpeech(policy.max_seconds, policy.max_gap_seconds)
        self._turns: dict[str, TurnTranscript] = {}
        """Turns for which neither Completed nor Failed was emitted, by id."""
        self._open_window: _OpenWindow | None = None
        self._drafted_until = 0.0
        """End of the last draft's speech, in seconds of the session."""
        self._drafting: asyncio.Task[Hypothesis] | None = None
        self._changed = asyncio.Event()
        self._is_finished = False
        self.engine_error: Overloaded | None = None
        """Why the engine accepts no windows any more."""
        self.backlog_seconds = 0.0
        """Audio of complete windows that are not decoded yet."""

    def update_open(self, turn: TurnTranscript, packer: WindowPacker, arrived_at: float) -> None:
        """Note more sound in the turn's open window, if it has one."""
        self._turns[turn.id] = turn
        self._open_window = _OpenWindow(turn, packer, arrived_at)
        self._changed.set()

    def submit(self, turn: TurnTranscript, window: Window) -> None:
        """Add a complete window; a draft of it that is being decoded is dropped."""
        self._turns[turn.id] = turn
        self._backlog.append((turn, window))
        self.backlog_seconds += window.duration
        self._drop_open()

    def end_turn(self, turn: TurnTranscript, end: float, arrived_at: float) -> None:
        """Note that the turn has no more windows and ends at `end`, in seconds of the session."""
        self._turns[turn.id] = turn
        self._backlog.append(_EndOfTurn(turn, end, arrived_at))
        self._drop_open()

    def discard(self, turn: TurnTranscript) -> None:
        """Emit nothing more of the turn."""
        turn.is_discarded = True
        turn.span.end()
        self._turns.pop(turn.id, None)
        self._drop_open()

    def finish(self) -> None:
        """Note that no more windows will come."""
        self._is_finished = True
        self._changed.set()

    def has_caught_up(self, speech_end: float) -> bool:
        """Is all speech up to `speech_end`, in seconds of the session, in the text?"""
        speech = None if self._open_window is None else self._open_window.packer.open_speech
        is_drafted = speech is None or min(speech[1], speech_end) <= self._drafted_until
        return not self._backlog and self._drafting is None and is_drafted

    async def run(self) -> None:
        """Decode until everything is decoded, or the engine accepts no windows any more."""
        try:
            while self._backlog or not self._is_finished:
                if self._backlog:
                    await self._next()
                elif self._is_draft_due():
                    await self._draft()
                else:
                    self._changed.clear()
                    await self._changed.wait()
        except Overloaded as error:
            self._fail_all(error)
        finally:
            for turn in self._turns.values():
                turn.span.end()

    def _drop_open(self) -> None:
        self._open_window = None
        if self._drafting is not None:
            self._drafting.cancel()
        self._changed.set()

    async def _next(self) -> None:
        """Raises Overloaded if the engine accepts no windows any more."""
        first = self._backlog[0]
        if isinstance(first, _EndOfTurn):
            self._complete(first)
        else:
            await self._decode(*first)
        self._backlog.popleft()

    async def _decode(self, turn: TurnTranscript, window: Window) -> None:
        try:
            if turn.error is None and not turn.is_discarded:
                position = turn.window_count
                with turn.span.inside():
                    decoded = await self._decoder.decode(
                        window,
                        turn.options,
                        self._session_id,
                        min(position, 1),
                        turn.language.next_window(turn.options),
                        preceding=self._recent.before(window, turn.options.task),
                    )
                self._emit_partial(turn, turn.add_window(decoded))
                self._recent.add(window, turn.last_segments, turn.options.task)
        except Overloaded:
            raise
        except SpeechError as error:
            turn.error = error
        finally:
            self.backlog_seconds -= window.duration

    def _complete(self, mark: _EndOfTurn) -> None:
        turn = mark.turn
        del self._turns[turn.id]
        if turn.error is not None:
            self._fail(turn, turn.error)
            return
        transcript = turn.transcript(mark.end)
        metrics.AUDIO_SECONDS.inc(transcript.duration)
        turn.span.note(audio_seconds=transcript.duration)
        turn.span.end()
        _observe_lag("final", mark.arrived_at)
        self._emit(Completed(turn.id, transcript))

    def _is_draft_due(self) -> bool:
        window = self._open_window
        if window is None or window.turn.error is not None or not window.turn.needs_drafts:
            return False
        speech = window.packer.open_speech
        if speech is None:
            return False
        new = speech[1] - max(speech[0], self._drafted_until)
        return new >= MIN_NEW_SECONDS or (new > 0 and window.packer.is_pausing)

    async def _draft(self) -> None:
        """Raises Overloaded if the engine accepts no windows; other failures drop the draft."""
        open_window = self._open_window
        assert open_window is not None
        speech, window = open_window.packer.open_speech, open_window.packer.peek()
        assert speech is not None
        turn, self._drafted_until = open_window.turn, speech[1]
        if window is None:  # a click, so far
            return
        with turn.span.inside():
            drafting = asyncio.create_task(
                self._decoder.draft(window, turn.options, self._session_id, turn.language)
            )
        self._drafting = drafting
        try:
            await asyncio.wait({drafting})
        except asyncio.CancelledError:
            drafting.cancel()
            await asyncio.wait({drafting})
            raise
        finally:
            self._drafting = None
        if drafting.cancelled() or turn.is_discarded:
            return
        error = drafting.exception()
        if error is None:
            self._emit_partial(turn, turn.add_draft(window, drafting.result()))
            _observe_lag("partial", open_window.arrived_at)
        elif isinstance(error, Overloaded) or not isinstance(error, SpeechError):
            raise error

    def _emit_partial(self, turn: TurnTranscript, partial: Partial | None) -> None:
        if partial is not None and not turn.is_discarded:
            self._emit(partial)

    def _fail_all(self, error: Overloaded) -> None:
        """Fail every open turn: the engine accepts no windows any more."""
        self.engine_error = error
        self._backlog.clear()
        self.backlog_seconds = 0.0
        for turn in self._turns.values():
            self._fail(turn, turn.error or error)
        self._turns.clear()

    def _fail(self, turn: TurnTranscript, error: SpeechError) -> None:
        self._emit(Failed(turn.id, error))
        turn.span.fail(type(error).__name__)
        turn.span.end()


def _observe_lag(text: str, arrived_at: float) -> None:
    now = asyncio.get_running_loop().time()
    metrics.LIVE_LAG_SECONDS.labels(text).observe(now - arrived_at)
