"""The start of the process: pinned models are pulled and loaded, one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

import structlog

from app.errors import ModelOnItsWay, ModelUnavailable, reason_of
from app.models.background_pulls import Pulls
from app.models.catalogue import ServedModel

log = structlog.get_logger(__name__)


class Opening:
    """Pulls and loads the pinned models of `models`, from `start` on, in the background.

    `load` gets the id of a model and returns once the model is in memory. `on_failure` is called
    with the reason when a pinned model cannot be pulled or loaded; the opening then ends.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        pulls: Pulls,
        load: Callable[[str], Awaitable[None]],
        on_failure: Callable[[str], None],
    ) -> None:
        self._models = models
        self._pulls = pulls
        self._load = load
        self._on_failure = on_failure
        self._task: asyncio.Task[None]
        self._current: ServedModel | None = None
        """The pinned model that is pulled or loaded now."""

    def start(self) -> None:
        """Begin in the background."""
        self._current = next((each for each in self._models if each.is_pinned), None)
        self._task = asyncio.create_task(self._open(), name="load-pinned", context=Context())

    async def close(self) -> None:
        """Cancel the opening, if it is not over."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def wait(self) -> None:
        """Returns once the pinned models are loaded, or one of them has failed."""
        await asyncio.wait([self._task])

    @property
    def stage(self) -> str | None:
        """The current stage, as `pulling base, 62 %`; None once the pinned models are loaded."""
        model = self._current
        if model is None:
            return None
        progress = self._pulls.progress(model)
        if progress is None:
            return f"loading {model.id}"
        return f"{progress.stage} {model.id}, {progress}"

    def check(self) -> None:
        """Raises ModelOnItsWay until all pinned models are loaded."""
        if self._current is None:
            return
        retry_after = self._pulls.pending_error(self._current).retry_after_seconds
        raise ModelOnItsWay(f"The server starts: {self.stage}. Please retry.", retry_after)

    async def _open(self) -> None:
        for model in self._models:  # one by one, as each takes all cores
            if not model.is_pinned:
                continue
            self._current = model
            try:
                if not self._pulls.is_present(model):
                    await self._pulls.start(model)
                await self._load(model.id)
            except Exception as error:  # of any kind: a server without its model is useless
                cause = error.__cause__ if isinstance(error, ModelUnavailable) else None
                self._on_failure(reason_of(cause or error))
                return
        self._current = None
        log.info("ready", models=[model.id for model in self._models])
