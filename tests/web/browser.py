"""Chromium as people use it, and what it complains of."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.support.programs import require

expect.set_options(timeout=60_000)


@contextmanager
def chromium(microphone: Path) -> Iterator[Browser]:
    """A page that asks for its microphone gets it, and the wav once."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=require("chromium"),
            args=[
                "--no-sandbox",  # which root may not have
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}%noloop",
                "--host-resolver-rules=MAP verbatim.lan 127.0.0.1",  # a host without https
            ],
        )
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, url: str, others: Collection[str] = (), **options: Any
) -> Iterator[Page]:
    """The page in a profile of its own. It fails if a script fails, if the policy is violated, or
    if anything is asked of a host other than `others`."""
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    hosts: set[str] = set()

    def on_console(message: ConsoleMessage) -> None:
        # Chromium logs every 4xx; those of the API are shown to the person.
        if message.type in ("error", "warning") and "/v1/" not in message.location["url"]:
            complaints.append(message.text)

    def on_request(request: Request) -> None:
        if request.url.startswith("http"):
            hosts.add(urlsplit(request.url).netloc)

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", on_request)
    page.goto(f"{url}/")
    try:
        yield page
        assert complaints == []
        assert hosts == {urlsplit(url).netloc, *others}
    finally:
        context.close()
