"""Films and recordings whose packets have other times than their sound."""

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from tests.support.recordings import RATE, Samples

CODECS = {
    "mp4": "aac",
    "matroska": "aac",
    "webm": "libopus",
    "mpegts": "mp2",
    "flv": "libmp3lame",
    "ogg": "libopus",
}
Shift = Callable[[float], float]
"""Seconds of a packet -> seconds that the container has for it."""


def film(
    kind: str,
    sound: Samples,
    shift: Shift,
    *,
    with_picture: bool = False,
    picture_seconds: float = 0.5,
) -> bytes:
    """The sound, whose packets have the times that `shift` makes of their own.

    A picture is shown from 0 on, for `picture_seconds`.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as output:
        rate = {"libopus": 48_000, "libmp3lame": 44_100}.get(CODECS[kind], RATE)
        stream = output.add_stream(CODECS[kind], rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        pictures: list[Packet[VideoStream]] = []
        if with_picture:
            stream_of_pictures = output.add_stream("libx264" if kind != "webm" else "vp8", rate=2)
            pictures += picture(stream_of_pictures, picture_seconds)
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for packet in stream.encode(frame) + stream.encode(None):
            assert packet.pts is not None
            base = Fraction(1, 100_000)
            packet.pts = packet.dts = round(shift(float(packet.pts * packet.time_base)) / base)
            packet.time_base = base
            output.mux(packet)
        output.mux(pictures)
    return file.getvalue()


def picture(stream: VideoStream, seconds: float) -> "list[Packet[VideoStream]]":
    """The first frame and the last one, of half a second each."""
    stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
    packets: list[Packet[VideoStream]] = []
    for number in sorted({0, round(2 * seconds) - 1}):
        grey = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 128, np.uint8), format="rgb24")
        grey.pts, grey.time_base = number, Fraction(1, 2)
        packets += stream.encode(grey)
    return packets + stream.encode(None)


def unchanged(time: float) -> float:
    return time


def delayed(seconds: float) -> Shift:
    return lambda time: time + seconds


def gap(at: float, seconds: float) -> Shift:
    return lambda time: time + (seconds if time >= at else 0.0)
