"""Makes clean synthetic speech sound like recordings: other pace, rooms, telephones and noise."""

from random import Random

import numpy as np
from numpy.typing import NDArray

from training.voices import RATE, Samples


def stretch(samples: Samples, factor: float) -> Samples:
    """Faster and higher by the factor, formants included: a smaller or larger speaker."""
    places = np.arange(int(len(samples) / factor)) * factor
    return np.asarray(np.interp(places, np.arange(len(samples)), samples), np.float32)


def another_speaker(samples: Samples, dice: Random) -> Samples:
    """Two utterances in three by up to a fifth smaller or larger."""
    return stretch(samples, dice.uniform(0.82, 1.22)) if dice.random() < 0.67 else samples


def effects(samples: Samples, dice: Random, noise: np.random.Generator) -> Samples:
    """Room, telephone band, tilt and mu-law, each at times; the highest sample becomes 1."""
    if dice.random() < 0.22:
        samples = reverberate(samples, dice.uniform(0.08, 0.4), dice.uniform(0.02, 0.12), noise)
    if dice.random() < 0.35:
        low, high = dice.choice([0, 100, 300]), dice.choice([3400, 3400, 3900, 5500])
        samples = band(samples, low, high)
    if dice.random() < 0.3:
        tilt = dice.uniform(-0.6, 0.6)
        samples = samples + tilt * np.concatenate([[0], samples[:-1]]).astype(np.float32)
    samples = samples / (np.abs(samples).max() + 1e-6)
    return mu_law(samples) if dice.random() < 0.1 else samples


def reverberate(
    samples: Samples, seconds: float, level: float, noise: np.random.Generator
) -> Samples:
    """In a room whose echo falls by 60 dB in so many seconds."""
    size = int(RATE * seconds)
    answer = noise.standard_normal(size) * np.exp(-6.9 * np.arange(size) / size) * level
    answer[0] = 1
    total = _fast_size(len(samples) + size)
    product = np.fft.rfft(samples, total) * np.fft.rfft(answer, total)
    return np.fft.irfft(product, total)[: len(samples)].astype(np.float32)


def band(samples: Samples, low: float, high: float) -> Samples:
    """Only frequencies between low and high, in Hz, with flanks of fourth order."""
    total = _fast_size(len(samples) + RATE // 10)
    hertz = np.fft.rfftfreq(total, 1 / RATE)
    gain = 1 / np.sqrt(1 + (hertz / high) ** 8)
    if low:
        gain /= np.sqrt(1 + (low / np.maximum(hertz, 1)) ** 8)
    return np.fft.irfft(np.fft.rfft(samples, total) * gain, total)[: len(samples)].astype(
        np.float32
    )


def telephone(samples: Samples) -> Samples:
    """The band of a telephone call and its 8 bits; the highest sample becomes 1."""
    samples = band(samples, 300, 3400)
    return mu_law(samples / (np.abs(samples).max() + np.float32(1e-6)))


def mu_law(samples: Samples) -> Samples:
    """Through 8 bits of mu-law, as a telephone exchange does; samples within -1..1."""
    packed = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    packed = np.round(packed * 127) / 127
    return np.asarray(np.sign(packed) * (256 ** np.abs(packed) - 1) / 255, np.float32)


def background(size: int, dice: Random, noise: np.random.Generator) -> Samples:
    """White or coloured noise, a humming or beeping tone, or clicks, at an effective level of 1."""
    kind = dice.random()
    if kind < 0.35:
        samples = noise.standard_normal(size)
    elif kind < 0.7:
        samples = _coloured(size, dice.choice([0.5, 1.0]), noise)
    elif kind < 0.87:
        samples = _tone(size, dice) + 0.1 * noise.standard_normal(size)
    else:
        samples = _clicks(size, dice, noise)
    return np.asarray(samples / (np.sqrt((samples**2).mean()) + 1e-9), np.float32)


def _coloured(size: int, slope: float, noise: np.random.Generator) -> NDArray[np.float64]:
    total = _fast_size(size)
    spectrum = np.fft.rfft(noise.standard_normal(total))
    spectrum /= np.maximum(np.arange(len(spectrum)), 20) ** slope
    return np.fft.irfft(spectrum, total)[:size]


def _tone(size: int, dice: Random) -> NDArray[np.float64]:
    """A chord of overtones, half the time in beeps."""
    seconds = np.arange(size) / RATE
    base = dice.choice([50, 60, 100, 120, 220, 440, 1000, dice.uniform(100, 2000)])
    wave = np.zeros(size)
    for overtone in range(1, dice.randint(2, 6)):
        wave += np.sin(2 * np.pi * base * overtone * seconds + overtone) / overtone
    if dice.random() < 0.5:
        wave *= seconds % dice.uniform(0.3, 1.5) < dice.uniform(0.1, 0.5)
    return wave


def _clicks(size: int, dice: Random, noise: np.random.Generator) -> NDArray[np.float64]:
    wave = noise.standard_normal(size) * 0.05
    for _ in range(3 * size // RATE + 1):
        start = dice.randrange(size)
        length = min(size - start, dice.randint(80, 2400))
        fall = np.exp(-np.arange(length) / (length / 5))
        wave[start : start + length] += noise.standard_normal(length) * fall
    return wave


def _fast_size(size: int) -> int:
    """A power of two or three times one: an FFT of it is quick."""
    power = 1 << (size - 1).bit_length()
    return 3 * power // 4 if size <= 3 * power // 4 else power


def level(decibels: float) -> float:
    """The factor of so many decibels."""
    return float(10 ** (decibels / 20))
