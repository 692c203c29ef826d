"""The recording of hours that the bench of speakers sends to a server."""

import pytest

from bench.diarization.conversations import Turn
from bench.diarization.long_recording import report


def test_labels_that_change_voices_in_the_middle_are_wrong_in_the_parts_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    turns = [Turn(n, n + 1.0, "ann" if n % 2 else "bob") for n in range(100)]
    labels = {"ann": "B", "bob": "A"}
    words = [
        {"start": turn.start + 0.2, "end": turn.start + 0.6, "speaker": labels[turn.speaker]}
        for turn in turns
    ]
    for word in words[80:]:
        word["speaker"] = "B" if word["speaker"] == "A" else "A"
    outside = {"start": 100.5, "end": 100.9, "speaker": "C"}
    report({"words": [*words, outside]}, turns, 100.0)
    said = capsys.readouterr().out
    assert [line.strip() for line in said.splitlines()[1:]] == [
        *["0 of 10"] * 8,
        *["10 of 10"] * 2,
        "20 of 100",
    ]
