"""The recording of hours that the bench of speakers sends to a server."""

import pytest

from bench.diarization.conversations import Turn
from bench.diarization.long_recording import Upload, compare, report


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


def test_speakers_cost_what_their_upload_takes_more_than_the_one_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = Upload({}, 300.0, 500.0, 440.0, [450.0, 700.0, *[800.0] * 18])
    with_speakers = Upload({}, 310.0, 520.0, 440.0, [450.0, 720.0, *range(830, 848)])
    compare(without, with_speakers)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "with speakers: 310 s, 520 s of CPU; memory: idle 440 MB, the most 847, of that 17 grown "
        "after a tenth",
        "speakers: +4.0% of CPU time, +47 MB at most, +17 MB grown after a tenth",
    ]
