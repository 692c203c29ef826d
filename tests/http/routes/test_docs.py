"""The page at /docs, in a browser."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, Request, expect

from app.engine.fake_model import FakeModel
from tests.openai.document import operations
from tests.support.client import CLIP
from tests.support.live_server import LiveServer
from tests.support.recordings import reference
from tests.support.served import fake_app, served
from tests.web.browser import chromium

TRANSCRIPTION = "#operations-audio-createTranscription"


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Every address that the page has asked for."""
    return []


@pytest.fixture(scope="module")
def page(server: LiveServer, asked: list[str]) -> Iterator[Page]:
    """As it opens, for somebody who likes it dark."""

    def on_request(request: Request) -> None:
        asked.append(request.url)

    with chromium(microphone=CLIP) as browser:
        page = browser.new_page(color_scheme="dark")
        page.on("request", on_request)
        page.goto(f"{server.url}/docs")
        expect(page.locator(".opblock-tag").first).to_be_visible()
        yield page


def test_it_opens_with_the_tags_alone_and_dark_where_that_is_liked(page: Page) -> None:
    tags = {operation["tags"][0] for _, _, operation in operations()}
    assert page.locator(".opblock-tag").count() == len(tags)
    assert page.locator(".opblock").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_it_shows_every_operation(page: Page) -> None:
    for tag in page.locator(".opblock-tag").all():
        tag.click()
    for path, _, operation in operations():
        block = page.locator(f"#operations-{operation['tags'][0]}-{operation['operationId']}")
        expect(block.locator(f'[data-path="{path}"]')).to_be_visible()


def transcription(page: Page) -> Locator:
    """The operation, opened with its tag."""
    block = page.locator(TRANSCRIPTION)
    if not block.count():
        page.locator("#operations-tag-audio").click()
    if not block.locator(".opblock-body").count():
        block.locator(".opblock-summary-control").click()
    return block


def test_a_recording_can_be_sent_with_what_the_form_is_filled_with(page: Page) -> None:
    form = transcription(page)
    form.locator("input[type=file]").set_input_files(CLIP)
    form.locator(".execute").click()
    answer = form.locator(".live-responses-table")
    expect(answer).to_contain_text(reference(CLIP.name))


def test_it_shows_the_samples_with_the_address_of_this_server(
    server: LiveServer, page: Page
) -> None:
    (found,) = [each for _, _, each in operations() if each["operationId"] == "createTranscription"]
    shown = transcription(page).locator("details")
    labels = [sample["label"] for sample in found["x-codeSamples"]]
    assert shown.locator("summary").all_inner_texts() == labels
    shown.first.locator("summary").click()
    expect(shown.first).to_contain_text(f"curl {server.url}/v1/audio/transcriptions")


def test_errors_do_not_repeat_the_headers_of_the_answer(page: Page) -> None:
    responses = transcription(page).locator(".responses-table .response")
    headers = {
        row.get_attribute("data-code"): row.locator(".headers-wrapper").is_visible()
        for row in responses.filter(has=page.locator(".headers-wrapper")).all()
    }
    assert {code for code, are_shown in headers.items() if are_shown} == {"200", "429", "503"}


def test_it_asks_no_other_host_for_anything(
    server: LiveServer, page: Page, asked: list[str]
) -> None:
    assert f"{server.url}/docs/assets/swagger-ui-bundle.js" in asked
    assert f"{server.url}/openapi.json" in asked
    elsewhere = [url for url in asked if not url.startswith((f"{server.url}/", "data:"))]
    assert elsewhere == []


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
