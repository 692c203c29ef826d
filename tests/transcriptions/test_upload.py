"""Uploads: every container, damaged and broken files, chunks, sizes, and what stays of them."""

import io
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import BadRequestError

from app.engine.fake_model import FakeModel
from tests.support.client import (
    CLIP,
    TRANSCRIPTIONS,
    chunks,
    form,
    post_recording,
    send_and_leave,
)
from tests.support.live_server import LiveServer
from tests.support.recordings import (
    BROKEN,
    DAMAGED,
    FOLDER,
    MEDIA,
    load_sample,
    reference,
    repeat_to,
)
from tests.support.remembering_server import RememberingServer
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until
from tests.support.words import normalise, word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MEDIA)
def test_every_container_and_codec_gives_the_right_words(server: LiveServer, name: str) -> None:
    content = MEDIA[name](load_sample(CLIP.name))
    # The name lies: what counts is the content.
    assert word_errors(reference(CLIP.name), server.transcribe(("upload.bin", content)).text) == 0


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_gives_what_is_left_of_it(server: LiveServer, name: str) -> None:
    sample = "02_two_voices.wav"
    answer = server.post(DAMAGED[name](load_sample(sample)))
    assert answer.status_code == 200
    found = normalise(answer.json()["text"])
    assert len(found) > 20
    assert len(set(found) - set(normalise(reference(sample)))) < 6


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_audio_gets_a_400_that_names_the_reason(server: LiveServer, name: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        server.transcribe((name, BROKEN[name](load_sample(CLIP.name))))
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == "file"
    assert caught.value.request_id
    reason = "|".join(("empty", "short", "Invalid file", "no audio", "corrupted"))
    assert re.search(reason, str(caught.value))


def test_a_chunked_upload_without_length_is_accepted(server: LiveServer) -> None:
    """As openai-node sends a file stream."""
    content, headers = form(("ü.wav", CLIP.read_bytes()), model="gpt-4o-transcribe")
    answer = httpx.post(server.url + TRANSCRIPTIONS, content=chunks(content), headers=headers)
    assert answer.json()["text"] == BASELINE[CLIP.name]["text"]
    assert answer.json()["usage"]["type"] == "tokens"


def test_nothing_is_left_on_disk_and_no_file_stays_open(server: LiveServer, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    long = tmp_path / "long.wav"
    repeat_to(long, load_sample(CLIP.name), 45.0)  # more than 1 MB: shorter ones stay in memory
    with RememberingServer(VERBATIM_AUDIO__SPOOL_DIR=str(spool)) as own:
        own.transcribe(CLIP)
        before = own.open_files
        for content in (long.read_bytes(), BROKEN["random.mp3"](load_sample(CLIP.name)) * 1000):
            own.post(content)
            own.post(content, stream="true")
            own.post(content, response_format="nonsense")
            with long.open("rb") as file:
                events = own.transcribe(file, stream=True)
                next(iter(events))
                events.close()
        body, headers = form(long)
        headers["content-length"] = str(len(body) + 1)

        def is_spooled() -> bool:
            return any(path.startswith(str(spool)) for path in own.open_files)

        wait_until(lambda: not is_spooled())
        send_and_leave(own.url, (body, headers), is_spooled)
        wait_until(lambda: own.open_files == before)
        assert list(spool.iterdir()) == []


def test_an_upload_that_is_too_large_is_refused() -> None:
    with served(fake_app(FakeModel(), audio={"max_upload_bytes": 100_000})) as url:
        answer = post_recording(url, b"x" * 200_000)
        assert answer.status_code == 413
        message = answer.json()["error"]["message"]
        assert re.fullmatch(
            r"Maximum content size limit \(100000\) exceeded \(\d+ bytes read\)", message
        )

        def endless() -> Any:
            for _ in range(40):
                yield b"x" * 10_000

        unannounced = httpx.post(
            url + TRANSCRIPTIONS,
            content=endless(),
            headers={"content-type": "multipart/form-data; boundary=y"},
        )
        assert unannounced.status_code in (400, 413)


def test_audio_given_as_bytes_or_as_a_file_object(server: LiveServer) -> None:
    content = CLIP.read_bytes()
    with CLIP.open("rb") as opened:
        for file in (content, io.BytesIO(content), opened, ("ü 音.wav", content)):
            assert server.transcribe(file).text == BASELINE[CLIP.name]["text"]
