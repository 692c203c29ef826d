"""The recordings that a user sees, transcribed by the default model: no word is wrong."""

import json
from collections.abc import Sequence

import pytest
from openai.types.audio import TranscriptionWord

from tests.samples.baseline import KINDS
from tests.support.live_server import LiveServer
from tests.support.recordings import SENTENCES, SPEECH, reference
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


def begin_where_they_are_said(words: Sequence[TranscriptionWord], name: str) -> None:
    found: list[tuple[str, float | None]] = []
    for each in words:
        first, *more = normalise(spelled(each.word))
        # Digits that Whisper writes as one word have one time.
        found += [(first, each.start), *((digit, None) for digit in more)]
    spoken = words_of(name)
    assert [word for word, _ in found] == [normalise(str(each["word"]))[0] for each in spoken]
    for (word, start), truth in zip(found, spoken, strict=True):
        assert start is None or abs(start - float(truth["start"])) < TOLERANCE_SECONDS, word


def words_of(name: str) -> list[dict[str, str | float]]:
    """Each word of a sample, and when it is said."""
    path = (SPEECH / name).with_suffix(".words.json")
    words: list[dict[str, str | float]] = json.loads(path.read_text(encoding="utf-8"))
    return words


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
        assert word_errors(" ".join(spoken), spelled(" ".join(found))) == 0
