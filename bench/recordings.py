"""What the load is made of: short clips, a five-second clip and a long recording, all from
`samples/`, cut into windows by the server's own audio code."""

import io
import itertools
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.audio.decoding import decode
from app.audio.recording import Recording
from app.audio.windows import WindowPolicy
from app.domain import SAMPLE_RATE, Samples, Window
from bench.calls import SAMPLES, Call
from bench.engine_setup import EngineSetup

FORMATS = {".wav", ".flac", ".mp3", ".m4a"}


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording as 16-bit mono wav, and the samples of the windows that the server cuts."""

    name: str
    wav: bytes
    seconds: float
    windows: tuple[Samples, ...]


def short_clips(setup: EngineSetup) -> list[Clip]:
    """Stretches of the samples, alternately as long as one and as two windows."""
    clips = []
    for path in sample_paths():
        samples, sizes = samples_of(path), itertools.cycle((1, 2))
        windows = cut(wav(samples), setup)
        while windows:
            size = next(sizes)
            stretch, windows = windows[:size], windows[size:]
            first, last = stretch[0], stretch[-1]
            end = last.start + last.duration
            between = slice(round(first.start * SAMPLE_RATE), round(end * SAMPLE_RATE))
            clips.append(clip(f"{path.name} at {first.start:.1f} s", samples[between], setup))
    return [clip for clip in clips if len(clip.windows) in (1, 2)]


def single_window(clips: Sequence[Clip]) -> Clip:
    """The clip for measuring one request at a time: the longest that is one window."""
    return max((clip for clip in clips if len(clip.windows) == 1), key=lambda clip: clip.seconds)


def five_seconds(setup: EngineSetup) -> Clip:
    recordings = [samples_of(path) for path in sample_paths()]
    return clip("five seconds", max(recordings, key=len)[: round(5 * SAMPLE_RATE)], setup)


def long_recording(seconds: float, setup: EngineSetup) -> Clip:
    """All samples one after the other, over and over, up to that length."""
    once = np.concatenate([samples_of(path) for path in sample_paths()])
    return clip("long", np.resize(once, round(seconds * SAMPLE_RATE)), setup)


def clip(name: str, samples: Samples, setup: EngineSetup) -> Clip:
    content = wav(samples)
    windows = tuple(window.samples for window in cut(content, setup))
    return Clip(name, content, len(samples) / SAMPLE_RATE, windows)


def cut(content: bytes, setup: EngineSetup) -> list[Window]:
    policy = WindowPolicy(setup.window_seconds, setup.max_gap_seconds)
    batches = Recording(io.BytesIO(content), policy).windows()
    return list(itertools.chain.from_iterable(batches))


def sample_paths() -> list[Path]:
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in FORMATS)


def samples_of(path: Path) -> Samples:
    with path.open("rb") as file:
        return np.concatenate(list(decode(file)))


def clip_of(call: Call, setup: EngineSetup) -> Clip:
    return clip(call.text, samples_of_pcm(call.pcm), setup)


def samples_of_pcm(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(2**15)


def wav(samples: Samples) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return content.getvalue()
