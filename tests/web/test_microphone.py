"""The microphone on the page."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from app.access.keys_file import Holder, dump, new_document, new_key
from tests.support.live_server import LiveServer
from tests.support.recordings import reference
from tests.support.words import word_errors
from tests.web.browser import opened
from tests.web.steps import CLIP, downloaded, give_key, said, transcribe, wait_until_kept


def record(page: Page) -> None:
    page.get_by_role("button", name="Record", exact=True).click()


def say(socket: WebSocketRoute, **event: Any) -> None:
    socket.send(json.dumps(event))


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
    record(page)
    line = page.locator("#transcript li p")
    expect(line).to_have_text("One too late")
    expect(line.locator(".pending")).to_have_text(" late")
    expect(page.locator("#spoken")).to_have_text("One too")
    configuration = json.loads(sent[0])
    assert configuration == {"model": "starter", "language": None, "words": True} | {
        "sample_rate": 16_000
    }
    assert isinstance(sent[1], bytes)
    assert len(sent[1]) == 1600, "50 ms"
    sockets[0].close(code=1011)
    expect(page.locator("#error")).to_contain_text("The connection was lost.")
    expect(line).to_have_text("One too late")
    assert downloaded(page, "txt")[1] == b"One too late\n"
    name, recording = downloaded(page, "sound")
    assert name.endswith(".wav")
    assert recording[44:].startswith(sent[1] + sent[2])
    page.get_by_role("button", name="API key").click()
    give_key(page, "two words")
    record(page)
    expect(page.locator("#error")).to_contain_text("A browser cannot use this key")


def test_where_the_browser_cannot_resample_the_server_does_and_leaving_keeps_the_words(
    page: Page,
) -> None:
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
    sockets: list[WebSocketRoute] = []

    def serve(socket: WebSocketRoute) -> None:
        sockets.append(socket)

        def receive(message: str | bytes) -> None:
            sent.append(message)
            if len(sent) == 1:
                say(socket, type="ready")
            elif len(sent) == 2:
                say(socket, type="partial", id="a", start=0.0, text="Heard", stable="Heard")

        socket.on_message(receive)

    page.route_web_socket("**/stream", serve)
    record(page)
    expect(page.locator("#transcript li p")).to_have_text("Heard")
    rate = json.loads(sent[0])["sample_rate"]
    assert rate == page.evaluate("new AudioContext().sampleRate") > 16_000
    assert len(sent[1]) == pytest.approx(2 * rate / 20, abs=2), "50 ms"
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#status")).to_have_text("Paused")
    elapsed = page.inner_text("#elapsed")
    count = len(sent)
    page.wait_for_timeout(1200)
    assert len(sent) < count + 12, "what the microphone hears is not sent"
    assert page.inner_text("#elapsed") == elapsed
    say(sockets[0], type="final", id="a", start=0.0, end=1.0, text="Heard.")
    expect(page.locator("#transcript li p")).to_have_text("Heard.")
    wait_until_kept(page, "Heard.")
    page.once("dialog", lambda dialog: dialog.accept())  # that leaving ends the recording
    page.reload()
    page.locator("#queue .name").click()
    expect(page.locator("#transcript li p")).to_have_text("Heard.")
    expect(page.locator("#status")).to_have_text("Interrupted")
    expect(page.locator("#error")).to_contain_text("The page was left")


def test_what_is_said_is_shown_at_once_can_be_played_and_transcribed_again_as_a_whole(
    page: Page, server: LiveServer
) -> None:
    record(page)
    expect(page.locator("#transcript li p").first).to_be_visible()
    expect(page.locator("#level")).to_be_visible()
    expect(page.locator("#transcript .word").last).to_have_text("tomorrow")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_contain_text("English")
    assert word_errors(reference(CLIP.name), said(page)) == 0
    live = json.loads(downloaded(page, "json")[1])
    recording = downloaded(page, "sound")[1]
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
    expect(page.locator("#transcript [aria-current]")).to_have_text("working")
    expect(page.locator("#live-offer")).to_be_visible()
    page.get_by_role("button", name="Transcribe again").click()
    expect(page.locator("#queue li")).to_have_count(2)
    expect(page.locator("#live-offer")).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("Done")
    assert word_errors(reference(CLIP.name), said(page)) == 0
    page.reload()
    expect(page.locator("#queue li")).to_have_count(2)
    page.locator("#queue .name").last.click()
    assert word_errors(reference(CLIP.name), said(page)) == 0


@pytest.fixture(scope="module")
def with_key() -> Iterator[LiveServer]:
    """A server that answers to other names than its address, as those with keys do."""
    key, document = new_key(), new_document()
    holder = Holder(name="reader", keys=(document.stored(key, None),))
    keys = dump(document.model_copy(update={"holders": (holder,)}))
    with LiveServer(api_key=key, VERBATIM_ACCESS__KEYS=keys) as live:
        yield live


def test_over_plain_http_copying_works_and_recording_says_what_it_needs(
    browser: Browser, with_key: LiveServer
) -> None:
    with opened(browser, f"http://verbatim.lan:{with_key.port}") as page:
        assert not page.evaluate("isSecureContext")
        give_key(page, with_key.headers["authorization"].removeprefix("Bearer "))
        transcribe(page, CLIP)
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.locator("#status")).to_have_text("Copied.")
        page.evaluate("document.body.append(document.createElement('textarea'))")
        page.locator("body > textarea").focus()
        page.keyboard.press("Control+v")
        assert page.locator("body > textarea").input_value() == said(page).replace("  ", " ")
        record(page)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("A microphone needs https")
        expect(dialog).to_contain_text("subjectAltName=DNS:verbatim.lan")
        dialog.get_by_role("button", name="Close").click()
        expect(page.locator("#queue li")).to_have_count(1)
