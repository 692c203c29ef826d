"""Any audio or video file -> blocks of PCM, recognised by content and never by name.

Blocking and pull-driven: the file is read no further than blocks are requested. For untrusted
files, `app/audio/decoder_process.py` runs these functions in processes with limits.
"""

from collections.abc import Iterator
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from app.audio import ffmpeg_guards
from app.audio.channels import Channels
from app.audio.containers import Readable, open_file, open_stream
from app.domain import SAMPLE_RATE, Samples
from app.errors import AudioTooShort, UndecodableAudio

BLOCK_SAMPLES = 64 * 512
"""About 2 s: whole Silero frames, short enough that the first window is complete at once."""

STREAM_BLOCK_SAMPLES = 1_600
"""0.1 s, a delay that speakers do not notice: packets of 10 to 60 ms are joined."""

MIN_SECONDS = 0.1
"""Shortest recording, as OpenAI has it (docs/contract.md §4, `audio_too_short`)."""


def announced_seconds(file: BinaryIO) -> float | None:
    """The length in the file's header, unverified; None if there is none.

    Cheap, since nothing is decoded. Raises UndecodableAudio if the file cannot be opened.
    """
    try:
        with open_file(file) as container:
            duration = container.duration
    except UnicodeDecodeError as error:
        raise _corrupted() from error
    return None if duration is None else max(0.0, duration / av.time_base)


def decode_channels(file: BinaryIO, *, split: bool) -> Iterator[Channels]:
    """The recording in blocks of shape (channels, <= BLOCK_SAMPLES), float32, 16 kHz.

    `split` keeps the two channels of a stereo recording apart. Other recordings are mixed down to
    one: the channels of surround sound are positions in a room and not speakers.

    `file` must be seekable (an mp4 may keep its index at the end). Damage in the middle is skipped
    as FFmpeg does. Raises UndecodableAudio when no audio comes out at all, and AudioTooShort at
    the end of a recording under `MIN_SECONDS`.
    """
    total = 0
    try:
        with open_file(file) as container:
            stereo = split and container.streams.audio[0].layout.nb_channels == 2
            for block in _blocks(container, 2 if stereo else 1, BLOCK_SAMPLES):
                total += block.shape[1]
                yield block
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        # FFmpeg's messages may contain addresses of its internals: they stay in the cause only.
        raise _corrupted() from error
    if total == 0:
        raise _corrupted()
    if total < MIN_SECONDS * SAMPLE_RATE:
        raise AudioTooShort(
            f"Audio file is too short. Minimum audio length is {MIN_SECONDS} seconds.", "file"
        )


def decode_stream(source: Readable) -> Iterator[Samples]:
    """A stream that arrives in pieces, in blocks of shape (<= STREAM_BLOCK_SAMPLES,), 16 kHz.

    Blocks as `source` does. Raises UndecodableAudio as `open_stream` does, and for a stream that
    breaks off before any sound.
    """
    try:
        with open_stream(source) as container:
            for block in _blocks(container, 1, STREAM_BLOCK_SAMPLES):
                yield block[0]
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise _corrupted() from error


def _corrupted() -> UndecodableAudio:
    return UndecodableAudio("Audio file might be corrupted or unsupported", "file")


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """Every frame that can be decoded; damaged packets are skipped.

    The recording ends where the container breaks off, or after too many packets without sound.
    """
    packets = container.demux(container.streams.audio[0])
    decoded = idle = 0
    while idle < ffmpeg_guards.MAX_IDLE_PACKETS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            if not decoded:
                raise
            return
        idle += 1
        try:
            frames = packet.decode()
        except (av.error.InvalidDataError, av.error.ArgumentError):
            continue
        for frame in frames:
            decoded += 1
            idle = 0
            yield frame


def _resampled(container: InputContainer, channel_count: int) -> Iterator[Channels]:
    resampler = None
    shape = None
    for frame in _frames(container):
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            # A stream may change its format midway (chained ogg, broadcast recordings).
            ffmpeg_guards.check_sound(frame)
            if resampler is not None:
                yield from _pcm(resampler.resample(None), channel_count)
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            is_kept = frame.layout.nb_channels == channel_count
            layout = frame.layout if is_kept else "mono"
            resampler = AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE)
        frame.pts = None  # gaps in the timestamps are not silence in the recording
        assert resampler is not None
        yield from _pcm(resampler.resample(frame), channel_count)
    if resampler is not None:
        yield from _pcm(resampler.resample(None), channel_count)


def _pcm(frames: list[AudioFrame], channel_count: int) -> Iterator[Channels]:
    for frame in frames:
        planes = frame.to_ndarray().astype(np.float32, copy=False)
        # Where a stereo stream turns mono, its second channel is silent.
        missing = channel_count - len(planes)
        yield np.pad(planes, ((0, missing), (0, 0))) if missing else planes


def _blocks(container: InputContainer, channel_count: int, size: int) -> Iterator[Channels]:
    """All of the sound in blocks of `size` samples, the last one shorter."""
    waiting: list[Channels] = []
    count = 0
    for piece in _resampled(container, channel_count):
        waiting.append(piece)
        count += piece.shape[1]
        if count >= size:
            joined = _limited(np.concatenate(waiting, axis=1))
            whole = count - count % size
            for at in range(0, whole, size):
                yield joined[:, at : at + size]
            waiting, count = [joined[:, whole:]], count - whole
    if count:
        yield _limited(np.concatenate(waiting, axis=1))


def _limited(samples: Channels) -> Channels:
    """The samples clipped to -1..1: floats may be infinite, NaN, or a million times too loud."""
    return np.nan_to_num(samples, copy=False, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
