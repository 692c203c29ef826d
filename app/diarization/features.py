"""Spectra of sound, as encoders of voices were trained on them.

`mel` is librosa's `melspectrogram` with its defaults (Slaney's scale and area normalisation),
which Resemblyzer calls; `fbank` is Kaldi's `compute-fbank-feats` without dither, which WeSpeaker
and 3D-Speaker call.
"""

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import SAMPLE_RATE, Samples

Kind = Literal["mel", "fbank"]
Spectra = NDArray[np.float32]
"""Shape (frames, bands), a frame each 10 ms."""

FRAMES_PER_SECOND = 100

_FRAME, _HOP = SAMPLE_RATE // 40, SAMPLE_RATE // FRAMES_PER_SECOND
"""Samples of a frame, 25 ms, and between the starts of two, 10 ms."""

_LOUDNESS = 10 ** (-30 / 20)
"""Root mean square to which quieter sound is raised for `mel`, -30 dB of full scale: Resemblyzer's
`audio_norm_target_dBFS`."""

_FULL_SCALE = 2.0**15
"""Kaldi reads 16-bit integers."""
_PRE_EMPHASIS = 0.97
_LOWEST_HERTZ = 20.0


def spectra(samples: Samples, kind: Kind, bands: int) -> Spectra:
    """The spectra of mono sound of any length above 25 ms, one per 10 ms."""
    if kind == "mel":
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        gain = max(1.0, _LOUDNESS / max(level, 1e-9))
        frames = _frames(np.pad(samples * np.float32(gain), _FRAME // 2))
        power = _power(frames * _hann(), _FRAME)
        return np.asarray(power @ _slaney_bands(bands).T, np.float32)
    frames = _frames(samples * np.float32(_FULL_SCALE))
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    emphasised = frames - np.float32(_PRE_EMPHASIS) * before
    power = _power(emphasised * _povey(), 512)
    logarithm = np.log(np.maximum(power @ _kaldi_bands(bands).T, np.finfo(np.float32).eps))
    # Cepstral mean normalisation, as those encoders' own front ends have it.
    return np.asarray(logarithm - logarithm.mean(axis=0), np.float32)


def _frames(samples: Samples) -> NDArray[np.float32]:
    """Overlapping frames, shape (frames, `_FRAME`)."""
    return np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]


def _power(frames: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    return np.asarray(np.abs(np.fft.rfft(frames, size)) ** 2, np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    return np.hanning(_FRAME + 1)[:-1].astype(np.float32)


@cache
def _povey() -> NDArray[np.float32]:
    return (np.hanning(_FRAME) ** 0.85).astype(np.float32)


@cache
def _slaney_bands(bands: int) -> NDArray[np.float32]:
    """Triangles of one area, shape (bands, 201). The scale is linear up to 1 kHz."""
    hertz = np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE)
    top = 15 + np.log(8.0) / (np.log(6.4) / 27)
    mels = np.linspace(0.0, top, bands + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None], np.float32)


@cache
def _kaldi_bands(bands: int) -> NDArray[np.float32]:
    """Triangles of one height on the scale of mels, shape (bands, 257)."""
    mels = _mels(np.fft.rfftfreq(512, 1 / SAMPLE_RATE))
    edges = np.linspace(_mels(np.array(_LOWEST_HERTZ)), _mels(np.array(8000.0)), bands + 2)
    width = edges[1] - edges[0]
    triangles = np.maximum(0.0, 1 - np.abs(mels - edges[1:-1, None]) / width)
    triangles[:, -1] = 0.0  # Kaldi leaves out the highest frequency
    return np.asarray(triangles, np.float32)


def _mels(hertz: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log(1 + hertz / 700), np.float64)
