"""Raw audio of sockets -> samples at 16 kHz, in pieces of any length."""

from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from app.domain import SAMPLE_RATE, Samples

Encoding = Literal["s16le", "mulaw", "alaw"]
"""16-bit little-endian PCM, or G.711 with one byte for each sample."""

_SAMPLE_BYTES: dict[Encoding, int] = {"s16le": 2, "mulaw": 1, "alaw": 1}


class LiveDecoder:
    """Decoder of one stream of mono audio. The result does not depend on how it is cut into pieces.

    A second of audio takes less than a millisecond, so it may run on the event loop.
    """

    def __init__(self, encoding: Encoding, rate: int) -> None:
        """`rate`: samples per second of the stream."""
        codec = AudioCodecContext.create(f"pcm_{encoding}", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate = rate
        codec.layout = "mono"
        self._codec = codec
        self._sample_bytes = _SAMPLE_BYTES[encoding]
        self._rest = b""
        """The first byte of a sample whose second byte has not arrived yet."""
        self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        self._is_fed = False

    def push(self, data: bytes) -> Samples:
        """The samples completed by `data`; the last millisecond waits for the next piece."""
        data = self._rest + data
        whole = len(data) - len(data) % self._sample_bytes
        self._rest = data[whole:]
        if not whole:
            return np.zeros(0, np.float32)
        self._is_fed = True
        frames = []
        for frame in self._codec.decode(av.Packet(data[:whole])):
            frame.pts = None
            frames += self._resampler.resample(frame)
        return _samples(frames)

    def flush(self) -> Samples:
        """The remaining samples, at the end of the stream; half a sample is dropped."""
        # A resampler that never saw a frame has no rate and raises.
        return _samples(self._resampler.resample(None) if self._is_fed else [])


def _samples(frames: list[AudioFrame]) -> Samples:
    values = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate([np.zeros(0, np.float32), *values])
