import io

import pytest

from app.audio.recording import Recording
from app.audio.windows import WindowPolicy
from app.errors import UndecodableAudio
from tests.recordings import load_sample, silence, wav


def test_a_recording_knows_its_length_once_it_is_heard() -> None:
    recording = Recording(io.BytesIO(wav(silence(35.0))), WindowPolicy())
    assert [window for windows in recording.windows() for window in windows] == []
    assert recording.duration == 35.0


def test_windows_come_while_the_rest_is_still_to_be_decoded() -> None:
    recording = Recording(io.BytesIO(wav(load_sample("08_long_call.flac"))), WindowPolicy(8.0, 0.3))
    for windows in recording.windows():
        if windows:
            break
    assert recording.duration < 10.0


def test_what_is_no_audio_is_known_at_the_first_block() -> None:
    with pytest.raises(UndecodableAudio):
        next(Recording(io.BytesIO(b"text"), WindowPolicy()).windows())
