"""The one audio track of a film, or of a screen recording, that is transcribed."""

from collections.abc import Sequence
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition

from app.audio.containers import CODECS, frames_of
from app.audio.ffmpeg_guards import check_sound
from app.audio.mixing import Layout, peak
from app.errors import UndecodableAudio

MAX_COMPARED = 8
"""Tracks of which one is chosen by its sound; screen recorders write six."""

COMPARED_SECONDS = 120.0
"""A track that is silent for so long is left for one that is not: about 0.2 s of CPU time each."""

MIN_PEAK = 1e-4
"""-80 dB of full scale, below the noise of a microphone: an unused track of a recorder."""

_MAX_COMPARED_SAMPLES = 100_000_000
"""Samples of all channels and tracks: a track may have 24 channels at 768 kHz."""


def readable(container: InputContainer) -> list[AudioStream]:
    """The tracks of supported encodings, those flagged as default first; at least one.

    Raises UndecodableAudio if there are none.
    """
    if not container.streams.audio:
        raise UndecodableAudio("The file has no audio track.", "file")
    tracks = [
        each
        for each in container.streams.audio
        if each.codec_context is not None and each.codec_context.name in CODECS
    ]
    if not tracks:
        raise UndecodableAudio("The audio track has an encoding that is not supported.", "file")
    return sorted(tracks, key=lambda each: not each.disposition & Disposition.default)


def index_of_sounding(container: InputContainer, tracks: Sequence[AudioStream]) -> int:
    """The index in the file of the first track with sound, else of the first that can be decoded.

    Reads the container up to where the first track has sound, at most `COMPARED_SECONDS`.
    """
    order = [each.index for each in tracks[:MAX_COMPARED]]
    seconds = dict.fromkeys(order, 0.0)
    sounding: set[int] = set()
    samples = 0
    try:
        for packet in container.demux(*tracks[:MAX_COMPARED]):
            index = packet.stream.index
            for frame in frames_of(cast("Packet[AudioStream]", packet)):
                layout = Layout(frame.layout)
                check_sound(layout.channel_count, frame.sample_rate)
                samples += frame.samples * layout.channel_count
                seconds[index] += frame.samples / frame.sample_rate
                if peak(frame, layout) > MIN_PEAK:
                    sounding.add(index)
            is_enough = max(seconds.values()) > COMPARED_SECONDS or samples > _MAX_COMPARED_SAMPLES
            if is_enough or order[0] in sounding:
                break
    except av.error.FFmpegError:
        pass  # the end of a broken file
    by_sound = [each for each in order if each in sounding]
    by_seconds = [each for each in order if seconds[each]]
    return (by_sound or by_seconds or order)[0]
