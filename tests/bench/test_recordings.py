"""The load is real speech, and what is said in each clip is known."""

import pytest

from bench.engine_setup import EngineSetup
from bench.recordings import Clip, long_recording, one_window, short_clips
from bench.speakers import recording_paths, spoken_words
from tests.support.recordings import SENTENCES, SPEECH, reference
from tests.support.words import normalise

WHISPER = EngineSetup("base", "cpu", "int8", 2, 1, 5, 4, 30.0, 2.0, 224, 4.0)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return short_clips(WHISPER)


def test_clips_are_single_and_joined_recordings(clips: list[Clip]) -> None:
    whole = [clip for clip in clips if clip.name in SENTENCES]
    assert sum(len(normalise(clip.text)) for clip in whole) == 92
    assert [len(clip.windows) for clip in clips] == [1] * 8 + [2]
    assert 20 < clips[-2].seconds < 30 < clips[-1].seconds


def test_the_clip_of_a_length_is_the_closest_of_one_window(clips: list[Clip]) -> None:
    assert one_window(clips, 10.0).name == "jfk.flac"
    assert 4.5 < one_window(clips, 5.0).seconds < 6.0


def test_a_long_recording_has_whole_sentences() -> None:
    long = long_recording(60.0, WHISPER)
    assert 60.0 <= long.seconds < 72.0
    assert long.text.startswith(reference("jfk.flac", SPEECH))


def test_live_speech_has_real_recordings_and_some_with_times() -> None:
    paths = recording_paths()
    said = [word for path in paths for word in spoken_words(path)]
    assert len(set(paths)) == len(paths)
    assert any(word.end is None for word in said)
    assert sum(word.end is not None for word in said) > 100
