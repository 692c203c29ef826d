"""The recordings that a user sees, transcribed by the default model: no word is wrong."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from openai.types.audio import TranscriptionWord

from tests.samples.baseline import KINDS
from tests.support.films import Shift, delayed, film, gap, unchanged
from tests.support.live_server import LiveServer
from tests.support.recordings import (
    RATE,
    SENTENCES,
    SPEECH,
    Samples,
    decode,
    noise,
    reference,
    silence,
    wav,
)
from tests.support.words import normalise, spelled, word_errors

RECORDINGS = sorted(path.name for path in SPEECH.iterdir() if path.suffix in KINDS)
TIMED = {path.name.replace(".words.json", "") for path in SPEECH.glob("*.words.json")}
TOLERANCE_SECONDS = 0.3
"""Between where a word begins in a recording and where the answer says it does."""


@pytest.mark.parametrize("name", RECORDINGS)
def test_whisper_transcribes_every_word_of_a_sample(base_server: LiveServer, name: str) -> None:
    answer = base_server.transcribe(
        SPEECH / name,
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert word_errors(reference(name, SPEECH), spelled(answer.text)) == 0
    assert answer.language == ("german" if name == "german.wav" else "english")
    if name.partition(".")[0] in TIMED:
        begin_where_they_are_said(answer.words or [], name)


@pytest.mark.parametrize(
    ("kind", "shift"),
    [("mp4", delayed(5.0)), ("webm", gap(4.08, 10.0))],
)
def test_words_begin_where_they_are_said_by_the_clock_of_a_film(
    base_server: LiveServer, kind: str, shift: Shift, tmp_path: Path
) -> None:
    path = tmp_path / f"film.{kind}"
    path.write_bytes(film(kind, decode(SPEECH / "digits.wav"), shift, with_picture=True))
    answer = base_server.transcribe(
        path, response_format="verbose_json", timestamp_granularities=["word"]
    )
    begin_where_they_are_said(answer.words or [], "digits.wav", shift)
    assert float(answer.duration) == pytest.approx(shift(5.888), abs=0.1)
    srt = base_server.transcribe(path, response_format="srt")
    first = re.search(r"00:00:(\d\d),(\d\d\d) -->", str(srt))
    assert first is not None
    start = int(first[1]) + int(first[2]) / 1000
    assert abs(start - shift(float(words_of("digits.wav")[0]["start"]))) < TOLERANCE_SECONDS


def begin_where_they_are_said(
    words: Sequence[TranscriptionWord], name: str, shift: Shift = unchanged
) -> None:
    found: list[tuple[str, float | None]] = []
    for each in words:
        first, *more = normalise(spelled(each.word))
        # Digits that Whisper writes as one word have one time.
        found += [(first, each.start), *((digit, None) for digit in more)]
    spoken = words_of(name)
    assert [word for word, _ in found] == [normalise(str(each["word"]))[0] for each in spoken]
    for (word, start), truth in zip(found, spoken, strict=True):
        assert start is None or abs(start - shift(float(truth["start"]))) < TOLERANCE_SECONDS, word


def words_of(name: str) -> list[dict[str, str | float]]:
    """Each word of a sample, and when it is said."""
    path = (SPEECH / name).with_suffix(".words.json")
    words: list[dict[str, str | float]] = json.loads(path.read_text(encoding="utf-8"))
    return words


def chord(count: int) -> Samples:
    time = np.arange(count) / RATE
    sines = [np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330, 440)]
    return np.asarray(np.sum(sines, axis=0), np.float32)


@pytest.mark.parametrize("name", ["a chord", "a telephone"])
def test_speech_that_is_hard_to_detect_keeps_its_words(base_server: LiveServer, name: str) -> None:
    """Silero's own threshold of 0.5 leaves out most of both."""
    names = ("jfk.flac", "libri_0870.wav", "libri_0890.wav")
    pause = np.zeros(RATE // 2, np.float32)
    speech = np.concatenate([part for each in names for part in (decode(SPEECH / each), pause)])
    if name == "a chord":
        other = chord(len(speech))
    else:
        hertz = np.fft.rfftfreq(len(speech), 1 / RATE)
        band = np.fft.rfft(speech) * ((hertz > 300) & (hertz < 3400))
        speech = np.fft.irfft(band, len(speech)).astype(np.float32)
        other = 0.1 * noise(len(speech) / RATE, 1.0)[: len(speech)]
    ratio = 1.0 if name == "a chord" else 0.1  # 0 dB and 20 dB
    other *= np.sqrt(np.mean(speech**2) / np.mean(other**2)) * ratio
    answer = base_server.transcribe(
        wav(np.asarray((speech + other) / 2, np.float32)), language="en"
    )
    errors = word_errors(" ".join(reference(each, SPEECH) for each in names), answer.text)
    assert errors <= 12  # of 58; with a threshold of 0.5 some 30


def test_sounds_without_words_have_no_text(base_server: LiveServer) -> None:
    count = 20 * RATE
    bell = chord(count) * (np.arange(count) % (6 * RATE) < 2 * RATE)
    for sound in (chord(count) / 8, bell / 8, noise(20.0, 0.1)):
        assert base_server.transcribe(wav(np.asarray(sound, np.float32)), language="en").text == ""


def test_a_sentence_in_another_language_is_transcribed_in_it(base_server: LiveServer) -> None:
    names = ["libri_0870.wav", "german.wav", "libri_0890.wav"]
    parts = [part for name in names for part in (decode(SPEECH / name), silence(0.5))]
    recording = ("mixed.wav", wav(np.concatenate(parts)))
    answer = base_server.transcribe(recording, response_format="verbose_json")
    spoken = answer.model_dump()["segments"]
    assert [each["language"] for each in spoken] == ["english", "german", "english"]
    for name, each in zip(names, spoken, strict=True):
        assert word_errors(reference(name, SPEECH), spelled(each["text"])) == 0
    assert answer.language == "english"
    listed = base_server.transcribe(recording, model="gpt-transcribe").model_dump()
    assert listed["languages"] == [{"code": "en"}, {"code": "de"}]


def test_the_english_sentences_have_92_words() -> None:
    assert sum(len(normalise(reference(name, SPEECH))) for name in SENTENCES) == 92


def test_each_side_of_the_stereo_call_is_a_speaker(base_server: LiveServer) -> None:
    name = "stereo_call.m4a"
    answer = base_server.transcribe(
        SPEECH / name,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
    )
    for channel, speaker in enumerate("AB"):
        spoken = [str(each["word"]) for each in words_of(name) if each["channel"] == channel]
        found = [each.text for each in answer.segments if each.speaker == speaker]
        # But for one word: how a CPU rounds decides over Baker and Maker.
        assert word_errors(" ".join(spoken), spelled(" ".join(found))) <= 1
