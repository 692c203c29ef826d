"""The page at /, in a real browser against a real server: files and their transcripts."""

import random
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.access.keys_file import Holder, dump, new_document, new_key
from app.domain import Segment, Transcript, Word
from app.openai import subtitles
from app.openai.responses import word_body
from tests.support.live_server import LiveServer
from tests.support.recordings import encode, load_sample, reference, silence, wav
from tests.support.words import word_errors
from tests.web.browser import opened
from tests.web.steps import CALL, CLIP, downloaded, drop, give_key, rows, said, transcribe, verbose

KEY = new_key()
TRANSCRIPTIONS = "**/v1/audio/transcriptions"


def test_a_file_is_shown_as_the_api_transcribes_it_and_its_subtitles_are_the_servers(
    page: Page, server: LiveServer
) -> None:
    expect(page.locator("#about")).to_contain_text("not a general speech recogniser")
    assert page.locator("#model option").all_inner_texts() == ["starter"]
    languages = page.locator("#language option").all_inner_texts()
    assert languages == ["Detect", "English", "French", "German"]
    transcribe(page, CALL)
    wanted = verbose(server, CALL)
    assert [each.strip() for each in page.locator("#transcript p").all_inner_texts()] == [
        each["text"].strip() for each in wanted["segments"]
    ]
    words = page.locator("#transcript .word")
    assert words.all_inner_texts() == [each["word"] for each in wanted["words"]]
    for format_ in ("srt", "vtt"):
        name, content = downloaded(page, format_)
        assert name == f"{CALL.stem}.{format_}"
        assert content.decode() == server.transcribe(CALL, "starter", response_format=format_)
    assert downloaded(page, "txt")[1].decode() == f"{wanted['text']}\n"
    status = page.locator("#status").inner_text()
    assert status.startswith(f"Done: {wanted['duration']:.1f} s of audio in ")
    assert status.endswith(", English")


def test_cues_are_cut_as_the_server_cuts_them(page: Page) -> None:
    draw = random.Random(4)
    texts = (" Yes.", " a", " b-->c,", " “Wait,", " you” said", "-known", " a longer word", " (x)")
    segments = [Segment(1.0, 30.0, text, ()) for text in (" ", " 你好。" * 40, "x\ny " * 30)]
    for count in [*range(1, 40), 150]:
        end = draw.uniform(0, 20_000)
        words: list[Word] = []
        for _ in range(count):
            start = round(end + draw.choice((0, 0, 0.1, 0.5)), 3)
            end = round(start + draw.uniform(0.05, 1.2), 3)
            words.append(Word(start, end, draw.choice(texts), 1.0))
        text = "".join(word.text for word in words)
        segments.append(Segment(words[0].start, end, text, (), words=tuple(words)))
    plain = [
        {
            "start": each.start,
            "end": each.end,
            "text": each.text,
            "words": list(map(word_body, each.words)),
        }
        for each in segments
    ]
    transcript = Transcript("transcribe", "en", 1.0, tuple(segments))
    for name, write in (("srt", subtitles.srt), ("vtt", subtitles.vtt)):
        script = f"async (segments) => (await import('/web/subtitles.js')).{name}(segments)"
        assert page.evaluate(script, plain) == write(transcript)
        assert page.evaluate(script, []) == write(Transcript("transcribe", "en", 1.0, ()))


def test_progress_is_that_of_the_upload_and_then_of_the_words(page: Page, tmp_path: Path) -> None:
    """Of seven minutes, so that cancelling is in time."""
    meeting = tmp_path / "meeting.flac"
    meeting.write_bytes(encode(np.tile(load_sample("08_long_call.flac"), 6), "flac", "flac"))
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 6_000_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.evaluate(WATCH_PROGRESS)
    page.set_input_files("#file", meeting)
    expect(page.locator("#transcript li")).not_to_have_count(0)
    expect(page.locator("#elapsed")).to_contain_text("so far")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#status")).to_have_text("Cancelled")
    assert page.locator("#transcript li").count() > 0, "what was heard is kept"
    shares, texts = page.evaluate("[shares, texts]")
    uploading = shares[: shares.index(-1)]
    assert len(uploading) > 3
    assert uploading == sorted(uploading)
    assert 0 <= uploading[0] < 0.5 < uploading[-1]
    assert "Listening, 0:00 of 7:20" in " ".join(texts)
    heard = [text for text in texts if " of " in text and " left" in text]
    assert heard, texts
    assert heard[0].split(" of ")[0] != "0:00"


