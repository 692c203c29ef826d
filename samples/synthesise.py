"""Speaks recordings 11 to 15 of this folder with flite and espeak-ng, both free programs.

Run `python -m samples.synthesise`; Debian's packages are espeak-ng and flite.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.recordings import RATE, Samples, decode, encode

FOLDER = Path(__file__).resolve().parent
FLOOR = 2e-4  # room noise under everything: true recordings have no digital silence


@dataclass(frozen=True)
class Line:
    """One sentence; voice is "flite NAME" or "espeak-ng NAME"."""

    voice: str
    text: str


@dataclass(frozen=True)
class Recording:
    """What to say, how long to wait between sentences and how to store it."""

    name: str
    lines: Sequence[Line]
    gap: float
    write: Callable[[Samples], bytes]
    channels: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Segment:
    start: float
    end: float
    text: str
    channel: int


def _talk(*turns: tuple[str, str]) -> list[Line]:
    return [Line(voice, text) for voice, text in turns]


SLT, RMS, AWB = "flite slt", "flite rms", "flite awb"
US, GB, DE = "espeak-ng en-us", "espeak-ng en-gb+f2", "espeak-ng de+m3"

RECORDINGS = [
    Recording(
        "11_sales_call.mp3",
        _talk(
            (RMS, "Thank you for calling Silver Line, how can I help you?"),
            (SLT, "Hello, this is Julia from Global Foods."),
            (SLT, "I would like to order thirty headsets."),
            (RMS, "Let me check that for you."),
            (RMS, "We have ninety headsets in stock."),
            (SLT, "How much does the headset cost?"),
            (RMS, "The price of the headset is sixty dollars."),
            (SLT, "Can you give me a discount?"),
            (RMS, "We offer a discount of ten percent."),
            (SLT, "That sounds good to me."),
            (RMS, "We can deliver on Thursday May second."),
            (SLT, "Please send the invoice to David Miller."),
            (RMS, "Thank you very much."),
            (SLT, "Goodbye."),
        ),
        gap=0.6,
        write=partial(encode, container="mp3", codec="libmp3lame", bit_rate=48_000),
    ),
    Recording(
        "12_short_clip.wav",
        _talk(
            (AWB, "The printer is not working."),
            (AWB, "I will call you back tomorrow."),
        ),
        gap=0.5,
        write=partial(encode, container="wav", codec="pcm_s16le"),
    ),
    Recording(
        "13_stereo_call.m4a",
        _talk(
            (GB, "I have a problem with my camera."),
            (RMS, "What is your name, please?"),
            (GB, "My last name is Baker."),
            (RMS, "Please open a ticket for this problem."),
            (GB, "The ticket number is six one four."),
            (RMS, "Thank you for your time."),
        ),
        gap=0.8,
        write=partial(encode, container="mp4", codec="aac", layout="stereo", bit_rate=96_000),
        channels=2,
    ),
    Recording(
        "14_telephone_mulaw.wav",
        _talk(
            (SLT, "I have not received the invoice."),
            (SLT, "My order number is five eight two six."),
            (SLT, "Where should we send the package?"),
            (SLT, "The customer is very happy."),
        ),
        gap=0.6,
        write=partial(encode, container="wav", codec="pcm_mulaw", rate=8_000),
    ),
    Recording(
        "15_english_then_german.wav",
        _talk(
            (AWB, "We are very sorry for the trouble."),
            (AWB, "We have received your payment."),
            (DE, "Vielen Dank für Ihren Anruf."),
            (DE, "Die Rechnung ist nicht richtig."),
            (DE, "Auf Wiederhören."),
        ),
        gap=0.7,
        write=partial(encode, container="wav", codec="pcm_s16le"),
    ),
]


def speak(line: Line) -> Samples:
    """One sentence without the silence around it, at an even level."""
    program, voice = line.voice.split()
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "line.wav")
        if program == "flite":
            command = ["flite", "-voice", voice, "-t", line.text, "-o", target]
        else:
            command = ["espeak-ng", "-v", voice, "-s", "150", "-w", target, line.text]
        subprocess.run(command, check=True)
        samples = decode(target)
    loud = np.flatnonzero(_envelope(samples) > 0.02 * _envelope(samples).max())
    samples = samples[max(0, loud[0] - RATE // 100) : loud[-1] + RATE // 50]
    levelled: Samples = samples / np.abs(samples).max() * np.float32(0.7)
    return levelled


def _envelope(samples: Samples) -> Samples:
    width = RATE // 100
    power = np.convolve(samples**2, np.ones(width) / width, "same")
    return np.asarray(np.sqrt(power), dtype=np.float32)


def perform(recording: Recording) -> tuple[Samples, list[Segment]]:
    """All sentences one after the other, each voice on its own channel if there are several."""
    dice = np.random.default_rng(recording.seed)
    voices = list(dict.fromkeys(line.voice for line in recording.lines))
    now, spoken, segments = round(0.4 * RATE), [], []
    for line in recording.lines:
        samples = speak(line)
        channel = voices.index(line.voice) % recording.channels
        end = now + len(samples)
        spoken.append((channel, now, samples))
        segments.append(Segment(round(now / RATE, 2), round(end / RATE, 2), line.text, channel))
        now = end + round(recording.gap * dice.uniform(0.7, 1.4) * RATE)
    length = round((segments[-1].end + 0.5) * RATE)
    planes = dice.standard_normal((recording.channels, length)).astype(np.float32) * FLOOR
    for channel, start, samples in spoken:
        planes[channel, start : start + len(samples)] += samples
    return np.clip(planes, -1, 1), segments


def store(recording: Recording) -> None:
    """The recording, its text and its segments; a channel is noted where there are two."""
    planes, segments = perform(recording)
    path = FOLDER / recording.name
    path.write_bytes(recording.write(planes))
    text = " ".join(segment.text for segment in segments)
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    rows = [
        {"start": s.start, "end": s.end, "text": s.text}
        | ({"channel": s.channel} if recording.channels > 1 else {})
        for s in segments
    ]
    path.with_suffix(".segments.json").write_text(
        json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    for item in RECORDINGS:
        store(item)
        print(item.name)
