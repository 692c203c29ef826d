"""The product through the official SDK, on real speech."""

import asyncio
import io
import json
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from tests.support.live_server import LiveServer, wait_until
from tests.support.recordings import (
    BROKEN,
    DAMAGED,
    FOLDER,
    MEDIA,
    load_sample,
    noise,
    reference,
    repeat_to,
    silence,
    wav,
)
from tests.support.words import normalise, word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))
# Without the one of three minutes: tests/pipeline/test_long_recordings.py has longer ones.
SPOKEN = [name for name, figures in BASELINE.items() if 0 < figures["words"] < 300]
MIXED = "15_english_then_german.wav"
CLIP = "12_short_clip.wav"


def transcribe(server: LiveServer, file: Any, **options: Any) -> Any:
    return server.client.audio.transcriptions.create(file=file, model="whisper-1", **options)


def post(server: LiveServer, content: bytes, **fields: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        files={"file": ("upload", content)},
        data={"model": "whisper-1", **fields},
        timeout=60,
    )


def cue_text(subtitles: str) -> str:
    """What an srt or vtt document says."""
    return " ".join(
        line
        for line in subtitles.splitlines()
        if line and not line.isdecimal() and "-->" not in line and line != "WEBVTT"
    )


@pytest.fixture(scope="module")
def heard(server: LiveServer) -> Callable[[str], Any]:
    """The answer for a sample with the times of its segments and words, asked for once."""

    @cache
    def ask(name: str) -> Any:
        times = ["word", "segment"]
        return transcribe(
            server, FOLDER / name, response_format="verbose_json", timestamp_granularities=times
        )

    return ask


# The first window speaks for the whole of a mixed one unless it has candidates, as further below.
@pytest.mark.parametrize("name", [name for name in SPOKEN if name != MIXED])
def test_it_hears_at_least_as_well_as_faster_whisper_directly(
    heard: Callable[[str], Any], name: str
) -> None:
    assert word_errors(reference(name), heard(name).text) <= BASELINE[name]["errors"]


@pytest.mark.parametrize("name", ["01_order_call.wav", "09_german.wav", "13_stereo_call.m4a"])
def test_every_format_says_the_same(server: LiveServer, name: str) -> None:
    texts = [
        transcribe(server, FOLDER / name).text,
        transcribe(server, FOLDER / name, response_format="text").strip(),
        transcribe(server, FOLDER / name, response_format="verbose_json").text,
        cue_text(transcribe(server, FOLDER / name, response_format="srt")),
        cue_text(transcribe(server, FOLDER / name, response_format="vtt")),
    ]
    events = list(transcribe(server, FOLDER / name, stream=True))
    texts.append("".join(each.delta for each in events if each.type.endswith("delta")))
    texts.append(events[-1].text)
    assert len({tuple(normalise(text)) for text in texts}) == 1
    assert texts[-1] == texts[-2] == texts[0]


@pytest.mark.parametrize("name", SPOKEN)
def test_times_lie_inside_the_recording_and_never_run_backwards(
    heard: Callable[[str], Any], name: str
) -> None:
    answer = heard(name)
    segments = [time for each in answer.segments for time in (each.start, each.end)]
    words = [time for each in answer.words for time in (each.start, each.end)]
    for times in (segments, words):
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] <= answer.duration
    said = "".join(each.text for each in answer.segments)
    assert normalise(" ".join(each.word for each in answer.words)) == normalise(said)


