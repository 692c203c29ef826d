"""An application of ours on a real port, in this process, so that its model can be a fake."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI
from openai import DefaultHttpxClient, OpenAI
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from app.application import create_app
from app.engine.fake_model import FakeModel
from app.process.server import uvicorn_config
from app.setting_groups import ServerSettings
from app.settings import Settings
from tests.support.model_names import STARTER
from tests.support.waiting import wait_until


def fake_app(model: FakeModel, **settings: object) -> FastAPI:
    """The whole application around a fake model, which has the starter's name; settings by group,
    as Settings takes them.
    """
    return create_app(fake_settings(**settings), lambda _: model)


def fake_settings(**settings: object) -> Settings:
    """For an application around a fake model."""
    return Settings.model_validate({"model": str(STARTER), **settings})


@contextmanager
def in_process(app: FastAPI) -> Iterator[TestClient]:
    """A client that calls the application without a port, once its models are loaded."""
    with TestClient(app) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client


@contextmanager
def served(app: ASGIApp, **settings: object) -> Iterator[str]:
    """The URL at which uvicorn serves it as `app/__main__.py` does; the port's own settings."""
    server = uvicorn.Server(
        uvicorn_config(app, ServerSettings.model_validate({"port": 0, **settings}))
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    wait_until(lambda: httpx.get(f"{url}/health/ready").status_code != 503)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(30)


def counting_client(
    url: str, max_retries: int = 2, on_answer: Callable[[httpx.Response], None] = lambda _: None
) -> tuple[OpenAI, list[object]]:
    """The official SDK, and every request that it sends, retries included.

    `on_answer` is called with every answer before the SDK acts on it.
    """
    sent: list[object] = []
    http = DefaultHttpxClient(event_hooks={"request": [sent.append], "response": [on_answer]})
    client = OpenAI(
        base_url=f"{url}/v1", api_key="any key", http_client=http, max_retries=max_retries
    )
    return client, sent
