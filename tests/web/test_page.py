"""The page at /, in a real browser against a real server."""

import base64
import json
import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, Route, WebSocketRoute, expect

from app.access.keys_file import Holder, dump, new_document, new_key
from app.domain import Segment, Transcript
from app.openai import subtitles
from app.openai.cues import CueSize
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, reference, silence, wav
from tests.support.words import word_errors
from tests.web.browser import chromium, opened

CLIP = FOLDER / "12_short_clip.wav"
CALL = FOLDER / "02_two_voices.wav"
WHOLE_SEGMENTS = CueSize(10_000, 1, math.inf)
"""The page has a cue for each segment."""
KEY = new_key()
TRANSCRIPTIONS = "**/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(microphone=CLIP) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: LiveServer) -> Iterator[Page]:
    with opened(browser, server.url) as page:
        yield page


def transcribe(page: Page, file: Path) -> None:
    page.set_input_files("#file", file)
    expect(page.locator("#status")).to_contain_text("Done")


def verbose(server: LiveServer, file: Path) -> Any:
    """The document that the API gives for a file."""
    return server.transcribe(
        file,
        "starter",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    ).to_dict()


def downloaded(page: Page, button: str) -> Download:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value


def content(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


# --- a file ----------------------------------------------------------------------------------


def test_it_shows_what_the_model_is_before_anything_is_transcribed(page: Page) -> None:
    expect(page.locator("#about")).to_contain_text("not a general speech recogniser")
    assert page.locator("#model option").all_inner_texts() == ["starter"]
    assert page.locator("#language option").all_inner_texts() == [
        "Detect",
        "English",
        "French",
        "German",
    ]


def test_a_file_is_shown_as_the_api_transcribes_it_and_saved_to_the_byte(
    page: Page, server: LiveServer
) -> None:
    transcribe(page, CALL)
    wanted = verbose(server, CALL)
    assert [each.strip() for each in page.locator("#transcript p").all_inner_texts()] == [
        each["text"].strip() for each in wanted["segments"]
    ]
    words = page.locator("#transcript .word")
    assert words.all_inner_texts() == [each["word"] for each in wanted["words"]]
    segments = [
        Segment(each["start"], each["end"], each["text"], ()) for each in wanted["segments"]
    ]
    transcript = Transcript("transcribe", "en", wanted["duration"], tuple(segments))
    written: dict[str, Callable[[Transcript], str]] = {
        "txt": subtitles.text,
        "srt": partial(subtitles.srt, size=WHOLE_SEGMENTS),
        "vtt": partial(subtitles.vtt, size=WHOLE_SEGMENTS),
    }
    for name, write in written.items():
        download = downloaded(page, name)
        assert content(download) == write(transcript).encode()
        assert download.suggested_filename == f"{CALL.stem}.{name}"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == wanted["text"]
    saved = json.loads(content(downloaded(page, "json")))
    assert {key: saved[key] for key in ("language", "duration", "text", "words")} == {
        key: wanted[key] for key in ("language", "duration", "text", "words")
    }
    assert [(each["start"], each["end"]) for each in saved["segments"]] == [
        (each["start"], each["end"]) for each in wanted["segments"]
    ]


def test_an_upload_shows_how_far_it_is(page: Page) -> None:
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.evaluate(
        """() => {
          const progress = document.querySelector("#progress");
          window.shares = [];
          new MutationObserver(() => shares.push(progress.position)).observe(
            progress, { attributeFilter: ["value"] },
          );
        }"""
    )
    transcribe(page, FOLDER / "01_order_call.wav")
    shares = page.evaluate("shares")
    uploading = [share for share in shares if share != -1]
    assert len(uploading) > 3
    assert uploading == sorted(uploading)
    assert 0 <= uploading[0] < 0.5 < uploading[-1] < 1
    assert shares[-1] == -1, "while it is transcribed, its share is not known"
    expect(page.locator("#progress")).to_be_hidden()


def test_text_is_shown_while_the_rest_is_still_being_heard(page: Page, server: LiveServer) -> None:
    page.set_input_files("#file", FOLDER / "08_long_call.flac")
    expect(page.locator("#transcript li")).not_to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_have_text("Cancelled.")
    assert page.locator("#transcript li").count() > 0


def test_the_word_is_marked_that_is_being_said(page: Page, server: LiveServer) -> None:
    transcribe(page, CLIP)
    words = verbose(server, CLIP)["words"]
    marked = page.locator("[aria-current]")
    for word in (words[3], words[-1], words[0]):
        middle = (word["start"] + word["end"]) / 2
        page.evaluate(f"document.querySelector('audio').currentTime = {middle}")
        expect(marked).to_have_text(word["word"])
    page.evaluate(WATCH)
    page.locator(".word", has_text="call").click()
    expect(page.locator("body")).to_have_attribute("data-ended", "true")
    marks = page.evaluate("marks")
    by_start = {word["start"]: word for word in words}
    assert by_start[marks[0][0]]["word"] == "call"
    assert len(marks) > 1
    for start, played in marks:
        assert start <= played <= by_start[start]["end"]


WATCH = """() => {
  const audio = document.querySelector("audio");
  window.marks = [];
  new MutationObserver((changes) => {
    for (const { target } of changes.filter(({ target }) => target.ariaCurrent)) {
      marks.push([Number(target.dataset.start), audio.currentTime]);
    }
  }).observe(document.body, { attributeFilter: ["aria-current"], subtree: true });
  audio.onended = () => (document.body.dataset.ended = "true");
}"""
"""Notes the start of each word that is marked, and where the playback is."""


def test_subtitles_are_written_as_the_server_writes_them(page: Page) -> None:
    draw = random.Random(4)
    texts = [" Yes.", "a --> b ", " ", " 你好。", "x\ny"]
    starts = [0.0, 59.9996, 3599.9999, *(draw.uniform(0, 20_000) for _ in range(200))]
    segments = [Segment(at, at + draw.uniform(0, 30), draw.choice(texts), ()) for at in starts]
    transcript = Transcript("transcribe", "en", 1.0, tuple(segments))
    plain = [
        {"start": round(each.start, 3), "end": round(each.end, 3), "text": each.text}
        for each in segments
    ]
    for name, written in (("srt", subtitles.srt), ("vtt", subtitles.vtt)):
        script = f"async (segments) => (await import('/web/subtitles.js')).{name}(segments)"
        assert page.evaluate(script, plain) == written(transcript, WHOLE_SEGMENTS)
        assert page.evaluate(script, []) == written(Transcript("transcribe", "en", 1.0, ()))


def test_a_dropped_file_is_transcribed(page: Page) -> None:
    transfer = page.evaluate_handle(
        """(encoded) => {
          const bytes = Uint8Array.from(atob(encoded), (each) => each.charCodeAt());
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.wav"));
          return transfer;
        }""",
        base64.b64encode(CLIP.read_bytes()).decode(),
    )
    page.dispatch_event("h1", "dragover", {"dataTransfer": transfer})
    page.dispatch_event("h1", "drop", {"dataTransfer": transfer})
    expect(page.locator("#status")).to_contain_text("Done")
    assert word_errors(reference(CLIP.name), page.inner_text("#transcript")) == 0


def test_silence_and_what_is_no_recording_are_shown_in_words(page: Page, tmp_path: Path) -> None:
    (tmp_path / "silence.wav").write_bytes(wav(silence(1.0)))
    page.set_input_files("#file", tmp_path / "silence.wav")
    expect(page.locator("#status")).to_have_text("No speech was heard.")
    (tmp_path / "song.mp3").write_bytes(b"this is no song\n" * 40)
    page.set_input_files("#file", tmp_path / "song.mp3")
    expect(page.get_by_role("alert")).to_contain_text("file")


# --- refusals --------------------------------------------------------------------------------


def test_a_busy_server_is_asked_once_more_when_it_says(page: Page) -> None:
    refusals = iter([503, 429, 503])

    def refuse(route: Route) -> None:
        status = next(refusals, None)
        if status is None:
            route.continue_()
            return
        body = {"error": {"message": f"Not now, says {status}.", "type": "server_error"}}
        route.fulfill(status=status, json=body, headers={"retry-after": "1"})

    page.route(TRANSCRIPTIONS, refuse)
    page.set_input_files("#file", CLIP)
    expect(page.locator("#status")).to_contain_text("Trying again in 1 s")
    expect(page.get_by_role("alert")).to_have_text("Not now, says 429. Try again in 1 s.")
    transcribe(page, CLIP)
    assert next(refusals, None) is None


@pytest.fixture(scope="module")
def guarded() -> Iterator[LiveServer]:
    """A server that wants a key and takes small files only."""
    document = new_document()
    holder = Holder(name="reader", keys=(document.stored(KEY, None),))
    keys = dump(document.model_copy(update={"holders": (holder,)}))
    limit = str(CLIP.stat().st_size + 1024)
    with LiveServer(
        api_key=KEY, VERBATIM_ACCESS__KEYS=keys, VERBATIM_AUDIO__MAX_UPLOAD_BYTES=limit
    ) as live:
        yield live


def give_key(page: Page, key: str, *, remember: bool = False) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_label("Remember").set_checked(remember)
    page.get_by_role("button", name="Use this key").click()


def stored(page: Page) -> list[dict[str, str]]:
    """What this tab keeps, and what this browser keeps."""
    stores = page.evaluate("[sessionStorage, localStorage].map((each) => JSON.stringify(each))")
    return [json.loads(each) for each in stores]


def test_a_key_is_asked_for_until_it_fits_and_never_stands_in_an_address(
    browser: Browser, guarded: LiveServer
) -> None:
    addresses = []
    with opened(browser, guarded.url) as page:
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        expect(page.get_by_role("dialog")).to_be_visible()
        give_key(page, "a wrong key")
        expect(page.locator("#key-reason")).to_contain_text("Incorrect API key")
        give_key(page, KEY)
        expect(page.get_by_role("dialog")).to_be_hidden()
        transcribe(page, CLIP)
        assert word_errors(reference(CLIP.name), page.inner_text("#transcript")) == 0
        assert stored(page) == [{"verbatim.key": KEY}, {}]
        page.get_by_role("button", name="API key").click()
        with page.expect_response("**/v1/models"):
            give_key(page, KEY, remember=True)
        assert stored(page) == [{}, {"verbatim.key": KEY}]
        page.reload()
        expect(page.locator("#about")).not_to_be_empty()
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator("#status")).to_have_text("Speak now.")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
    assert {url.rpartition("/")[2] for url in addresses} >= {"models", "transcriptions", "stream"}
    assert not any(KEY in url for url in addresses)