@pytest.mark.parametrize("name", ["01_order_call.wav", "08_long_call.flac", "11_sales_call.mp3"])
def test_segments_begin_and_end_where_the_speech_does(
    heard: Callable[[str], Any], name: str
) -> None:
    answer = heard(name)
    spoken = json.loads((FOLDER / name).with_suffix(".segments.json").read_text())
    errors = []
    for each in spoken:
        nearest = min(answer.segments, key=lambda found: abs(found.start - each["start"]))
        errors += [abs(nearest.start - each["start"]), abs(nearest.end - each["end"])]
    assert sorted(errors)[len(errors) // 2] < 0.15


@pytest.mark.parametrize(
    "name",
    ["01_order_call.wav", "12_short_clip.wav", "14_telephone_mulaw.wav", "16_voice_note.webm"],
)
def test_words_begin_when_they_are_said(server: LiveServer, name: str) -> None:
    answer = transcribe(
        server,
        FOLDER / name,
        response_format="verbose_json",
        timestamp_granularities=["word"],
        language="en",
    )
    spoken = json.loads((FOLDER / name).with_suffix(".words.json").read_text(encoding="utf-8"))
    assert normalise(" ".join(word.word for word in answer.words)) == normalise(reference(name))
    errors = [
        abs(heard.start - said["start"]) for heard, said in zip(answer.words, spoken, strict=True)
    ]
    assert sorted(errors)[len(errors) // 2] < 0.12


async def test_alone_sixteen_at_once_and_mixed_give_the_same_texts(server: LiveServer) -> None:
    """Languages, prompts, temperatures and formats beside each other: nothing may leak."""
    async with server.async_client as client:
        await check_a_crowd(client)


async def check_a_crowd(client: AsyncOpenAI) -> None:
    names = [CLIP, "01_order_call.wav", "09_german.wav", "14_telephone_mulaw.wav"]

    async def heard(name: str, **options: Any) -> str:
        answer = await client.audio.transcriptions.create(
            file=FOLDER / name, model="whisper-1", **options
        )
        return answer if isinstance(answer, str) else answer.text

    alone = {name: await heard(name) for name in names}
    prompted = {name: await heard(name, prompt="Hello, this is Anna.") for name in names}

    crowd = await asyncio.gather(*(heard(name) for name in names * 4))
    assert crowd == [alone[name] for name in names * 4]

    plain, with_prompt, others = [], [], []
    for name in names * 2:
        plain.append(heard(name))
        with_prompt.append(heard(name, prompt="Hello, this is Anna."))
        others.append(heard(name, temperature=0.8, language="de"))
        others.append(heard(name, response_format="srt", prompt="Guten Tag"))
        others.append(heard(name, extra_body={"languages": ["de", "en"]}))
    results = await asyncio.gather(*plain, *with_prompt, *others)
    assert results[:8] == [alone[name] for name in names * 2]
    assert results[8:16] == [prompted[name] for name in names * 2]


@pytest.mark.parametrize("name", MEDIA)
def test_every_container_and_codec_gives_the_right_words(server: LiveServer, name: str) -> None:
    content = MEDIA[name](load_sample(CLIP))
    # The name lies: what counts is the content.
    assert word_errors(reference(CLIP), transcribe(server, ("upload.bin", content)).text) == 0


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_gives_what_is_left_of_it(server: LiveServer, name: str) -> None:
    sample = "02_two_voices.wav"
    answer = post(server, DAMAGED[name](load_sample(sample)))
    assert answer.status_code == 200
    heard = normalise(answer.json()["text"])
    assert len(heard) > 20
    assert len(set(heard) - set(normalise(reference(sample)))) < 6


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_audio_gets_a_400_that_names_the_reason(server: LiveServer, name: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        transcribe(server, (name, BROKEN[name](load_sample(CLIP))))
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == "file"
    assert caught.value.request_id
    reason = "|".join(("empty", "short", "Invalid file", "no audio", "corrupted"))
    assert re.search(reason, str(caught.value))


@pytest.mark.parametrize(
    "samples", [silence(35.0), noise(5.0, 0.02)], ids=["35 s of silence", "5 s of noise"]
)
@pytest.mark.parametrize(
    ("response_format", "expected"),
    [("text", "\n"), ("srt", ""), ("vtt", "WEBVTT\n\n")],
)
def test_where_nobody_speaks_the_answer_is_empty_and_200(
    server: LiveServer, samples: Any, response_format: str, expected: str
) -> None:
    assert transcribe(server, wav(samples), response_format=response_format) == expected
    assert transcribe(server, wav(samples)).text == ""
    verbose = transcribe(server, wav(samples), response_format="verbose_json")
    assert verbose.segments == []
    assert [event.type for event in transcribe(server, wav(samples), stream=True)] == [
        "transcript.text.done"
    ]


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_every_answer_passes_the_sdks_strict_validation(server: LiveServer, model: str) -> None:
    with OpenAI(
        base_url=f"{server.url}/v1", api_key="any key", _strict_response_validation=True
    ) as strict:
        create = strict.audio.transcriptions.create
        assert create(file=FOLDER / CLIP, model=model).text == BASELINE[CLIP]["text"]
        if model == "whisper-1":
            assert create(
                file=FOLDER / CLIP,
                model=model,
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            ).words
        events = list(create(file=FOLDER / CLIP, model=model, stream=True))
        assert events[-1].type == "transcript.text.done"
        assert "starter" in [each.id for each in strict.models.list()]


def test_json_to_the_byte(server: LiveServer) -> None:
    answer = post(server, (FOLDER / CLIP).read_bytes())
    text = BASELINE[CLIP]["text"]
    assert answer.content.decode() == (
        f'{{"text":"{text}","usage":{{"type":"duration","seconds":5}}}}'
    )
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert int(answer.headers["openai-processing-ms"]) > 0
    assert answer.headers["openai-version"] == "2020-10-01"


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_texts_are_plain_text(server: LiveServer, response_format: str) -> None:
    answer = post(server, (FOLDER / CLIP).read_bytes(), response_format=response_format)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_stream_of_verbose_json_has_the_times_of_the_document(server: LiveServer) -> None:
    """As extra keys, which the SDK passes on."""
    wanted = {
        "response_format": "verbose_json",
        "timestamp_granularities": ["word", "segment"],
    }
    recording = FOLDER / "02_two_voices.wav"
    whole = transcribe(server, recording, **wanted)
    *deltas, done = [
        event.to_dict() for event in transcribe(server, recording, stream=True, **wanted)
    ]
    assert [(each["start"], each["end"], each["delta"].strip()) for each in deltas] == [
        (each.start, each.end, each.text.strip()) for each in whole.segments
    ]
    assert [word for each in deltas for word in each["words"]] == [
        word.to_dict() for word in whole.words
    ]
    assert (done["language"], done["duration"]) == (whole.language, whole.duration)


def test_a_stream_is_data_lines_of_json_and_nothing_else(server: LiveServer) -> None:
    answer = post(server, (FOLDER / "02_two_voices.wav").read_bytes(), stream="true")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, last = answer.text.split("\n\n")
    assert last == ""
    bodies = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [body["type"] for body in bodies[:-1]] == ["transcript.text.delta"] * (len(bodies) - 1)
    assert len(bodies) > 5
    assert bodies[-1]["usage"]["type"] == "tokens"


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities[]": ["word", "segment"]},
        {"timestamp_granularities": ["word", "segment"]},
        {"timestamp_granularities[0]": "word", "timestamp_granularities[1]": "segment"},
        {"timestamp_granularities": '["word","segment"]'},
    ],
    ids=["brackets", "bare", "indexed", "json"],
)
def test_lists_are_read_in_every_spelling(server: LiveServer, fields: Any) -> None:
    body = post(
        server, (FOLDER / CLIP).read_bytes(), response_format="verbose_json", **fields
    ).json()
    assert len(body["words"]) == BASELINE[CLIP]["words"]
    assert body["segments"]


# The SDK announces the end of this endpoint at OpenAI for 2027-02-26.
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_german_is_translated_into_english(server: LiveServer) -> None:
    answer = server.client.audio.translations.create(
        file=FOLDER / "09_german.wav", model="whisper-1", response_format="verbose_json"
    )
    assert answer.language == "english"
    assert "Peter" in answer.text
    assert not {"ich", "möchte", "kommt"} & set(normalise(answer.text))


def test_candidate_languages_let_each_window_name_its_own(server: LiveServer) -> None:
    answer = transcribe(server, FOLDER / MIXED, extra_body={"languages": ["en", "de"]})
    assert word_errors(reference(MIXED), answer.text) <= BASELINE[MIXED]["errors"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "9"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "xx"}, "language"),
        ({"language": "es"}, "language"),
        ({"languages[]": "tlh"}, "languages"),
        ({"stream": "perhaps"}, "stream"),
        ({"timestamp_granularities[]": "letter"}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"timestamp_granularities": "[1"}, "timestamp_granularities"),
        ({"model": ""}, "model"),
    ],
)
def test_a_bad_field_is_named(server: LiveServer, fields: dict[str, str], param: str) -> None:
    answer = post(server, (FOLDER / CLIP).read_bytes(), **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_languages_are_taken_as_clients_write_them(server: LiveServer) -> None:
    for spelling in ("en", "EN", "en-US", "english", ""):
        answer = post(
            server,
            (FOLDER / CLIP).read_bytes(),
            language=spelling,
            response_format="verbose_json",
        )
        assert answer.json()["language"] == "english"


def test_a_missing_file_is_named(server: LiveServer) -> None:
    url = f"{server.url}/v1/audio/transcriptions"
    for answer in (
        httpx.post(url, files={"model": (None, "whisper-1")}),
        httpx.post(url, data={"model": "whisper-1"}),
        httpx.post(url, json={"model": "whisper-1"}),
        httpx.post(url, files={"model": (None, "whisper-1"), "file": (None, "text")}),
        httpx.post(url),
    ):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


def test_a_broken_multipart_body_is_a_400(server: LiveServer) -> None:
    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        content=b"--x\r\nnonsense",
        headers={"content-type": "multipart/form-data; boundary=y"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_model_is_a_404_that_the_sdk_understands(server: LiveServer) -> None:
    with pytest.raises(NotFoundError) as caught:
        server.client.audio.transcriptions.create(file=FOLDER / CLIP, model="whisper-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_chunked_upload_without_length_is_taken(server: LiveServer) -> None:
    """As openai-node sends a file stream."""
    request = httpx.Request(
        "POST",
        server.url,
        files={"file": ("ü.wav", (FOLDER / CLIP).read_bytes())},
        data={"model": "gpt-4o-transcribe"},
    )
    content = request.read()

    def pieces() -> Any:
        for at in range(0, len(content), 10_000):
            yield content[at : at + 10_000]

    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        content=pieces(),
        headers={"content-type": request.headers["content-type"]},
    )
    assert answer.json()["text"] == BASELINE[CLIP]["text"]
    assert answer.json()["usage"]["type"] == "tokens"


def test_nothing_is_left_on_disk_and_no_file_stays_open(server: LiveServer, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    long = tmp_path / "long.wav"
    repeat_to(long, load_sample(CLIP), 45.0)  # more than 1 MB: shorter ones stay in memory
    with LiveServer(VERBATIM_AUDIO__SPOOL_DIR=str(spool)) as own:
        transcribe(own, FOLDER / CLIP)
        before = own.open_files
        for content in (long.read_bytes(), BROKEN["random.mp3"](load_sample(CLIP)) * 1000):
            post(own, content)
            post(own, content, stream="true")
            post(own, content, response_format="nonsense")
            with long.open("rb") as file:
                events = transcribe(own, file, stream=True)
                next(iter(events))
                assert [path for path in own.open_files if path.startswith(str(spool))]
                events.close()
        wait_until(lambda: own.open_files == before)
        assert list(spool.iterdir()) == []


@pytest.fixture(scope="module")
def long_call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen minutes, as long as 25 MiB last; the device needs half a minute for them."""
    path = tmp_path_factory.mktemp("long") / "call.wav"
    repeat_to(path, load_sample("08_long_call.flac"), 780.0)
    return path


def test_a_caller_who_hangs_up_stops_its_work(server: LiveServer, long_call: Path) -> None:
    with long_call.open("rb") as file, pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.url}/v1/audio/transcriptions",
            files={"file": file},
            data={"model": "whisper-1"},
            timeout=httpx.Timeout(30.0, read=1.0),
        )
    assert_idle(server)


def test_a_caller_who_leaves_a_stream_stops_its_work(server: LiveServer, long_call: Path) -> None:
    with server.stream(long_call) as answer:
        assert "transcript.text.delta" in next(answer.iter_lines())
    assert_idle(server)


def assert_idle(server: LiveServer) -> None:
    """Within seconds the device has nothing to do, long before the recording could be done."""

    def stands_still() -> bool:
        before = server.metric("stt_windows_total")
        time.sleep(0.5)
        return server.metric("stt_windows_total") == before

    wait_until(stands_still, seconds=5.0)
    assert server.metric("stt_queue_windows") == 0


def test_an_upload_that_is_too_large_is_refused(server: LiveServer) -> None:
    with LiveServer(VERBATIM_AUDIO__MAX_UPLOAD_BYTES="100000") as small:
        answer = post(small, b"x" * 200_000)
        assert answer.status_code == 413
        message = answer.json()["error"]["message"]
        assert re.fullmatch(
            r"Maximum content size limit \(100000\) exceeded \(\d+ bytes read\)", message
        )

        def endless() -> Any:
            for _ in range(40):
                yield b"x" * 10_000

        unannounced = httpx.post(
            f"{small.url}/v1/audio/transcriptions",
            content=endless(),
            headers={"content-type": "multipart/form-data; boundary=y"},
        )
        assert unannounced.status_code in (400, 413)


def test_audio_given_as_bytes_or_as_a_file_object(server: LiveServer) -> None:
    content = (FOLDER / CLIP).read_bytes()
    with (FOLDER / CLIP).open("rb") as opened:
        for file in (content, io.BytesIO(content), opened, ("ü 音.wav", content)):
            assert transcribe(server, file).text == BASELINE[CLIP]["text"]
