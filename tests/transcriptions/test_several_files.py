"""Several recordings in one request."""

import json
from typing import Any

import pytest

from tests.support.client import Recording, post_recordings
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, reference, silence, wav
from tests.support.words import word_errors

NAMES = ["12_short_clip.wav", "09_german.wav", "11_sales_call.mp3", "01_order_call.wav"]
BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))


RECORDINGS: list[Recording] = [FOLDER / name for name in NAMES]


@pytest.mark.parametrize(("field", "names"), [("file", NAMES), ("file[]", NAMES[:2])])
def test_the_answers_come_in_the_order_of_the_files(
    server: LiveServer, field: str, names: list[str]
) -> None:
    recordings: list[Recording] = [FOLDER / name for name in names]
    answer = post_recordings(server.url, recordings, field=field).json()
    assert answer["object"] == "list"
    for name, each in zip(names, answer["data"], strict=True):
        assert word_errors(reference(name), each["text"]) <= BASELINE[name]["errors"]
        assert each["usage"]["type"] == "duration"


def test_a_bad_recording_spoils_only_its_own_answer(server: LiveServer) -> None:
    notes = ("notes.txt", b"This is no recording.")
    answer = post_recordings(server.url, [notes, *RECORDINGS[:2], b""])
    assert answer.status_code == 200
    first, *good, last = answer.json()["data"]
    for refused, words in ((first, "Invalid file format"), (last, "empty")):
        assert refused["error"]["param"] == "file"
        assert refused["error"]["type"] == "invalid_request_error"
        assert words in refused["error"]["message"]
    assert [set(each) for each in good] == [{"text", "usage"}] * 2


def test_the_options_are_those_of_every_file(server: LiveServer) -> None:
    answer = post_recordings(server.url, RECORDINGS, response_format="verbose_json").json()
    assert [each["language"] for each in answer["data"]] == [
        "english",
        "german",
        "english",
        "english",
    ]
    assert all(each["segments"] for each in answer["data"])


@pytest.mark.parametrize(("response_format", "start"), [("srt", "1\n00:00:00,"), ("text", "")])
def test_a_document_is_wrapped_like_a_text(
    server: LiveServer, response_format: str, start: str
) -> None:
    answer = post_recordings(server.url, RECORDINGS[:2], response_format=response_format).json()
    assert [set(each) for each in answer["data"]] == [{"text"}] * 2
    assert answer["data"][0]["text"].startswith(start)


def test_all_files_share_the_batches(server: LiveServer) -> None:
    """Twelve clips of two windows each: a call that serves one file alone has two at most."""

    def figures() -> tuple[float, float]:
        return (
            server.metric('stt_batch_windows_sum{stage="decode"}'),
            server.metric('stt_batch_windows_count{stage="decode"}'),
        )

    before = figures()
    post_recordings(server.url, RECORDINGS[:1] * 12).raise_for_status()
    windows, calls = (now - then for now, then in zip(figures(), before, strict=True))
    assert windows == 24
    assert windows / calls > 2


def test_what_is_wrong_for_all_is_one_error(server: LiveServer) -> None:
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"stream": "true"}, "stream", "unsupported_value"),
        ({"language": "es"}, "language", "invalid_value"),
        ({"temperature": "7"}, "temperature", "invalid_value"),
    ]
    for fields, param, code in wrong:
        answer = post_recordings(server.url, [wav(silence(1.0))], **fields)
        assert answer.status_code == 400
        assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert post_recordings(server.url, []).json()["error"]["param"] is not None
