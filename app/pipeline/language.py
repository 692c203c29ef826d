"""The language of each window: requested by the caller, or detected by the model."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise

from app.domain import Options, Segment, Span, Window
from app.engine.batcher import Batcher
from app.engine.speech_model import Job
from app.pipeline.language_changes import Scores, border, follow


class SpokenLanguage:
    """The languages of a recording, or of a live session, whose turns continue each other.

    The language of a window depends on its sound and on that of windows before it, in the order of
    `next_window`: never on the order in which they are decoded.
    """

    def __init__(self, known: Sequence[str]) -> None:
        """`known`: codes that the model knows."""
        self._known = known
        self._latest: asyncio.Future[Scores | None] = asyncio.get_running_loop().create_future()
        """Scores after the last window, in whatever channel."""
        self._latest.set_result(None)
        self._after: dict[int, asyncio.Future[Scores | None]] = {}
        """Scores after the last window of each channel."""

    def next_window(self, options: Options, channel: int = 0) -> "WindowLanguage":
        """The language of the channel's next window."""
        candidates = self._candidates(options)
        window = WindowLanguage(candidates, self._after.get(channel, self._latest))
        if len(candidates) > 1:
            self._after[channel] = self._latest = window.after
        return window

    async def of_open_window(
        self, window: Window, options: Options, job: Job, batcher: Batcher
    ) -> str:
        """The language of most of an incomplete window; without effect on later windows."""
        language = WindowLanguage(self._candidates(options), self._latest)
        parts = await language.parts(window, job, batcher)
        return _most_spoken((code, part.duration) for part, code in parts)

    def of_transcript(self, options: Options, segments: Sequence[Segment]) -> str:
        """The language of most of the speech; without speech, the one requested or English."""
        candidates = self._candidates(options)
        silent = "en" if "en" in candidates else candidates[0]
        spoken = [(each.language, each.end - each.start) for each in segments]
        return _most_spoken([(silent, 0.0), *spoken])

    def _candidates(self, options: Options) -> Sequence[str]:
        return (options.language,) if options.language else options.languages or self._known


class WindowLanguage:
    """The language of one window, and of parts of it that are decoded again."""

    def __init__(self, candidates: Sequence[str], before: asyncio.Future[Scores | None]) -> None:
        """`before`: the scores after the window before it."""
        self._candidates = candidates
        self._before = before
        self.after: asyncio.Future[Scores | None] = asyncio.get_running_loop().create_future()
        """The scores after this window; done when its languages are detected, or could not be."""

    def only(self, language: str) -> "WindowLanguage":
        """The same window, if its language is known."""
        return WindowLanguage((language,), self._before)

    async def parts(self, window: Window, job: Job, batcher: Batcher) -> list[tuple[Window, str]]:
        """The window's parts in order, each with its language; usually the whole window.

        Later calls are for parts of the window that are decoded again: `window` is such a part,
        which has another language than the sound before it only if that is certain. Raises as
        `Batcher.decode`.
        """
        if len(self._candidates) == 1:
            return [(window, self._candidates[0])]
        if self.after.done():
            path, _ = await self._follow(job, batcher, self.after)
        else:
            path = await self._first(job, batcher)
        return _parts(window, job.stretches, path)

    async def _first(self, job: Job, batcher: Batcher) -> list[str]:
        scores = None
        try:
            path, scores = await self._follow(job, batcher, self._before)
        finally:
            # A live session goes on after a window that failed.
            if scores is None and self._before.done():
                scores = self._before.result()
            self.after.set_result(scores)
        return path

    async def _follow(
        self, job: Job, batcher: Batcher, before: asyncio.Future[Scores | None]
    ) -> tuple[list[str], Scores]:
        # Detected first: so a window is encoded while it waits for the one before it.
        detected = await batcher.detect_languages(job)
        return follow(await asyncio.shield(before), job.stretches, detected, self._candidates)


def _most_spoken(spoken: Iterable[tuple[str, float]]) -> str:
    """The language of most seconds; `spoken` has one element at least."""
    seconds: dict[str, float] = {}
    for language, length in spoken:
        seconds[language] = seconds.get(language, 0.0) + length
    return max(seconds, key=lambda code: seconds[code])


def _parts(window: Window, spans: Sequence[Span], path: Sequence[str]) -> list[tuple[Window, str]]:
    """The window, cut where the language changes on the path, which has one code for each span."""
    parts, start = [], 0.0
    for number, (code, following) in enumerate(pairwise(path)):
        if code != following:
            end = border(window, *spans[number : number + 2])
            parts.append((window.part(start, end), code))
            start = end
    return [*parts, (window.part(start, window.duration) if parts else window, path[-1])]