WATCH_PROGRESS = """() => {
  const [bar, status] = ["#progress", "#status"].map((each) => document.querySelector(each));
  window.shares = [];
  window.texts = [];
  new MutationObserver(() => {
    if (bar.position !== shares.at(-1)) shares.push(bar.position);
  }).observe(bar, { attributeFilter: ["value"] });
  new MutationObserver(() => texts.push(status.textContent)).observe(status, { childList: true });
}"""


def test_twenty_files_survive_a_reload_in_the_middle_and_two_bad_ones(
    page: Page, tmp_path: Path
) -> None:
    clip, speech = CLIP.read_bytes(), load_sample(CLIP.name)
    kinds = [("ogg", "libopus"), ("flac", "flac"), ("mp3", "mp3"), ("webm", "libopus")]
    made = [("wav", clip), *((kind, encode(speech, kind, codec)) for kind, codec in kinds)]
    files = [(f"call {i}.{made[i % 5][0]}", made[i % 5][1]) for i in range(18)]
    files.insert(3, ("letter.txt", b"no recording\n" * 40))
    files.insert(11, ("broken.flac", made[2][1][:2000]))
    page.get_by_label("Keep the sound").evaluate("(each) => each.click()")
    drop(page, files)
    expect(page.locator("#queue li")).to_have_count(20)
    names = page.locator("#queue .title").all_inner_texts()
    assert names == [name for name, _ in files]
    expect(rows(page, "done")).not_to_have_count(0)
    page.wait_for_function(ALL_KEPT)
    page.reload()
    expect(page.locator("#queue li")).to_have_count(20)
    assert page.locator("#queue .title").all_inner_texts() == names
    expect(rows(page, "done")).to_have_count(18)
    expect(rows(page, "failed")).to_have_count(2)
    errors = rows(page, "failed").locator(".status").all_inner_texts()
    for error in errors:
        assert error.startswith("No sound was found in this file. Verbatim reads wav, mp3, m4a")
    for name in ("call 0.wav", "call 17.flac"):
        page.get_by_role("button", name=re.compile(f"^{name} 0:05")).click()
        expect(page.locator("#transcript li")).not_to_have_count(0)
        assert word_errors(reference(CLIP.name), said(page)) <= 1
        expect(page.locator("audio")).to_be_visible()
    page.get_by_role("button", name="Delete call 17.flac").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#recording")).to_be_hidden()
    expect(page.locator("#queue li")).to_have_count(19)
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    expect(page.locator("#recordings")).to_be_hidden()
    page.reload()
    expect(page.locator("#about")).not_to_be_empty()
    expect(page.locator("#queue li")).to_have_count(0)


ALL_KEPT = """() => new Promise((resolve) => {
  indexedDB.open("verbatim", 1).onsuccess = ({ target: { result } }) => {
    const count = result.transaction("sounds").objectStore("sounds").count();
    count.onsuccess = () => {
      result.close();
      resolve(count.result === 20);
    };
  };
})"""


def test_without_the_sound_a_reload_keeps_words_and_asks_for_unfinished_files_again(
    page: Page,
) -> None:
    transcribe(page, CLIP)
    page.route(TRANSCRIPTIONS, lambda route: None)  # is never answered
    page.set_input_files("#file", CALL)
    expect(rows(page, "running")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())  # that leaving loses something
    page.reload()
    page.unroute(TRANSCRIPTIONS)
    expect(rows(page, "done")).to_have_count(1)
    page.get_by_role("button", name=re.compile(f"^{CLIP.name} 0:05")).click()
    assert word_errors(reference(CLIP.name), said(page)) == 0
    expect(page.locator("#missing")).to_contain_text("not kept in this browser")
    expect(page.locator("audio")).to_have_count(0)
    expect(rows(page, "lost")).to_contain_text("its file is needed again")
    page.set_input_files("#file", CALL)
    expect(rows(page, "done")).to_have_count(2)
    expect(page.locator("#queue li")).to_have_count(2)
    assert word_errors(reference(CALL.name), said(page)) <= 20


def test_the_word_is_marked_that_is_being_said(page: Page, server: LiveServer) -> None:
    transcribe(page, CLIP)
    words = verbose(server, CLIP)["words"]
    marked = page.locator("#transcript [aria-current]")
    for word in (words[3], words[-1], words[0]):
        middle = (word["start"] + word["end"]) / 2
        page.evaluate(f"document.querySelector('audio').currentTime = {middle}")
        expect(marked).to_have_text(word["word"])
    page.select_option("#speed", "2")
    page.evaluate(WATCH)
    page.locator(".word", has_text="call").click()
    expect(page.locator("body")).to_have_attribute("data-ended", "true")
    marks = page.evaluate("marks")
    by_start = {word["start"]: word for word in words}
    assert by_start[marks[0][0]]["word"] == "call"
    assert len(marks) > 1
    for start, played in marks:
        assert start <= played <= by_start[start]["end"]
    assert page.evaluate("document.querySelector('audio').playbackRate") == 2


