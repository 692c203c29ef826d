"""The model's side of a live session: complete windows first, drafts of the open one between them.

One call at a time: so text comes in order, nobody takes more than a turn of the device, and under
load drafts become rarer by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.audio.windowing import WindowPacker
from app.domain import Hypothesis, Window
from app.errors import Overloaded, SpeechError
from app.pipeline.live.events import Completed, Event, Failed, Partial
from app.pipeline.live.turn_transcript import Item
from app.pipeline.transcriber import Transcriber
from app.telemetry import metrics

MIN_NEW_SECONDS = 0.4
"""So much more speech makes another draft worth while; a pause always does."""


@dataclass(frozen=True, slots=True)
class _Growing:
    """A window that is still open."""

    item: Item
    packer: WindowPacker
    arrived_at: float
    """When its last sound came, on the event loop's clock."""


@dataclass(frozen=True, slots=True)
class _Complete:
    """An item without further windows, in seconds of the session and of the event loop's clock."""

    item: Item
    end: float
    arrived_at: float


class Hearing:
    """Hears what a session hands to it, until `finish` and everything is heard."""

    def __init__(
        self, transcriber: Transcriber, session_id: str, emit: Callable[[Event], None]
    ) -> None:
        self._transcriber = transcriber
        self._session_id = session_id
        self._emit = emit
        self._waiting: deque[tuple[Item, Window] | _Complete] = deque()
        self._items: dict[str, Item] = {}
        """Those of which neither the whole text nor a failure was said."""
        self._growing: _Growing | None = None
        self._drafted_until = 0.0
        """The end of the last draft's speech, in seconds of the session."""
        self._drafting: asyncio.Task[Hypothesis] | None = None
        self._news = asyncio.Event()
        self._is_finished = False
        self.gone: Overloaded | None = None
        """Why the engine takes no windows any more."""
        self.waiting_seconds = 0.0
        """Sound of complete windows that are not heard yet."""

    def grow(self, item: Item, packer: WindowPacker, arrived_at: float) -> None:
        """There is more sound in the item's open window, if it has one."""
        self._items[item.id] = item
        self._growing = _Growing(item, packer, arrived_at)
        self._news.set()

    def add(self, item: Item, window: Window) -> None:
        """A complete window; what was going on about it as an open one is dropped."""
        self._items[item.id] = item
        self._waiting.append((item, window))
        self.waiting_seconds += window.duration
        self._stop_growing()

    def complete(self, item: Item, end: float, arrived_at: float) -> None:
        """The item has no more windows."""
        self._items[item.id] = item
        self._waiting.append(_Complete(item, end, arrived_at))
        self._stop_growing()

    def forget(self, item: Item) -> None:
        """Nothing more is to be said of it."""
        item.is_forgotten = True
        item.span.end()
        self._items.pop(item.id, None)
        self._stop_growing()

    def finish(self) -> None:
        """Nothing more will come."""
        self._is_finished = True
        self._news.set()

    def has_caught_up(self) -> bool:
        """Is all speech so far in the text?"""
        speech = None if self._growing is None else self._growing.packer.open_speech
        is_drafted = speech is None or speech[1] <= self._drafted_until
        return not self._waiting and self._drafting is None and is_drafted

    async def run(self) -> None:
        """Until everything is heard, or the engine is gone."""
        try:
            while self._waiting or not self._is_finished:
                if self._waiting:
                    await self._next()
                elif self._is_draft_due():
                    await self._draft()
                else:
                    self._news.clear()
                    await self._news.wait()
        except Overloaded as error:
            self._leave(error)
        finally:
            for item in self._items.values():
                item.span.end()

    def _stop_growing(self) -> None:
        self._growing = None
        if self._drafting is not None:
            self._drafting.cancel()
        self._news.set()

    async def _next(self) -> None:
        """Raises Overloaded if the engine is gone."""
        next_one = self._waiting[0]
        if isinstance(next_one, _Complete):
            self._conclude(next_one)
        else:
            await self._hear(*next_one)
        self._waiting.popleft()

    async def _hear(self, item: Item, window: Window) -> None:
        try:
            if item.error is None and not item.is_forgotten:
                position = item.window_count
                with item.span.inside():
                    heard = await self._transcriber.heard(
                        window, item.options, self._session_id, min(position, 1), item.language
                    )
                self._say(item, item.hear(heard))
        except Overloaded:
            raise
        except SpeechError as error:
            item.error = error
        finally:
            self.waiting_seconds -= window.duration

    def _conclude(self, complete: _Complete) -> None:
        item = complete.item
        del self._items[item.id]
        if item.error is not None:
            self._fail(item, item.error)
            return
        transcript = item.transcript(complete.end)
        metrics.AUDIO_SECONDS.inc(transcript.duration)
        item.span.note(audio_seconds=transcript.duration)
        item.span.end()
        _observe_lag("final", complete.arrived_at)
        self._emit(Completed(item.id, transcript))

    def _is_draft_due(self) -> bool:
        growing = self._growing
        if growing is None or growing.item.error is not None or not growing.item.has_drafts:
            return False
        speech = growing.packer.open_speech
        if speech is None:
            return False
        new = speech[1] - max(speech[0], self._drafted_until)
        return new >= MIN_NEW_SECONDS or (new > 0 and growing.packer.is_pausing)

    async def _draft(self) -> None:
        """Raises Overloaded if the engine is gone; any other failure costs only the draft."""
        growing = self._growing
        assert growing is not None
        speech, window = growing.packer.open_speech, growing.packer.peek()
        assert speech is not None
        item, self._drafted_until = growing.item, speech[1]
        if window is None:  # a click, so far
            return
        with item.span.inside():
            drafting = asyncio.create_task(
                self._transcriber.draft(window, item.options, self._session_id, item.language)
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
        if drafting.cancelled() or item.is_forgotten:
            return
        error = drafting.exception()
        if error is None:
            self._say(item, item.hear_draft(window, drafting.result()))
            _observe_lag("partial", growing.arrived_at)
        elif isinstance(error, Overloaded) or not isinstance(error, SpeechError):
            raise error

    def _say(self, item: Item, partial: Partial | None) -> None:
        if partial is not None and not item.is_forgotten:
            self._emit(partial)

    def _leave(self, error: Overloaded) -> None:
        """The engine takes no more: whoever waits for something must hear of it."""
        self.gone = error
        self._waiting.clear()
        self.waiting_seconds = 0.0
        for item in self._items.values():
            self._fail(item, item.error or error)
        self._items.clear()

    def _fail(self, item: Item, error: SpeechError) -> None:
        self._emit(Failed(item.id, error))
        item.span.fail(type(error).__name__)
        item.span.end()


def _observe_lag(text: str, arrived_at: float) -> None:
    now = asyncio.get_running_loop().time()
    metrics.LIVE_LAG_SECONDS.labels(text).observe(now - arrived_at)
