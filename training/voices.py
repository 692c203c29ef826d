"""Makes sentences audible with three free synthesizers: flite, espeak-ng and festival.

Voices and variants marked as held out are never trained on.
"""

import subprocess
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float32]  # one channel, 16 kHz, -1..1

FLITE = {"slt": 170, "rms": 100, "awb": 130, "kal16": 120, "kal": 120}  # usual pitch in Hz
FESTIVAL = ["kal_diphone", "cmu_us_slt_arctic_hts"]
FESTIVAL_HELD_OUT = ["ked_diphone"]
# An accent named twice is drawn twice as often.
ACCENTS = {
    "en": "en-us en-us en-us en-us en-gb en-gb en-gb-x-rp en-gb-scotland en-029 en-us-nyc",
    "de": "de",
    "fr": "fr-fr fr-fr fr-be",
}
_VARIANTS = """
Adam Alex Andrea Andy Annie Antonio Auntie Belinda Boris Caleb David Denis Diogo Ed Edward
Edward2 Gene Gene2 Gustave Henrique Iven Iven2 Iven3 Jacky John Lee Marcelo Marco Mario Max
Michael Michel Miguel Mike Pablo Pedro Quincy Rob Robert Steph Steph2 Steph3 Tweaky anika f1
f2 f3 f5 m1 m2 m3 m4 m5 m6 m8 klatt klatt2 klatt4 grandma grandpa norbert sandro travis victor
croak
"""
VARIANTS = _VARIANTS.split()
_VARIANTS_HELD_OUT = "Alicia Benjamin Hugo Linda Paul Zac f4 m7 klatt3 shelby"
VARIANTS_HELD_OUT = _VARIANTS_HELD_OUT.split()

_QUIET = 0.02  # of the loudest: what is below at either end is not speech
_LEVEL = 0.7  # highest sample of every utterance


@dataclass(frozen=True)
class Voice:
    """A synthesizer and what it calls a voice, as "flite slt" or "espeak-ng en-us+f2"."""

    program: str
    name: str

    def __str__(self) -> str:
        return f"{self.program} {self.name}"


def choose_espeak(language: str, dice: Random, held_out: bool = False) -> Voice:
    variant = dice.choice(VARIANTS_HELD_OUT if held_out else VARIANTS)
    return Voice("espeak-ng", f"{dice.choice(ACCENTS[language].split())}+{variant}")


def speak(voice: Voice, texts: Sequence[str], dice: Random) -> list[Samples | None]:
    """Every text at a pace and pitch of its own, without silence around it.

    None stands where the synthesizer failed. Raises FileNotFoundError without the program.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.wav" for index in range(len(texts))]
        if voice.program == "festival":
            _festival(voice, texts, paths, dice)
        else:
            command = _flite if voice.program == "flite" else _espeak
            for text, path in zip(texts, paths, strict=True):
                _run(command(voice, text, path, dice))
        return [_load(path) for path in paths]


def _flite(voice: Voice, text: str, path: Path, dice: Random) -> list[str]:
    pitch = FLITE[voice.name] * dice.uniform(0.75, 1.3)
    return [
        *["flite", "-voice", voice.name, "-t", text, "-o", str(path)],
        *["--setf", f"duration_stretch={dice.uniform(0.75, 1.3):.2f}"],
        *["--setf", f"int_f0_target_mean={pitch:.0f}"],
        *["--setf", f"int_f0_target_stddev={dice.uniform(8, 30):.0f}"],
    ]


def _espeak(voice: Voice, text: str, path: Path, dice: Random) -> list[str]:
    pace, pitch = dice.randint(115, 205), dice.randint(20, 80)
    return ["espeak-ng", "-v", voice.name, "-s", str(pace), "-p", str(pitch), "-w", str(path), text]


def _festival(voice: Voice, texts: Sequence[str], paths: Sequence[Path], dice: Random) -> None:
    """One process for all texts, for loading a voice takes longer than a sentence."""
    lines = [f"(voice_{voice.name})"]
    for text, path in zip(texts, paths, strict=True):
        lines.append(f"(Parameter.set 'Duration_Stretch {dice.uniform(0.8, 1.3):.2f})")
        if "diphone" in voice.name:
            mean, spread = dice.uniform(80, 170), dice.uniform(8, 25)
            lines.append(
                f"(set! int_lr_params '((target_f0_mean {mean:.0f}) (target_f0_std {spread:.0f})"
                " (model_f0_mean 170) (model_f0_std 34)))"
            )
        lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{text}")) "{path}" \'riff)')
    script = paths[0].with_suffix(".scm")
    script.write_text("\n".join(lines))
    _run(["festival", "--batch", str(script)])


def _run(command: list[str]) -> None:
    """Some voices end with an error after good work, so only the recording counts."""
    subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=False
    )


def _load(path: Path) -> Samples | None:
    if not path.exists():
        return None
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        values = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    samples = trimmed(resample(from_pcm(values), rate))
    return samples if len(samples) > RATE // 10 else None


def from_pcm(values: NDArray[np.int16]) -> Samples:
    """16-bit samples as -1..1."""
    return np.asarray(values, np.float32) / np.float32(32768)


def resample(samples: Samples, rate: int) -> Samples:
    """Samples of another rate at 16 kHz, by cutting or extending their spectrum."""
    if rate == RATE:
        return samples
    size = round(len(samples) * RATE / rate)
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    return (np.fft.irfft(spectrum, size) * (size / len(samples))).astype(np.float32)


def trimmed(samples: Samples) -> Samples:
    """Without the silence at both ends, at an even level; empty if there is nothing to hear."""
    if len(samples) < RATE // 100:
        return samples[:0]
    width = RATE // 100
    power = np.convolve(samples**2, np.ones(width) / width, "same")
    loud = np.flatnonzero(np.sqrt(power) > max(_QUIET * np.sqrt(power.max()), 1e-4))
    if not len(loud):
        return samples[:0]
    spoken = samples[max(0, loud[0] - width) : loud[-1] + 2 * width]
    return np.asarray(spoken / np.abs(spoken).max() * _LEVEL, np.float32)