WATCH = """() => {
  const audio = document.querySelector("audio");
  window.marks = [];
  new MutationObserver((changes) => {
    for (const { target } of changes.filter(({ target }) => target.ariaCurrent)) {
      marks.push([Number(target.dataset.start), audio.currentTime]);
    }
  }).observe(document.querySelector("#transcript"), {
    attributeFilter: ["aria-current"], subtree: true,
  });
  audio.onended = () => (document.body.dataset.ended = "true");
}"""
"""Notes the start of each word that is marked, and where the playback is."""


def test_a_busy_server_is_asked_again_when_it_says_and_nothing_plays_under_an_error(
    page: Page, tmp_path: Path
) -> None:
    refusals = iter([503, 429, *[503] * 6])

    def refuse(route: Route) -> None:
        status = next(refusals, None)
        if status is None:
            route.continue_()
            return
        body = {"error": {"message": f"Not now, says {status}.", "type": "server_error"}}
        route.fulfill(status=status, json=body, headers={"retry-after": "0.1"})

    page.route(TRANSCRIPTIONS, refuse)
    page.set_input_files("#file", CLIP)
    expect(page.locator("#error")).to_have_text("Not now, says 503. Try again in 0.1 s.")
    expect(page.locator("audio")).to_have_count(0)
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator("#status")).to_contain_text("Done")
    assert next(refusals, None) is None
    (tmp_path / "silence.wav").write_bytes(wav(silence(1.0)))
    page.set_input_files("#file", tmp_path / "silence.wav")
    expect(page.locator("#status")).to_have_text("Done: no speech was heard.")
    expect(rows(page, "done")).to_have_count(2)


# --- keys and limits -------------------------------------------------------------------------


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


def test_languages_have_names_and_one_alone_is_not_detected(page: Page) -> None:
    def cards(route: Route) -> None:
        card = route.fetch().json()["data"][0]
        english = {**card, "id": "english", "root": "english", "languages": ["en"]}
        others = {**card, "id": "others", "root": "others", "languages": ["bo", "ba", "haw"]}
        route.fulfill(json={"data": [english, others]})

    page.route("**/v1/models", cards)
    page.reload()
    options = page.locator("#language option")
    expect(options).to_have_text(["English"])
    page.select_option("#model", "others")
    expect(options).to_have_text(["Detect", "Bashkir", "Hawaiian", "Tibetan"])


def stored(page: Page) -> list[str | None]:
    """The key that this tab keeps, and that which this browser keeps."""
    stores: list[str | None] = page.evaluate(
        "[sessionStorage, localStorage].map((each) => each.getItem('verbatim.key'))"
    )
    return stores


def test_a_key_is_asked_for_until_it_fits_and_never_stands_in_an_address(
    browser: Browser, guarded: LiveServer
) -> None:
    addresses = []
    with opened(browser, guarded.url) as page:
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        expect(page.locator("#key-reason")).to_have_text("This server needs an API key.")
        page.keyboard.press("Escape")
        expect(page.locator("#alert")).to_contain_text("API key")
        page.get_by_role("button", name="API key").click()
        give_key(page, "a wrong key")
        expect(page.locator("#key-reason")).to_contain_text("Incorrect API key")
        give_key(page, KEY)
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#alert")).to_be_hidden()
        transcribe(page, CLIP)
        assert word_errors(reference(CLIP.name), said(page)) == 0
        assert stored(page) == [KEY, None]
        page.get_by_role("button", name="API key").click()
        with page.expect_response("**/v1/models"):
            give_key(page, KEY, remember=True)
        assert stored(page) == [None, KEY]
        page.reload()
        expect(page.locator("#about")).not_to_be_empty()
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator("#status")).to_have_text("Speak now")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
        page.set_input_files("#file", CALL)
        megabytes = partial("{:.1f} MB".format)
        expect(page.locator("#error")).to_contain_text(
            f"This file is {megabytes(CALL.stat().st_size / 1024**2)}, the limit here is 0.1 MB."
        )
    assert {url.rpartition("/")[2] for url in addresses} >= {"models", "transcriptions", "stream"}
    assert not any(KEY in url for url in addresses)
    assert sum(url.endswith("/transcriptions") for url in addresses) == 1, "the other was too large"
