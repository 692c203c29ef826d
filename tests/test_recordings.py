"""The synthetic recordings agree with what is written beside them."""

import json
from pathlib import Path

import pytest

from tests.samples.baseline import KINDS
from tests.support.recordings import FOLDER, RATE, load_sample, reference

RECORDINGS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in KINDS)
TIMED = sorted(path.name for path in FOLDER.glob("*.words.json"))


def _rows(name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return rows


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_segments_of_a_sample_say_its_text_within_its_length(name: str) -> None:
    segments = _rows(f"{Path(name).stem}.segments.json")
    assert " ".join(str(segment["text"]) for segment in segments) == reference(name)
    times = [float(str(segment[edge])) for segment in segments for edge in ("start", "end")]
    assert times == sorted(times)
    assert not times or times[-1] < len(load_sample(name)) / RATE


@pytest.mark.parametrize("name", TIMED)
def test_the_words_of_a_sample_are_its_segments_word_by_word(name: str) -> None:
    words = _rows(name)
    for segment in _rows(name.replace("words", "segments")):
        said = [words.pop(0) for _ in str(segment["text"]).split()]
        assert " ".join(str(word["word"]) for word in said) == segment["text"]
        assert [word.get("channel") for word in said] == [segment.get("channel")] * len(said)
        times = [float(str(word[edge])) for word in said for edge in ("start", "end")]
        assert times == sorted(times)
        # Words were timed anew after some of the recordings were made.
        assert times[0] >= float(str(segment["start"])) - 0.05
        assert times[-1] <= float(str(segment["end"])) + 0.05
    assert words == []
