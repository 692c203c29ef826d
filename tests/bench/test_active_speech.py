"""Speech of the conversations that the bench of speakers puts together."""

import numpy as np
import pytest

from app.domain import SAMPLE_RATE
from bench.diarization.active_speech import active_speech


def sound(*parts: tuple[float, float, float]) -> np.ndarray:
    """Tones one after the other: seconds, hertz and amplitude."""
    tones = [np.zeros(0)]
    for seconds, hertz, amplitude in parts:
        times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        tones.append(amplitude * np.sin(2 * np.pi * hertz * times))
    return np.concatenate(tones).astype(np.float32)


def test_speech_is_what_is_loud_in_its_band_between_pauses() -> None:
    rumble, breath, click = (1.0, 40, 0.9), (1.0, 900, 0.01), (0.02, 900, 0.3)
    voice, stop, pause = (1.0, 400, 0.3), (0.2, 400, 0.0), (0.4, 400, 0.0)
    found = active_speech(sound(rumble, voice, stop, voice, breath, click, pause, voice, breath))
    assert found == [pytest.approx(span, abs=0.03) for span in ((1.0, 3.2), (4.62, 5.62))]
    assert active_speech(sound()) == active_speech(sound((0.01, 400, 0.3))) == []
