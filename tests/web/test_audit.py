"""The page for everybody: WCAG by axe-core, the keyboard, narrow screens, and its weight."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.live_server import LiveServer
from tests.support.programs import missing
from tests.web.browser import opened
from tests.web.steps import CLIP, STEREO, transcribe, verbose

AXE = Path(__file__).parents[1] / "conformance/node/node_modules/axe-core/axe.min.js"
MAX_BYTES = 200_000


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong in what is shown now, each rule with its elements."""
    if not AXE.exists():
        missing("axe-core is not installed: make test")
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_wrong_in_any_state_and_nothing_scrolls_sideways(
    browser: Browser, server: LiveServer, scheme: Any, width: int, tmp_path: Path
) -> None:
    options = {
        "color_scheme": scheme,
        "reduced_motion": "reduce",
        "viewport": {"width": width, "height": 844},
    }
    with opened(browser, server.url, **options) as page:
        expect(page.locator("#about")).not_to_be_empty()

        def check(state: str) -> None:
            assert violations(page) == [], state
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, state

        check("empty")
        page.get_by_role("button", name="Options").click()
        page.get_by_label("Tell speakers apart").check()
        check("options")
        if width == 1280:
            tops = {
                page.locator(each).bounding_box()["y"]  # type: ignore[index]
                for each in ("#record", "#model", "#language", "#options-button")
            }
            assert len(tops) == 1, "the controls are in one row"
        page.get_by_role("button", name="Options").click()
        transcribe(page, STEREO)
        page.evaluate("document.querySelector('audio').currentTime = 0.6")
        expect(page.locator("#transcript [aria-current]")).to_be_visible()
        check("done")
        first = page.locator("#transcript li").first.bounding_box()
        assert first is not None
        assert first["y"] < 844 / 2, "the transcript has most of the screen"
        page.get_by_role("button", name="Edit").click()
        page.get_by_role("button", name="Find").click()
        check("editing")
        page.get_by_role("button", name="As code").click()
        check("code")
        page.keyboard.press("Escape")
        (tmp_path / "a letter with quite a long name.txt").write_bytes(b"no recording\n" * 40)
        if width == 390:
            page.get_by_role("button", name="← Recordings").click()
            expect(page.get_by_role("button", name=STEREO.name).first).to_be_focused()
        page.set_input_files("#file", tmp_path / "a letter with quite a long name.txt")
        expect(page.locator("#error")).to_be_visible()
        check("failed")
        assert page.evaluate("document.getAnimations().length") == 0


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, server: LiveServer) -> None:
    words = verbose(server, CLIP)["words"]
    focus = page.locator(":focus")
    for key in (" ", "e", "f", "j", "n", "]", "Control+z"):  # there is nothing to do it to
        page.keyboard.press(key)
    with page.expect_file_chooser() as chooser:
        tab_to(page.get_by_label("Choose recordings"))
        page.keyboard.press("Enter")
    chooser.value.set_files(CLIP)
    expect(page.locator("#status")).to_contain_text("Done")
    expect(page.locator("#spoken")).to_contain_text(f"{CLIP.name}: Done")
    expect(page.get_by_label("Choose recordings")).to_be_focused()
    tab_to(page.get_by_role("button", name="Copy", exact=True))
    tab_to(page.get_by_role("button", name="Download"))
    with page.expect_download():
        page.keyboard.press("Enter")
    tab_to(page.get_by_role("button", name="Play from 0:00"))
    page.evaluate(
        """() => {
          const audio = document.querySelector("audio");
          audio.onseeking = () => (document.body.dataset.sought = audio.currentTime);
        }"""
    )
    page.keyboard.press("ArrowDown")
    expect(focus).to_have_attribute("data-start", f"{words[5]['start']}")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(page.locator("body")).to_have_attribute("data-sought", f"{words[0]['start']}")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Play or pause")
    page.get_by_label("Single keys do this").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()


def tab_to(control: Locator) -> None:
    """Moves the focus on until the control has it."""
    for _ in range(40):
        control.page.keyboard.press("Tab")
        if control.evaluate("(each) => each === document.activeElement"):
            return
    raise AssertionError(f"the focus does not come to {control}")


def test_the_other_scheme_is_one_click_away_and_remembered_and_all_files_are_small(
    page: Page, server: LiveServer
) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    page.reload()
    assert page.evaluate(background) == dark != light
    expect(page.get_by_role("button", name="Light")).to_be_visible()
    expect(page.locator("#about")).not_to_be_empty()
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    sizes = {url: len(httpx.get(url).content) for url in (*loaded, server.url) if "/v1/" not in url}
    assert sum(sizes.values()) < MAX_BYTES, sizes
