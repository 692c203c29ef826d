"""Which language a recording is in: what the caller says, or what the model hears."""

import asyncio
from collections.abc import Mapping, Sequence

from app.domain import Options, Segment
from app.engine.batcher import Batcher
from app.engine.speech_model import Job


class SpokenLanguage:
    """The language of each window of one request, and of the whole."""

    def __init__(self, options: Options, known: Sequence[str]) -> None:
        self._options = options
        self._candidates = options.languages or known
        self._named: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def of(self, job: Job, batcher: Batcher) -> str:
        """Given by the caller; or heard in this window, if there are candidates; or heard in the
        first window, which then speaks for the whole recording."""
        if self._options.language:
            return self._options.language
        if self._options.languages:
            return self._best(await batcher.detect_language(job))
        if not self._named.done():
            # The later windows ask too: so they are encoded while they wait for the first.
            heard = self._best(await batcher.detect_language(job))
            if job.position == 0:
                self._named.set_result(heard)
        return await asyncio.shield(self._named)

    async def so_far(self, job: Job, batcher: Batcher) -> str:
        """As `of`, for a window that is still open: what it seems to be in names nothing yet."""
        if self._options.language:
            return self._options.language
        if self._named.done():
            return self._named.result()
        return self._best(await batcher.detect_language(job))

    def _best(self, probabilities: Mapping[str, float]) -> str:
        return max(self._candidates, key=lambda code: probabilities.get(code, 0.0))

    def of_all(self, segments: Sequence[Segment]) -> str:
        """The language most of the speech is in; of silence, what was asked for or English."""
        silent = "en" if "en" in self._candidates else self._candidates[0]
        seconds = {self._options.language or silent: 0.0}
        for each in segments:
            seconds[each.language] = seconds.get(each.language, 0.0) + each.end - each.start
        return max(seconds, key=lambda code: seconds[code])
