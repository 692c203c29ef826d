"""Sounds without words: silence, noise, hum, breath, ring tones, chords and hold music."""

from collections.abc import Iterator

import numpy as np

from app.domain import SAMPLE_RATE, Samples
from bench.hearing.corpus import music

LENGTHS = (5, 30, 120)
"""Seconds of each sound."""


def sounds(seconds: float) -> Iterator[tuple[str, Samples]]:
    """Every sound by its name, at the same length."""
    count = round(seconds * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    random = np.random.default_rng(3)
    white = random.standard_normal(count)
    brown = np.cumsum(white)
    brown -= np.convolve(brown, np.ones(2000) / 2000, "same")
    breath = np.convolve(white * np.clip(np.sin(2 * np.pi * time / 4), 0, 1) ** 2, [1 / 6] * 6)
    ringing = (np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 480 * time)) * (time % 6 < 2)
    every = {
        "silence": np.zeros(count),
        "white noise, -30 dB": white * 0.03,
        "white noise, -20 dB": white * 0.1,
        "brown noise": brown / np.abs(brown).max() * 0.3,
        "hum": 0.2 * np.sin(2 * np.pi * 50 * time) + 0.1 * np.sin(2 * np.pi * 150 * time),
        "breath": breath[:count] * 0.05,
        "ring tone": ringing * 0.2,
        "chord": sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330, 440)) * 0.1,
        "hold music 1": np.resize(music("funkyrobot.mp3"), count),
        "hold music 2": np.resize(music("1918.mp3"), count),
    }
    for name, samples in every.items():
        yield name, np.asarray(samples, np.float32)
