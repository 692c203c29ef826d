"""Sound of a telephone's band is told from other sound."""

import io
import wave

import numpy as np

from app.audio.bandwidth import is_narrow
from app.audio.decoder_process import decode
from tests.support.recordings import SPEECH
from tests.support.recordings import decode as decoded


def test_speech_is_narrow_where_its_file_has_8_khz_and_only_there() -> None:
    whole = decoded(SPEECH / "jfk.flac")
    file = io.BytesIO()
    spectrum = np.fft.rfft(whole)
    half = np.fft.irfft(spectrum[: len(whole) // 4 + 1], len(whole) // 2) / 2
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes((half * 32767).astype("<i2").tobytes())
    file.seek(0)
    narrow = np.concatenate(list(decode(file)))
    starts = range(32_000, 150_000, 12_000)
    assert [is_narrow(narrow[at : at + 25_600]) for at in starts] == [True] * len(starts)
    assert not any(is_narrow(whole[at : at + 25_600]) for at in starts)
    assert not is_narrow(np.zeros(25_600, np.float32))
