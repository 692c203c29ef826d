"""The language of a recording: requested by the caller, or detected by the model."""

import asyncio
from collections.abc import Mapping, Sequence

from app.domain import Options, Segment
from app.engine.batcher import Batcher
from app.engine.speech_model import Job


class SpokenLanguage:
    """The language of each window of one request, and of the whole recording."""

    def __init__(self, options: Options, known: Sequence[str]) -> None:
        self._options = options
        self._candidates = options.languages or known
        self._detected: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Language of the first window, for the whole recording."""

    async def of_window(self, job: Job, batcher: Batcher) -> str:
        """The language to decode a window in.

        Requested by the caller; or detected in this window, if the caller named candidates; or
        detected in the first window.
        """
        if self._options.language:
            return self._options.language
        if self._options.languages:
            return self._best(await batcher.detect_language(job))
        if not self._detected.done():
            # Later windows detect too: so they are encoded while they wait for the first.
            detected = self._best(await batcher.detect_language(job))
            if job.position == 0:
                self._detected.set_result(detected)
        return await asyncio.shield(self._detected)

    async def of_open_window(self, job: Job, batcher: Batcher) -> str:
        """The language to decode an incomplete window in; not kept for later windows."""
        if self._options.language:
            return self._options.language
        if self._detected.done():
            return self._detected.result()
        return self._best(await batcher.detect_language(job))

    def _best(self, probabilities: Mapping[str, float]) -> str:
        return max(self._candidates, key=lambda code: probabilities.get(code, 0.0))

    def of_transcript(self, segments: Sequence[Segment]) -> str:
        """The language of most of the speech; without speech, the one requested or English."""
        silent = "en" if "en" in self._candidates else self._candidates[0]
        seconds = {self._options.language or silent: 0.0}
        for each in segments:
            seconds[each.language] = seconds.get(each.language, 0.0) + each.end - each.start
        return max(seconds, key=lambda code: seconds[code])