def test_a_key_that_no_socket_can_send_is_shown_in_words(page: Page) -> None:
    page.get_by_role("button", name="API key").click()
    give_key(page, "two words")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("A browser cannot use this key")


def test_without_a_key_the_refusal_is_shown(browser: Browser, guarded: LiveServer) -> None:
    with opened(browser, guarded.url) as page:
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("alert")).to_contain_text("API key")
        page.get_by_role("button", name="API key").click()
        give_key(page, KEY)
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_file_over_the_limit_is_refused_before_its_upload_once_the_limit_is_known(
    browser: Browser, guarded: LiveServer
) -> None:
    uploads = []
    with opened(browser, guarded.url) as page:
        give_key(page, KEY)
        page.on("request", lambda request: uploads.append(request.method))
        page.set_input_files("#file", CALL)
        expect(page.get_by_role("alert")).to_contain_text("Maximum content size limit")
        assert uploads.count("POST") == 1
        page.set_input_files("#file", CALL)
        expect(page.get_by_role("alert")).to_contain_text("MiB that this server takes")
        assert uploads.count("POST") == 1


# --- the microphone --------------------------------------------------------------------------


def test_scripted_speech_is_pending_then_stable_and_read_out_once(page: Page) -> None:
    sent: list[Any] = []
    sockets: list[WebSocketRoute] = []

    def serve(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.on_message(lambda message: answer(socket, message))

    def answer(socket: WebSocketRoute, message: str | bytes) -> None:
        sent.append(message)
        if len(sent) == 1:
            say(socket, type="ready")
            say(socket, type="partial", id="a", start=0.4, text="One two", stable="One")
        elif len(sent) == 3:
            say(socket, type="partial", id="a", start=0.4, text="One too late", stable="One too")

    page.route_web_socket("**/stream", serve)
    page.get_by_role("button", name="Record", exact=True).click()
    line = page.locator("#transcript li p")
    expect(line).to_have_text("One too late")
    expect(line.locator(".pending")).to_have_text(" late")
    assert page.locator("#spoken").inner_text().split() == ["One", "too"]
    configuration = json.loads(sent[0])
    assert configuration == {"model": "starter", "language": None, "words": True} | {
        "sample_rate": 16_000
    }
    assert isinstance(sent[1], bytes)
    assert len(sent[1]) == 1600, "50 ms"
    sockets[0].close(code=1011)
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost.")
    expect(line).to_have_text("One too late")
    assert content(downloaded(page, "txt")) == b"One too late\n"
    recording = content(downloaded(page, "Recording (wav)"))
    assert recording[44:].startswith(sent[1] + sent[2])


def test_where_the_browser_cannot_resample_the_server_does(page: Page) -> None:
    page.evaluate(
        """() => {
          // As Firefox refuses it.
          const create = AudioContext.prototype.createMediaStreamSource;
          AudioContext.prototype.createMediaStreamSource = function (stream) {
            if (this.sampleRate === 16_000) throw new DOMException("", "NotSupportedError");
            return create.call(this, stream);
          };
        }"""
    )
    sent: list[Any] = []

    def serve(socket: WebSocketRoute) -> None:
        def receive(message: str | bytes) -> None:
            sent.append(message)
            if len(sent) == 1:
                say(socket, type="ready")
            elif len(sent) == 2:
                say(socket, type="partial", id="a", start=0.0, text="Heard", stable="Heard")

        socket.on_message(receive)

    page.route_web_socket("**/stream", serve)
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#transcript li p")).to_have_text("Heard")
    rate = json.loads(sent[0])["sample_rate"]
    assert rate == page.evaluate("new AudioContext().sampleRate") > 16_000
    assert len(sent[1]) == pytest.approx(2 * rate / 20, abs=2), "50 ms"


def test_what_is_said_is_shown_at_once_and_can_be_played_and_saved(
    page: Page, server: LiveServer
) -> None:
    page.get_by_role("button", name="Record", exact=True).click()
    lines = page.locator("#transcript li p")
    expect(lines.first).to_be_visible()
    expect(page.locator("#level")).to_be_visible()
    expect(page.locator("#transcript .word").last).to_have_text("tomorrow")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_contain_text("heard as english")
    assert word_errors(reference(CLIP.name), page.inner_text("#transcript")) == 0
    live = json.loads(content(downloaded(page, "json")))
    recording = content(downloaded(page, "Recording (wav)"))
    assert live["duration"] == pytest.approx((len(recording) - 44) / 2 / 16_000)
    again = server.client.audio.transcriptions.create(
        file=recording,
        model="starter",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert again.words is not None
    assert [each["word"] for each in live["words"]] == [each.word for each in again.words]
    for word, other in zip(live["words"], again.words, strict=True):
        assert word["start"] == pytest.approx(other.start, abs=0.3)
    middle = (live["words"][4]["start"] + live["words"][4]["end"]) / 2
    page.evaluate(f"document.querySelector('audio').currentTime = {middle}")
    expect(page.locator("[aria-current]")).to_have_text("working")


def say(socket: WebSocketRoute, **event: Any) -> None:
    socket.send(json.dumps(event))


# --- for everybody ---------------------------------------------------------------------------


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, server: LiveServer) -> None:
    words = verbose(server, CLIP)["words"]
    focus = page.locator(":focus")
    with page.expect_file_chooser() as chooser:
        tab_to(page.get_by_label("Choose a recording"))
        page.keyboard.press("Enter")
    chooser.value.set_files(CLIP)
    expect(page.locator("#status")).to_contain_text("Done")
    expect(page.get_by_label("Choose a recording")).to_be_focused()
    tab_to(page.get_by_role("button", name="Copy"))
    tab_to(page.get_by_role("button", name="json"))
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


def tab_to(control: Locator) -> None:
    """Moves the focus on until the control has it."""
    for _ in range(30):
        control.page.keyboard.press("Tab")
        if control.evaluate("(each) => each === document.activeElement"):
            return
    raise AssertionError(f"the focus does not come to {control}")


def test_every_control_has_a_name(page: Page) -> None:
    transcribe(page, CLIP)
    for locator in ("button:visible", "select", "audio", "#progress", "#level", "input"):
        for control in page.locator(locator).all():
            assert control.evaluate(
                "(each) => each.getAttribute('aria-label') || each.labels?.[0]?.textContent.trim()"
                " || each.textContent.trim()"
            ), control


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_and_a_narrow_phone_needs_no_sideways_scrolling(
    browser: Browser, server: LiveServer, scheme: Any
) -> None:
    size = {"width": 320, "height": 568}
    with opened(browser, server.url, color_scheme=scheme, viewport=size) as page:
        transcribe(page, CLIP)
        page.evaluate("document.querySelector('audio').currentTime = 0.5")
        expect(page.locator("[aria-current]")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        ratios = page.evaluate(CONTRASTS)
        assert len(ratios) > 20
        assert {text: ratio for text, ratio in ratios if ratio < 4.5} == {}


CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => channels(color).slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const ratio = (element) => {
    const both = [getComputedStyle(element).color, behind(element)].map(luminance);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  return [...document.querySelectorAll("h1, p, button, select, label, span")]
    .filter((element) => element.checkVisibility() && element.textContent.trim())
    .map((element) => [element.textContent.trim().slice(0, 40), ratio(element)]);
}"""
"""WCAG 2's contrast of each text with what is behind it."""


def test_the_other_scheme_is_one_click_away_and_remembered(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    page.reload()
    assert page.evaluate(background) == dark != light
    expect(page.get_by_role("button", name="Light")).to_be_visible()
