"""`chunking_strategy` on real calls: what it changes, and that the words stay."""

import json
from typing import Any

import pytest

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, load_sample, noise, reference, wav
from tests.support.words import word_errors

BASELINE = json.loads((FOLDER / "baseline.json").read_text(encoding="utf-8"))
CALL = "08_long_call.flac"


@pytest.fixture(scope="module")
def server(remembering_server: LiveServer) -> LiveServer:
    return remembering_server


def chunked(server: LiveServer, content: bytes, **vad: float) -> Any:
    strategy = json.dumps({"type": "server_vad", **vad}) if vad else "auto"
    answer = server.post(content, response_format="verbose_json", chunking_strategy=strategy)
    assert answer.status_code == 200, answer.text
    return answer.json()


def windows(body: Any) -> list[int]:
    """Where the windows start that the model was shown: Whisper's `seek`."""
    return sorted({each["seek"] for each in body["segments"]})


@pytest.fixture(scope="module")
def call() -> bytes:
    return (FOLDER / CALL).read_bytes()


def test_a_longer_silence_gives_fewer_windows(server: LiveServer, call: bytes) -> None:
    short = windows(chunked(server, call, silence_duration_ms=200))
    long = windows(chunked(server, call, silence_duration_ms=1000))
    assert len(short) > len(long) > 5


@pytest.mark.parametrize("milliseconds", [200, 500])
def test_words_and_times_stay_right(server: LiveServer, call: bytes, milliseconds: int) -> None:
    body = chunked(server, call, silence_duration_ms=milliseconds)
    # Windows that begin 300 ms before speech are cut elsewhere: two words in 142 may differ.
    assert word_errors(reference(CALL), body["text"]) <= BASELINE[CALL]["errors"] + 2
    spoken = json.loads((FOLDER / CALL).with_suffix(".segments.json").read_text())
    errors = []
    for each in spoken:
        nearest = min(body["segments"], key=lambda found: abs(found["start"] - each["start"]))
        errors += [abs(nearest["start"] - each["start"]), abs(nearest["end"] - each["end"])]
    assert sorted(errors)[len(errors) // 2] < 0.15
    assert body["segments"][-1]["end"] <= body["duration"]


def test_more_sound_before_speech_moves_the_windows_and_not_the_words(
    server: LiveServer, call: bytes
) -> None:
    close = chunked(server, call, prefix_padding_ms=0, silence_duration_ms=500)
    early = chunked(server, call, prefix_padding_ms=300, silence_duration_ms=500)
    moved = [b - a for a, b in zip(windows(early), windows(close), strict=True)]
    assert sorted(moved)[len(moved) // 2] == pytest.approx(30, abs=1)  # of 10 ms
    begun = [b["start"] - a["start"] for a, b in zip(*segments(early, close), strict=True)]
    assert abs(sorted(begun)[len(begun) // 2]) < 0.1


def segments(*bodies: Any) -> list[Any]:
    return [body["segments"] for body in bodies]


def test_a_threshold_of_one_finds_no_speech(server: LiveServer, call: bytes) -> None:
    body = chunked(server, call, threshold=1.0)
    assert (body["text"], body["segments"]) == ("", [])


def test_in_noise_a_higher_threshold_counts_less_as_speech(server: LiveServer) -> None:
    clip = load_sample("12_short_clip.wav") * 0.05
    noisy = wav(clip + noise(len(clip) / 16_000, 0.005))

    def seconds(threshold: float) -> float:
        body = chunked(server, noisy, threshold=threshold)
        return sum(float(each["end"] - each["start"]) for each in body["segments"])

    assert seconds(0.3) > seconds(0.99) > seconds(1.0) == 0.0


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("prefix", [0, 10_000])
@pytest.mark.parametrize("silence", [0, 30_000])
def test_extreme_values_are_answered(
    server: LiveServer, threshold: float, prefix: int, silence: int
) -> None:
    content = (FOLDER / "12_short_clip.wav").read_bytes()
    body = chunked(
        server,
        content,
        threshold=threshold,
        prefix_padding_ms=prefix,
        silence_duration_ms=silence,
    )
    assert bool(body["text"]) == (threshold < 1.0)
    times = [time for each in body["segments"] for time in (each["start"], each["end"])]
    assert times == sorted(times)
    assert all(0.0 <= time <= body["duration"] for time in times)
