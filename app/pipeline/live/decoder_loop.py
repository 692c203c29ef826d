"""Decoding for a live session: complete windows first, drafts of the open window in between.

One call at a time: so a session uses no more than one turn of the device, and under load drafts
become rarer by themselves. But a window whose first hypothesis is doubtful, and at the client
meanwhile, holds up neither the windows of the next turn nor its drafts. Turns end in order.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.audio.windowing import WindowPacker
from app.domain import Hypothesis, Window
from app.errors import Overloaded, SpeechError
from app.pipeline.channel_merge import DecodedWindows
from app.pipeline.live.events import Completed, Event, Failed, Partial
from app.pipeline.live.preceding_speech import PrecedingSpeech, RecentSpeech
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


@dataclass(slots=True, eq=False)
class _CompleteWindow:
    """A complete window in the backlog."""

    turn: TurnTranscript
    window: Window
    preceding: asyncio.Future[PrecedingSpeech | None]
    """Known once all windows before this one are decoded."""
    is_begun: bool = False
    is_in_doubt: bool = False
    """Is it decoded again, or does it wait for the speech before it?"""
    is_done: bool = False
    decoded: DecodedWindows | None = None
    """None if it could not be decoded."""


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
        self._backlog: deque[_CompleteWindow | _EndOfTurn] = deque()
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
        preceding = asyncio.get_running_loop().create_future()
        self._backlog.append(_CompleteWindow(turn, window, preceding))
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
            async with asyncio.TaskGroup() as group:
                drafts = group.create_task(self._draft_open_windows())
                await self._decode_backlog(group)
                drafts.cancel()
        except* Overloaded as overloaded:
            error = overloaded.exceptions[0]
            assert isinstance(error, Overloaded)
            self._fail_all(error)
        finally:
            for turn in self._turns.values():
                turn.span.end()

    async def _decode_backlog(self, group: asyncio.TaskGroup) -> None:
        while self._backlog or not self._is_finished:
            first = self._backlog[0] if self._backlog else None
            if isinstance(first, _CompleteWindow) and not first.preceding.done():
                task = first.turn.options.task
                first.preceding.set_result(self._recent.before(first.window, task))
            self._begin_decoding(group)
            if isinstance(first, _EndOfTurn):
                self._complete(first)
            elif first is not None and first.is_done:
                self._add(first)
            else:
                await self._change()
                continue
            self._backlog.popleft()
            self._changed.set()

    def _begin_decoding(self, group: asyncio.TaskGroup) -> None:
        """Begin all windows of the backlog that no window before them holds up."""
        before: list[_CompleteWindow] = []
        for each in self._backlog:
            if isinstance(each, _EndOfTurn):
                continue
            if not each.is_begun and _holds_up(before, each.turn):
                return
            if not each.is_begun:
                each.is_begun = True
                group.create_task(self._decode(each))
            before.append(each)

    async def _change(self) -> None:
        """Returns when something has changed since the caller looked."""
        self._changed.clear()
        await self._changed.wait()

    async def _draft_open_windows(self) -> None:
        """Raises Overloaded if the engine accepts no windows any more."""
        while True:
            if self._is_draft_due():
                await self._draft()
            else:
                await self._change()

    def _drop_open(self) -> None:
        self._open_window = None
        if self._drafting is not None:
            self._drafting.cancel()
        self._changed.set()

    async def _decode(self, complete: _CompleteWindow) -> None:
        """Raises Overloaded if the engine accepts no windows any more."""
        turn = complete.turn
        try:
            if turn.error is None and not turn.is_discarded:
                with turn.span.inside():
                    complete.decoded = await self._decoder.decode(
                        complete.window,
                        turn.options,
                        self._session_id,
                        min(turn.window_count, 1),
                        turn.language.next_window(turn.options),
                        preceding=complete.preceding,
                        on_doubt=lambda decoded: self._on_doubt(complete, decoded),
                    )
        except Overloaded:
            raise
        except SpeechError as error:
            turn.error = error
        complete.is_done = True
        self._changed.set()

    def _on_doubt(self, complete: _CompleteWindow, decoded: DecodedWindows) -> None:
        """Show what is decoded so far: the client need not wait for better."""
        turn = complete.turn
        if turn.needs_drafts:
            self._emit_partial(turn, turn.add_draft(decoded, may_confirm=False))
        complete.is_in_doubt = True
        self._changed.set()

    def _add(self, complete: _CompleteWindow) -> None:
        """Add the text of the oldest window to its turn."""
        turn, window = complete.turn, complete.window
        self.backlog_seconds -= window.duration
        if complete.decoded is not None and not turn.is_discarded:
            self._emit_partial(turn, turn.add_window(complete.decoded))
            self._recent.add(window, turn.last_segments, turn.options.task)

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
        waiting = [each for each in self._backlog if isinstance(each, _CompleteWindow)]
        if _holds_up(waiting, window.turn):
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
            self._emit_partial(turn, turn.add_draft([(window, drafting.result())]))
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


def _holds_up(windows: Iterable[_CompleteWindow], turn: TurnTranscript) -> bool:
    """Must sound after the windows, in this turn, wait for one of them?

    Text is shown in order: of one turn it is after that of its windows before, and a turn's first
    text is after some of the turns before it.
    """
    return any(each.turn is turn or not each.is_in_doubt for each in windows)


def _observe_lag(text: str, arrived_at: float) -> None:
    now = asyncio.get_running_loop().time()
    metrics.LIVE_LAG_SECONDS.labels(text).observe(now - arrived_at)
