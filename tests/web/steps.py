"""What people do with the page, and what they get."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER

CLIP = FOLDER / "12_short_clip.wav"
CALL = FOLDER / "02_two_voices.wav"
STEREO = FOLDER / "13_stereo_call.m4a"


def transcribe(page: Page, *files: Path) -> None:
    """Chooses files, opens the first of them and waits until it is done."""
    page.set_input_files("#file", files)
    expect(page.locator("#name")).to_have_text(files[0].name)
    expect(page.locator("#status")).to_contain_text("Done")


def drop(page: Page, files: Iterable[tuple[str, bytes]]) -> None:
    """Drops files, `(name, content)` each, on the page."""
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, encoded] of files) {
            const bytes = Uint8Array.from(atob(encoded), (each) => each.charCodeAt());
            transfer.items.add(new File([bytes], name));
          }
          return transfer;
        }""",
        [(name, base64.b64encode(content).decode()) for name, content in files],
    )
    page.dispatch_event("h1", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("h1", "drop", {"dataTransfer": transfer})


def verbose(server: LiveServer, file: Path, **options: Any) -> Any:
    """The document that the API gives for a file."""
    return server.transcribe(
        file,
        "starter",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        **options,
    ).to_dict()


def downloaded(page: Page, format_: str) -> tuple[str, bytes]:
    """Name and content of a download."""
    page.select_option("#format", format_)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def give_key(page: Page, key: str, *, remember: bool = False) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_label("Remember").set_checked(remember)
    page.get_by_role("button", name="Use this key").click()


def wait_until_kept(page: Page, text: str) -> None:
    """Returns once a transcript with this text is in the browser's database."""
    page.wait_for_function(
        """(text) => new Promise((resolve) => {
          indexedDB.open("verbatim", 1).onsuccess = ({ target: { result } }) => {
            const all = result.transaction("transcripts").objectStore("transcripts").getAll();
            all.onsuccess = () => {
              result.close();
              resolve(JSON.stringify(all.result).includes(text));
            };
          };
        })""",
        arg=text,
        timeout=60_000,
    )


def rows(page: Page, status: str) -> Locator:
    """The recordings of the list that have a status."""
    return page.locator(f"#queue [data-status={status}]")


def said(page: Page) -> str:
    """The words of the transcript that is open."""
    return " ".join(page.locator("#transcript p").all_inner_texts())
