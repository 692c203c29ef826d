"""Screenshots of the page's states with real Whisper: `make screenshots`, or `-m` of this module.

They go to the folder that is named, and that of the README to docs/page.png. Looked at by people;
no test compares them.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.live_server import ROOT, LiveServer
from tests.support.model_names import BASE
from tests.support.recordings import SPEECH
from tests.web.browser import chromium, opened
from tests.web.steps import transcribe

CALL = SPEECH / "stereo_call.m4a"
OTHERS = tuple(SPEECH / name for name in ("jfk.flac", "libri_0870.wav", "german.wav"))
Scheme = Literal["dark", "light"]
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}


def main(folder: Path) -> None:
    """Writes one PNG for each state."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as jobs:
        Path(jobs).chmod(0o755)  # as root, the server's PostgreSQL is another user
        server = LiveServer(
            VERBATIM_MODEL=BASE, VERBATIM_JOBS__ENABLED="true", VERBATIM_JOBS__DIRECTORY=jobs
        )
        with server, chromium(microphone=SPEECH / "libri_0880.wav") as browser:
            for name, (show, size, scheme) in STATES.items():
                with opened(browser, server.url, viewport=size, color_scheme=scheme) as page:
                    expect(page.locator("#language option")).not_to_have_count(0)
                    show(page)
                    page.screenshot(path=folder / f"{name}.png")
            microphone(browser, server.url, folder)
    (ROOT / "docs" / "page.png").write_bytes((folder / "transcript.png").read_bytes())


def empty(page: Page) -> None:
    expect(page.get_by_role("link", name="Jobs")).to_be_visible()


def options(page: Page) -> None:
    page.get_by_role("button", name="Options").click()


def queue(page: Page) -> None:
    page.set_input_files("#file", [*OTHERS, CALL, ROOT / "README.md"])
    expect(page.locator("#queue [data-status=done]")).not_to_have_count(0)


def transcript(page: Page) -> None:
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Tell speakers apart").check()
    page.get_by_role("button", name="Options").click()
    page.set_input_files("#file", OTHERS[:2])
    expect(page.locator("#queue [data-status=done]")).to_have_count(2)
    transcribe(page, CALL)
    for letter, name in (("A", "Customer"), ("B", "Agent")):
        page.get_by_label(f"Name of speaker {letter}").fill(name)
        page.keyboard.press("Enter")
    page.evaluate("document.querySelector('audio').currentTime = 8.9")
    expect(page.locator("#transcript [aria-current]")).to_be_visible()


def editing(page: Page) -> None:
    transcript(page)
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Find").click()
    page.get_by_label("Find", exact=True).fill("please")
    page.get_by_label("Replace by").fill("kindly")


def failed(page: Page) -> None:
    page.set_input_files("#file", ROOT / "README.md")
    expect(page.locator("#error")).to_be_visible()


def jobs_view(page: Page) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.set_input_files("#job-files", [*OTHERS, CALL])
    expect(page.locator("#jobs-rows [data-status=completed]")).not_to_have_count(0)


def code(page: Page) -> None:
    transcript(page)
    page.get_by_role("button", name="As code").click()


STATES: dict[str, tuple[Callable[[Page], None], ViewportSize, Scheme]] = {
    "empty": (empty, WIDE, "light"),
    "options": (options, WIDE, "light"),
    "queue": (queue, WIDE, "light"),
    "transcript": (transcript, {"width": 1280, "height": 600}, "light"),
    "editing": (editing, WIDE, "dark"),
    "failed": (failed, WIDE, "light"),
    "jobs": (jobs_view, WIDE, "light"),
    "code": (code, WIDE, "dark"),
    "phone-queue": (queue, NARROW, "light"),
    "phone-transcript": (transcript, NARROW, "dark"),
}


def microphone(browser: Browser, url: str, folder: Path) -> None:
    """Speech that is being heard, and the offer once it has ended."""
    with opened(browser, url, viewport=WIDE) as page:
        expect(page.locator("#language option")).not_to_have_count(0)
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator("#transcript li")).not_to_have_count(0)
        page.wait_for_timeout(3000)
        page.screenshot(path=folder / "speaking.png")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#live-offer")).to_be_visible()
        page.screenshot(path=folder / "spoken.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
