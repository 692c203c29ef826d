"""Recordings of the load: real speech from `samples/` with known words, single and joined to
longer recordings, cut into windows by the server's own audio code."""

import io
import itertools
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from app.audio.decoder_process import decode
from app.audio.recording import Recording
from app.audio.windowing import WindowPolicy
from app.domain import SAMPLE_RATE, Samples, Window
from bench.calls import SPEECH, Call
from bench.engine_setup import EngineSetup

READ = tuple(f"libri_{number}.wav" for number in ("0870", "0880", "0890", "0920", "0930"))
ENGLISH = ("jfk.flac", *READ, "digits.wav")
PAUSE_SECONDS = 0.5
"""Between recordings that are joined."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording as 16-bit mono wav at 16 kHz, and the samples of the server's windows."""

    name: str
    wav: bytes
    seconds: float
    windows: tuple[Samples, ...]
    text: str
    """Words spoken."""


def single_clips(setup: EngineSetup) -> list[Clip]:
    """Recordings of 3 to 11 s."""
    return [clip_of_names([name], setup) for name in ENGLISH]


def short_clips(setup: EngineSetup) -> list[Clip]:
    """Single clips, and two joined from them: of half a minute, and longer."""
    joints = [clip_of_names(names, setup) for names in (READ, ENGLISH)]
    return single_clips(setup) + joints


def one_window(clips: Sequence[Clip], seconds: float) -> Clip:
    """The clip of one window whose length is closest to `seconds`."""
    candidates = [clip for clip in clips if len(clip.windows) == 1]
    return min(candidates, key=lambda clip: abs(clip.seconds - seconds))


def long_recording(seconds: float, setup: EngineSetup) -> Clip:
    """Whole recordings, joined and repeated to at least `seconds`."""
    names: list[str] = []
    length = 0.0
    for name in itertools.cycle(ENGLISH):
        if length >= seconds:
            break
        names.append(name)
        length += len(samples_of(SPEECH / name)) / SAMPLE_RATE + PAUSE_SECONDS
    return clip_of_names(names, setup)


def clip_of_names(names: Sequence[str], setup: EngineSetup) -> Clip:
    text = " ".join(text_of(SPEECH / name) for name in names)
    return clip(" and ".join(names), joined(names), text, setup)


def joined(names: Sequence[str]) -> Samples:
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    parts = [part for name in names for part in (samples_of(SPEECH / name), pause)]
    return np.concatenate(parts[:-1])


def clip(name: str, samples: Samples, text: str, setup: EngineSetup) -> Clip:
    content = wav(samples)
    windows = tuple(window.samples for window in cut(content, setup))
    return Clip(name, content, len(samples) / SAMPLE_RATE, windows, text)


def cut(content: bytes, setup: EngineSetup) -> list[Window]:
    policy = WindowPolicy(setup.window_seconds, setup.max_gap_seconds)
    batches = Recording(io.BytesIO(content), policy).windows()
    return list(itertools.chain.from_iterable(batches))


def text_of(path: Path) -> str:
    return path.with_suffix(".txt").read_text(encoding="utf-8").strip()


@cache
def samples_of(path: Path) -> Samples:
    with path.open("rb") as file:
        return np.concatenate(list(decode(file)))


def clip_of(call: Call, setup: EngineSetup) -> Clip:
    return clip(call.text[:40], samples_of_pcm(call.pcm), call.text, setup)


def samples_of_pcm(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(2**15)


def wav(samples: Samples) -> bytes:
    """16-bit wav of one channel, or of as many as there are rows."""
    channels = np.atleast_2d(samples)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((channels.T.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return content.getvalue()
