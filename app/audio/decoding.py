"""Any audio or video file -> blocks of PCM, recognised by content and never by name.

Blocking and pull-driven: the file is read no further than blocks are requested. For untrusted
files, `app/audio/decoder_process.py` runs these functions in processes with limits.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from app.audio import container_clock, ffmpeg_guards
from app.audio.channels import Channels
from app.audio.containers import Readable, frames_of, open_file, open_stream
from app.audio.mixing import Layout, mixed
from app.audio.tracks import index_of_sounding, readable
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

    Cheap, since nothing is decoded. Raises UndecodableAudio if the file cannot be opened, or has
    no track of a supported encoding.
    """
    try:
        with open_file(file) as container:
            readable(container)
            return container_clock.announced_seconds(container)
    except UnicodeDecodeError as error:
        raise _corrupted() from error


def decode_channels(file: BinaryIO, *, split: bool) -> Iterator[Channels]:
    """The recording in blocks of shape (channels, <= BLOCK_SAMPLES), float32, 16 kHz.

    `split` keeps the two channels of a stereo recording apart. Other recordings are mixed down to
    one: the channels of surround sound are positions in a room and not speakers.

    Where the file's clock has a gap, there is silence (`container_clock`).

    `file` must be seekable (an mp4 may keep its index at the end). Damage in the middle is skipped
    as FFmpeg does. Raises UndecodableAudio when no audio comes out at all, and AudioTooShort at
    the end of a recording under `MIN_SECONDS`.
    """
    total = 0
    try:
        with _track(file) as (container, track):
            stereo = split and Layout(track.layout).channel_count == 2
            frames = container_clock.spaced(container, _frames(container, track), is_live=False)
            for block in _blocks(frames, 2 if stereo else 1, BLOCK_SAMPLES):
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

    Blocks as `source` does. Raises UndecodableAudio as `open_stream` does, for a stream without a
    track of a supported encoding, and for one that breaks off before any sound.
    """
    try:
        with open_stream(source) as container:
            track = readable(container)[0]
            frames = container_clock.spaced(container, _frames(container, track), is_live=True)
            for block in _blocks(frames, 1, STREAM_BLOCK_SAMPLES):
                yield block[0]
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise _corrupted() from error


def _corrupted() -> UndecodableAudio:
    return UndecodableAudio("Audio file might be corrupted or unsupported", "file")


@contextmanager
def _track(file: BinaryIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    """The opened file, and its track that is transcribed. Raises UndecodableAudio."""
    with open_file(file) as container:
        tracks = readable(container)
        if len(tracks) == 1:
            yield container, tracks[0]
            return
        index = index_of_sounding(container, tracks)
    with open_file(file) as container:
        stream = container.streams[index]
        assert isinstance(stream, AudioStream)
        yield container, stream


def _frames(container: InputContainer, track: AudioStream) -> Iterator[AudioFrame]:
    """Every frame that can be decoded; damaged packets are skipped.

    The recording ends where the container breaks off, or after too many packets without sound.
    """
    packets = container.demux(track)
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
        for frame in frames_of(packet):
            decoded += 1
            idle = 0
            yield frame


def _resampled(
    spaced_frames: Iterable[tuple[float, AudioFrame]], channel_count: int
) -> Iterator[Channels]:
    resampler = None
    shape = None
    for silence, frame in spaced_frames:
        layout = Layout(frame.layout)
        if silence or shape != (frame.format.name, layout.name, frame.sample_rate):
            # A stream may change its format midway (chained ogg, broadcast recordings).
            ffmpeg_guards.check_sound(layout.channel_count, frame.sample_rate)
            if resampler is not None:
                yield from _pcm(resampler.resample(None), channel_count)
            shape = (frame.format.name, layout.name, frame.sample_rate)
            resampler = None
            yield from _silence(round(silence * SAMPLE_RATE), channel_count)
        if not layout.is_mixed_by_ffmpeg:
            frame = mixed(frame, layout, channel_count)
        if resampler is None:
            is_kept = frame.layout.nb_channels == channel_count
            target = frame.layout if is_kept else "mono"
            resampler = AudioResampler(format="fltp", layout=target, rate=SAMPLE_RATE)
        frame.pts = None  # FFmpeg would fill gaps too, but of any length
        yield from _pcm(resampler.resample(frame), channel_count)
    if resampler is not None:
        yield from _pcm(resampler.resample(None), channel_count)


def _silence(count: int, channel_count: int) -> Iterator[Channels]:
    for at in range(0, count, BLOCK_SAMPLES):
        yield np.zeros((channel_count, min(BLOCK_SAMPLES, count - at)), np.float32)


def _pcm(resampled: list[AudioFrame], channel_count: int) -> Iterator[Channels]:
    for frame in resampled:
        planes = frame.to_ndarray().astype(np.float32, copy=False)
        # Where a stereo stream turns mono, its second channel is silent.
        missing = channel_count - len(planes)
        yield np.pad(planes, ((0, missing), (0, 0))) if missing else planes


def _blocks(
    spaced_frames: Iterable[tuple[float, AudioFrame]], channel_count: int, size: int
) -> Iterator[Channels]:
    """All of the sound in blocks of `size` samples, the last one shorter.

    `spaced_frames`: each with the seconds of silence before it.
    """
    waiting: list[Channels] = []
    count = 0
    for piece in _resampled(spaced_frames, channel_count):
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
