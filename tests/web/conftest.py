"""A browser, and the page of the shared server in it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.live_server import LiveServer
from tests.web.browser import chromium, opened
from tests.web.steps import CLIP


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(microphone=CLIP) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: LiveServer) -> Iterator[Page]:
    with opened(browser, server.url) as page:
        yield page
