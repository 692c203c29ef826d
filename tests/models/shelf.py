"""Fake models that load as fast or as slowly as a test wants, and a registry of them."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.engine.fake_model import FakeModel
from app.engine.profile import ModelProfile
from app.engine.speech_model import EngineInfo
from app.models.background_pulls import ModelSource
from app.models.catalogue import Catalogue, ServedModel
from app.models.download.progress import Progress
from app.models.registry import Registry


class Shelf:
    """Makes fake models and notes how many are in memory at once.

    While `gate` is cleared, loading waits. `broken`: sources that cannot be loaded.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.broken: set[str] = set()
        self.failures: list[str] = []
        """Why pinned models could not be loaded."""
        self.away: set[str] = set()
        """Sources that have to be pulled first; `pulling` is what a pull of each does."""
        self.pulling: Callable[[Progress], None] = lambda progress: None
        self.pulls: list[str] = []
        self.loads: list[str] = []
        self.models: list[FakeModel] = []
        self.most = 0
        self._loading = 0
        self._lock = threading.Lock()

    def is_here(self, source: str) -> bool:
        return source not in self.away

    def pull(self, source: str, progress: Progress) -> None:
        self.pulls.append(source)
        self.pulling(progress)
        self.away.discard(source)

    def load(self, source: str) -> FakeModel:
        assert self.is_here(source)
        with self._lock:
            self.loads.append(source)
            self._loading += 1
            self.most = max(self.most, self._loading + len(self.in_memory))
        assert self.gate.wait(10)
        with self._lock:
            self._loading -= 1
            if source in self.broken:
                raise RuntimeError("/secret/weights are not here")
            model = FakeModel()
            model.info = EngineInfo(source, "cpu", "int8", 1, 1, 5, 4)
            self.models.append(model)
            return model

    @property
    def in_memory(self) -> list[str]:
        return [model.info.model for model in self.models if not model.is_unloaded]


@asynccontextmanager
async def registry(
    shelf: Shelf,
    *ids: str,
    pinned: str = "",
    aliases: dict[str, str] | None = None,
    max_resident: int | None = None,
    idle_seconds: float | None = None,
) -> AsyncIterator[Registry]:
    """Once its pinned models are loaded, or one has failed."""
    models = [ServedModel(id, id, ModelProfile(created=7), id in pinned) for id in ids]
    catalogue = Catalogue(models, aliases or {})
    async with Registry(
        catalogue,
        shelf.load,
        max_resident,
        idle_seconds,
        source=ModelSource(shelf.is_here, shelf.pull),
        on_failure=shelf.failures.append,
    ) as running:
        await running.opening.wait()
        yield running


def statuses(models: Registry) -> dict[str, str]:
    return {card.id: card.status for card in models.cards()}
