"""What several test folders share: a small model in this process, and live servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import prepare_libraries

prepare_libraries()  # as `python -m app` does, before anything imports them

from app.engine.whisper import WhisperEngine
from app.models.loading import EngineChoices, load
from tests.support.live_server import LiveServer
from tests.support.model_names import BASE, NO_MODELS, STARTER
from tests.support.redis_server import RedisServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, which are of the whole process: at the end nobody waits for them."""
    tests = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent not in (tests, tests / "process"))


@pytest.fixture(scope="session")
def starter() -> WhisperEngine:
    return load(str(STARTER), EngineChoices(device="cpu"), NO_MODELS)


@pytest.fixture(scope="session")
def server() -> Iterator[LiveServer]:
    """`python -m app` with the starter: for whatever is not about the quality of words."""
    with LiveServer() as live:
        yield live


@pytest.fixture(scope="session")
def base_server() -> Iterator[LiveServer]:
    """`python -m app` with real Whisper base, as `make run` starts it."""
    with LiveServer(VERBATIM_MODEL=BASE) as live:
        yield live


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """Empty at first; each test has callers of its own in it."""
    with RedisServer() as server:
        yield server
