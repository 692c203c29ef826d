"""Augmentation, resampling and rows of digits, measured on tones."""

import io
import tarfile
import wave
from pathlib import Path
from random import Random

import numpy as np
import pytest

from training import augmentation, digits, numbers, voices
from training.digits import Recordings
from training.voices import RATE, Samples


def _tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> Samples:
    return np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hertz / rate).astype(np.float32)


def _loudest(samples: Samples) -> float:
    """The frequency of most power, in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples))


def _level(samples: Samples) -> float:
    return float(np.sqrt((samples**2).mean()))


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000])
def test_resampling_keeps_length_and_pitch(rate: int) -> None:
    samples = voices.resample(_tone(440, 1.5, rate), rate)
    assert len(samples) == 1.5 * RATE
    assert _loudest(samples) == pytest.approx(440, abs=1)


def test_silence_around_speech_is_cut_off() -> None:
    silence = np.zeros(RATE, np.float32)
    spoken = voices.trimmed(np.concatenate([silence, _tone(300, 0.5) * 0.1, silence]))
    assert len(spoken) / RATE == pytest.approx(0.5, abs=0.05)
    assert np.abs(spoken).max() == pytest.approx(0.7, abs=1e-4)
    assert len(voices.trimmed(silence)) == 0


def test_a_stretched_voice_is_faster_and_higher() -> None:
    samples = augmentation.stretch(_tone(200), 1.25)
    assert len(samples) / RATE == pytest.approx(0.8)
    assert _loudest(samples) == pytest.approx(250, abs=2)


def test_a_telephone_passes_its_band_only() -> None:
    inside, below, above = (
        _level(augmentation.band(_tone(hertz), 300, 3400)) for hertz in (1000, 60, 7000)
    )
    assert inside == pytest.approx(_level(_tone(1000)), rel=0.05)
    assert below < 0.02 * inside
    assert above < 0.1 * inside


def test_mu_law_is_nearly_inaudible() -> None:
    samples = _tone(300) * np.float32(0.5)
    assert _level(augmentation.mu_law(samples) - samples) < 0.03 * _level(samples)


def test_an_echo_sounds_on_after_the_voice() -> None:
    samples = np.concatenate([_tone(300, 0.5), np.zeros(RATE // 2, np.float32)])
    echoed = augmentation.reverberate(samples, 0.4, 0.1, np.random.default_rng(1))
    assert len(echoed) == len(samples)
    assert _level(echoed[RATE // 2 : RATE * 6 // 10]) > 0.05


def test_every_background_has_the_same_level() -> None:
    for seed in range(40):
        samples = augmentation.background(RATE, Random(seed), np.random.default_rng(seed))
        assert _level(samples) == pytest.approx(1, abs=1e-3)


def _archive(path: Path, speakers: list[str]) -> Path:
    """Ten recordings of each digit and speaker; digit d is a tone of 300 + 100 d Hz."""
    with tarfile.open(path, "w:gz") as archive:
        for speaker in speakers:
            for digit in range(10):
                for number in range(10):
                    content = io.BytesIO()
                    with wave.open(content, "wb") as file:
                        file.setparams((1, 2, 8_000, 0, "NONE", ""))
                        tone = _tone(300 + 100 * digit, 0.3, 8_000) * 0.5
                        file.writeframes((tone * 32767).astype(np.int16).tobytes())
                    name = tarfile.TarInfo(f"recordings/{digit}_{speaker}_{number}.wav")
                    name.size = content.tell()
                    content.seek(0)
                    archive.addfile(name, content)
    return path


def _counts(recordings: Recordings) -> dict[str, int]:
    return {speaker: sum(map(len, rows)) for speaker, rows in recordings.items()}


def test_one_speaker_and_the_first_recordings_of_the_others_are_held_out(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "digits.tar.gz", ["jackson", "theo"])
    assert _counts(digits.read(archive)) == {"jackson": 50}
    assert _counts(digits.read(archive, held_out=True)) == {"jackson": 50, "theo": 100}


def test_a_row_of_digits_tells_when_each_is_said(tmp_path: Path) -> None:
    recordings = digits.read(_archive(tmp_path / "digits.tar.gz", ["jackson"]))
    spoken = digits.speak(recordings, "jackson", Random(3), 5)
    names = spoken.text.lower().rstrip(".").split()
    assert len(names) == 5
    for name, start, end in zip(names, spoken.starts, spoken.ends, strict=True):
        digit = _digit(spoken.samples, start, end)
        assert name == numbers.DIGITS[digit]


def _digit(samples: Samples, start: float, end: float) -> int:
    """Which digit's tone sounds between two times."""
    part = samples[round(start * RATE) : round(end * RATE)]
    return round((_loudest(part) - 300) / 100)
