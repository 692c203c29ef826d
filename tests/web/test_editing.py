"""A transcript on the page that people change: words, speakers, and what is made of them."""

import csv
import io
import json

from playwright.sync_api import Page, expect

from tests.support.live_server import LiveServer
from tests.web.steps import (
    CALL,
    CLIP,
    STEREO,
    downloaded,
    said,
    transcribe,
    verbose,
    wait_until_kept,
)


def test_edited_words_are_found_undone_kept_and_in_every_download(
    page: Page, server: LiveServer
) -> None:
    transcribe(page, CALL)
    wanted = verbose(server, CALL)
    lines = page.locator("#transcript p")
    first = lines.first.inner_text()
    page.keyboard.press("e")
    lines.first.click()
    page.keyboard.press("End")
    page.keyboard.type(" Really & <truly>.")
    page.keyboard.press("Enter")
    edited = f"{first} Really & <truly>."
    expect(lines.first).to_have_text(edited)
    page.keyboard.press("Control+z")
    expect(lines.first).to_have_text(first)
    page.get_by_role("button", name="Redo").click()
    expect(lines.first).to_have_text(edited)
    page.get_by_role("button", name="Edit").click()
    page.locator("#name").click()
    page.keyboard.press("f")
    page.get_by_label("Find", exact=True).fill("YOUR")
    count = said(page).lower().count("your")
    expect(page.locator("#find-count")).to_have_text(f"1 of {count}")
    page.get_by_label("Replace by").fill("thy")
    page.get_by_role("button", name="Replace all").click()
    expect(page.locator("#find-count")).to_contain_text("Replaced")
    text = said(page)
    assert "your" not in text.lower()
    assert downloaded(page, "txt")[1].decode().split() == text.split()
    assert "Really & <truly>." in downloaded(page, "srt")[1].decode().replace("\n", " ")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").split() == text.split()
    document = json.loads(downloaded(page, "json")[1])
    assert document["duration"] == wanted["duration"]
    kept = [each for each in wanted["words"] if "your" not in each["word"].lower()]
    assert all(each in document["words"] for each in kept), "untouched words keep their times"
    times = [time for each in document["words"] for time in (each["start"], each["end"])]
    assert times == sorted(times)
    assert [each["word"] for each in document["words"]][len(first.split()) :][:1] == ["Really"]
    name, content = downloaded(page, "words")
    assert name == "02_two_voices.words.csv"
    table = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [each["word"] for each in table] == [each["word"] for each in document["words"]]
    wait_until_kept(page, "thy")
    page.reload()
    page.get_by_role("button", name=f"{CALL.name} 0:22").click()
    expect(lines.first).to_be_visible()
    assert said(page) == text


def test_times_of_edited_words_are_shared_and_of_all_others_kept(page: Page) -> None:
    script = """async ([text, edited]) => {
      const words = [["One", 1, 2], ["two", 2, 3], ["three", 3, 4]].map(([word, start, end]) => (
        { word, start, end }
      ));
      const { retimed } = await import("/web/words.js");
      return retimed({ start: 1, end: 4, text, words }, edited).map(
        ({ word, start, end }) => [word, start, end],
      );
    }"""
    one, two, three = ["One", 1, 2], ["two", 2, 3], ["three", 3, 4]
    for edited, wanted in {
        " One, two three.": [one, two, three],
        " One, three.": [one, three],
        " One, 2b three.": [one, ["2b", 2, 3], three],
        " One, ab cd three.": [one, ["ab", 2, 2.5], ["cd", 2.5, 3], three],
        " None, two three.": [["None", 1, 2], two, three],
        " One, two three four.": [one, two, ["three", 3, 3.556], ["four", 3.556, 4]],
        " One, twofold three.": [one, ["twofold", 2, 3], three],
        " ": [],
        " Else": [["Else", 1, 4]],
    }.items():
        assert page.evaluate(script, [" One, two three.", edited]) == wanted, edited


def test_speakers_are_named_merged_and_written_as_the_server_writes_them(
    page: Page, server: LiveServer
) -> None:
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Tell speakers apart").check()
    expect(page.get_by_role("button", name="Options (1)")).to_be_visible()
    transcribe(page, STEREO)
    options = {"extra_body": {"diarize": True}}
    for format_ in ("srt", "vtt"):
        assert downloaded(page, format_)[1].decode() == server.transcribe(
            STEREO, "starter", response_format=format_, **options
        )
    speakers = [each["speaker"] for each in verbose(server, STEREO, **options)["segments"]]
    assert set(speakers) == {"A", "B"}
    page.get_by_label("Name of speaker A").fill("Anna <1>")
    page.keyboard.press("Enter")
    expect(page.locator("#transcript .speaker").nth(speakers.index("A"))).to_have_text("Anna <1>")
    assert "<v Anna &lt;1&gt;>" in downloaded(page, "vtt")[1].decode()
    lines = downloaded(page, "lines")[1].decode().splitlines()
    assert [line.split("] ")[1].split(":")[0] for line in lines] == [
        {"A": "Anna <1>"}.get(each, each) for each in speakers
    ]
    page.get_by_label("B is the same as").select_option("A")
    expect(page.locator("#speaker-list li")).to_have_count(1)
    page.keyboard.press("Control+z")
    expect(page.locator("#speaker-list li")).to_have_count(2)
    page.get_by_role("button", name="As code").click()
    expect(page.locator("#curl-text")).to_contain_text("-F 'diarize=true'")
    python = page.inner_text("#python-text")
    compile(python, "snippet", "exec")
    assert 'extra_body={"diarize":"true"}' in python
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#api-status")).to_have_text("Copied.")
    page.keyboard.press("Escape")
    page.get_by_label("Translate to English").check()
    page.get_by_label("Tell speakers apart").uncheck()
    with page.expect_request("**/v1/audio/translations"):
        page.set_input_files("#file", CLIP)
    expect(page.locator("#status")).to_contain_text("Done")
