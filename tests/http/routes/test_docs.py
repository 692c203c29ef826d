"""The page at /docs, in a browser."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from app.engine.fake_model import FakeModel
from tests.openai.document import operations
from tests.support.live_server import LiveServer
from tests.support.programs import require
from tests.support.served import fake_app, served


def rendered(url: str, folder: Path) -> tuple[str, set[str]]:
    """The elements of a page after its scripts ran, and every address that it asked for."""
    log = folder / "net.json"
    browser = subprocess.run(
        [
            require("chromium"),
            "--headless",
            "--no-sandbox",  # which root may not have
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            "--virtual-time-budget=30000",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    requests = [each.get("params", {}) for each in json.loads(log.read_text())["events"]]
    # What the browser wants for itself has no origin.
    return browser.stdout, {
        each["url"]
        for each in requests
        if "url" in each and each.get("initiator", "not an origin") != "not an origin"
    }


@pytest.fixture(scope="module")
def page(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, set[str]]:
    """With the form for a transcription open."""
    address = f"{server.url}/docs#/audio/createTranscription"
    return rendered(address, tmp_path_factory.mktemp("browser"))


def test_it_shows_every_operation(page: tuple[str, set[str]]) -> None:
    elements, _ = page
    for path, _, operation in operations():
        assert f'data-path="{path}"' in elements
        assert f'id="operations-{operation["tags"][0]}-{operation["operationId"]}"' in elements


def test_a_recording_can_be_tried_out(page: tuple[str, set[str]]) -> None:
    elements, _ = page
    form = elements.partition('data-property-name="file"')[2]
    assert '<input type="file"' in form.partition('data-property-name="model"')[0]


def test_it_asks_no_other_host_for_anything(server: LiveServer, page: tuple[str, set[str]]) -> None:
    _, asked = page
    assert f"{server.url}/docs/assets/swagger-ui-bundle.js" in asked
    assert f"{server.url}/openapi.json" in asked
    assert [url for url in asked if not url.startswith(f"{server.url}/")] == []


def test_the_policy_lets_browsers_ask_no_other_host(server: LiveServer) -> None:
    policy = httpx.get(f"{server.url}/docs").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_there_is_no_second_page(server: LiveServer) -> None:
    assert httpx.get(f"{server.url}/redoc").status_code == 404


def test_it_can_be_turned_off() -> None:
    with served(fake_app(FakeModel(), server={"docs": False})) as url:
        for path in ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css"):
            assert httpx.get(url + path).status_code == 404
