"""Voices by telephone have their fundamental again, and other sound is as it was."""

import numpy as np
import pytest

from app.audio.fundamental import Fundamental
from app.domain import SAMPLE_RATE, Samples

FRAME = 512
PITCH = 125
"""Four periods in each frame."""


def voice(highest: float, frames: int = 64) -> Samples:
    """Harmonics of a voice from 300 Hz on."""
    time = np.arange(frames * FRAME) / SAMPLE_RATE
    numbers = range(3, int(highest // PITCH) + 1)
    return np.asarray(
        0.02 * sum(np.cos(2 * np.pi * number * PITCH * time) for number in numbers), np.float32
    )


def restored(samples: Samples, frames_at_once: int = 8) -> Samples:
    fundamental = Fundamental()
    blocks = samples.reshape(-1, frames_at_once, FRAME)
    return np.concatenate([fundamental.push(block) for block in blocks]).reshape(-1)


def level(samples: Samples, hertz: float) -> float:
    """Of one frequency, in decibels, behind the first half second."""
    part = samples[16 * FRAME :]
    time = np.arange(len(part)) / SAMPLE_RATE
    return float(20 * np.log10(abs(np.mean(part * np.exp(-2j * np.pi * hertz * time))) + 1e-9))


def test_a_voice_by_telephone_has_its_fundamental_and_keeps_its_harmonics() -> None:
    before = voice(3400.0)
    after = restored(before)
    assert level(before, PITCH) < -100
    assert level(after, PITCH) > level(before, 8 * PITCH) - 12
    for harmonic in (8, 16, 24):
        assert level(after, harmonic * PITCH) == pytest.approx(
            level(before, harmonic * PITCH), abs=0.5
        )


def test_sound_of_a_wider_band_silence_and_a_constant_are_not_changed() -> None:
    noise = np.random.default_rng(1).standard_normal(64 * FRAME).astype(np.float32) * 1e-3
    for samples in (
        voice(7000.0),
        voice(3400.0) + noise,
        np.zeros(64 * FRAME, np.float32),
        np.full(64 * FRAME, 0.3, np.float32),
    ):
        np.testing.assert_array_equal(restored(samples), samples)


def test_blocks_of_any_size_give_the_same() -> None:
    samples = np.concatenate([voice(3400.0), np.zeros(8 * FRAME, np.float32), voice(3400.0, 56)])
    whole = restored(samples, 128)
    for size in (1, 8, 32):
        np.testing.assert_allclose(restored(samples, size), whole, atol=1e-6)


def test_a_stream_that_gets_a_wider_band_is_not_changed_from_then_on() -> None:
    both = np.concatenate([voice(3400.0), voice(7000.0)])
    after = restored(both)
    assert not np.array_equal(after[: 64 * FRAME], both[: 64 * FRAME])
    np.testing.assert_array_equal(after[65 * FRAME :], both[65 * FRAME :])
