"""Minutes of known words: none lost or doubled where windows meet, and no time drifts."""

from pathlib import Path

import pytest

from tests.support.live_server import LiveServer
from tests.support.long_recordings import arranged, drift, transcribed
from tests.support.recordings import wav
from tests.support.words import normalise, word_errors

# Windows end at these pauses, which are as short as the starter's may be.
PAUSES = (0.35, 0.5, 1.0, 2.5)

# As long as no window can be: now each is filled, and cut at the best of its pauses.
UNENDED = '{"type": "server_vad", "silence_duration_ms": 30000}'


@pytest.mark.parametrize("fields", [{}, {"chunking_strategy": UNENDED}])
def test_no_word_is_lost_or_doubled_where_windows_meet(
    server: LiveServer, tmp_path: Path, fields: dict[str, str]
) -> None:
    words, sound = arranged(PAUSES, count=40, seed=3)
    path = tmp_path / "minutes.wav"
    path.write_bytes(wav(sound))
    text = transcribed(server, path, language="en", **fields)["text"]
    count = len(normalise(words))
    # The starter decodes every word of this on one machine; arithmetic differs between machines.
    assert abs(len(normalise(text)) - count) <= 0.02 * count
    assert word_errors(words, text) <= 0.03 * count


def test_times_do_not_drift(server: LiveServer, tmp_path: Path) -> None:
    """Three minutes; `python -m tests.support.long_recordings` measures an hour."""
    found = drift(server, tmp_path / "clicks.wav", 180.0)
    assert len(found.late) == 8
    assert max(map(abs, found.late)) < 0.3
