"""Any audio or video file -> blocks of PCM, judged by its content and never by its name.

Blocking and pull-driven: nothing is read that was not asked for. It knows nothing of speech.
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
"""About 2 s: whole Silero frames, small enough that the first window is found at once."""

STREAM_BLOCK_SAMPLES = 1_600
"""0.1 s, which nobody notices who speaks: packets of 10 to 60 ms are put together."""

MIN_SECONDS = 0.1
"""OpenAI refuses less (docs/contract.md §4, `audio_too_short`)."""


def decode(file: BinaryIO) -> Iterator[Samples]:
    """The recording, mixed down to one channel: what `decode_channels` gives, without its rows."""
    for block in decode_channels(file, split=False):
        yield block[0]


def announced_seconds(file: BinaryIO) -> float | None:
    """The length that the file's header claims; None if it has none or cannot be opened.

    Cheap, for nothing is decoded, and as true as whoever wrote the file. Blocking.
    """
    try:
        with open_file(file) as container:
            duration = container.duration
    except (UndecodableAudio, UnicodeDecodeError):
        return None  # decoding will say what is wrong
    finally:
        file.seek(0)
    return None if duration is None else max(0.0, duration / av.time_base)


def decode_channels(file: BinaryIO, *, split: bool) -> Iterator[Channels]:
    """The recording in blocks of shape (channels, <= BLOCK_SAMPLES), float32, 16 kHz.

    `split` keeps the two channels of a stereo recording apart. All others are mixed down to one:
    those of surround sound are places in a room and not people.

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
        # FFmpeg's own words may hold addresses of its internals: they go into the cause only.
        raise _corrupted() from error
    if total == 0:
        raise _corrupted()
    if total < MIN_SECONDS * SAMPLE_RATE:
        raise AudioTooShort(
            f"Audio file is too short. Minimum audio length is {MIN_SECONDS} seconds.", "file"
        )


def decode_stream(source: Readable) -> Iterator[Samples]:
    """Sound that comes in pieces, in blocks of shape (<= STREAM_BLOCK_SAMPLES,) as it comes.

    Blocks as `source` does. Raises UndecodableAudio for what `open_stream` cannot open, and for
    what breaks off before any sound.
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
    """Every frame that can be decoded; a damaged packet costs only itself.

    The recording ends where the container breaks off, or no sound came for too many packets.
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
        frame.pts = None  # gaps in the clock are not silence in the recording
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
    """All of the sound in pieces of `size` samples, the last one shorter."""
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
    """Floats may hold anything: infinities, no numbers at all, a million times too loud."""
    return np.nan_to_num(samples, copy=False, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
