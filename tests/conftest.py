"""Fixtures of several folders; tests/README.md lists what else tests share."""

import asyncio
import gc
import json
import os
import ssl
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai._base_client import SyncHttpxClientWrapper

from app.settings import prepare_libraries

prepare_libraries()  # as `python -m app` does, before anything imports them

from app.engine.whisper import WhisperEngine
from app.models.loading import EngineChoices, load
from tests.access.provider import Provider
from tests.support.live_server import LiveServer
from tests.support.model_names import BASE, NO_MODELS, STARTER
from tests.support.redis_server import RedisServer
from tests.support.remembering_server import RememberingServer

PATIENCE_SECONDS = 60.0


def pytest_configure() -> None:
    """Modules and items live to the end: collecting garbage among them finds none."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first: a worker that begins one at the end works alone."""
    tests = Path(__file__).parent
    slow = (tests / "conformance", tests / "process", tests, tests / "web", tests / "grafana")
    rank = {folder: number for number, folder in enumerate(slow)}
    items.sort(key=lambda item: rank.get(item.path.parent, len(slow)))


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _ssl_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None or "SSL_CERT_FILE" in os.environ:
        return httpx.create_ssl_context(verify, cert, trust_env)
    return _certificates()


def _complain(client: httpx.Client) -> None:
    if not client.is_closed:
        warnings.warn(f"unclosed client of the SDK for {client.base_url}", ResourceWarning, 1)


@pytest.fixture(scope="session", autouse=True)
def unclosed_clients_are_errors() -> Iterator[None]:
    """The SDK's clients close themselves when they are collected, or else their sockets complain
    first, in whatever test runs then: they complain always."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SyncHttpxClientWrapper, "__del__", _complain)
        yield


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once() -> Iterator[None]:
    """Each client of httpx, so each `httpx.get`, would read all authorities: 0.1 s of a core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", _ssl_context)
        yield


class _HurriedAsyncio:
    """asyncio, whose sleep is a tenth as long."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)


@pytest.fixture(scope="session", autouse=True)
def uvicorn_ends_soon() -> Iterator[None]:
    """It looks ten times a second whether to end, and then waits for a tenth: idle time of each
    application that `served` runs in this process.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.server.asyncio", _HurriedAsyncio())
        yield


@pytest.fixture(scope="session", autouse=True)
def clients_are_patient() -> Iterator[None]:
    """A server on a busy machine may need longer than httpx waits by default, which is 5 s."""
    with pytest.MonkeyPatch.context() as patch:
        for phase in ("connect", "read", "write", "pool"):
            patch.setattr(f"httpx._config.DEFAULT_TIMEOUT_CONFIG.{phase}", PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session")
def starter() -> WhisperEngine:
    return load(str(STARTER), EngineChoices(device="cpu"), NO_MODELS)


@pytest.fixture(scope="session")
def server() -> Iterator[LiveServer]:
    """`python -m app` with the starter: for whatever is not about the quality of words."""
    with LiveServer() as live:
        yield live


@pytest.fixture(scope="session")
def remembering_server() -> Iterator[LiveServer]:
    """The starter, and Whisper for the name `base`, computing equal windows once: for many
    questions about a few recordings.
    """
    with RememberingServer(VERBATIM_MODELS__SERVED=json.dumps([BASE])) as live:
        yield live


@pytest.fixture(scope="session")
def base_server() -> Iterator[LiveServer]:
    """Real Whisper base, as `make run` starts it, but computing equal windows once."""
    with RememberingServer(VERBATIM_MODEL=BASE) as live:
        yield live


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """An OpenID provider that signs the tokens of this module's callers."""
    with Provider() as running:
        yield running


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """Empty at first; each test has callers of its own in it."""
    with RedisServer() as server:
        yield server
