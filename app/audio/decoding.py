"""Any audio or video file -> blocks of mono PCM, judged by its content and never by its name.

Blocking and pull-driven: nothing is read that was not asked for. It knows nothing of speech.
"""

from collections.abc import Iterator
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from app.domain import SAMPLE_RATE, Samples
from app.errors import AudioTooShort, UndecodableAudio

BLOCK_SAMPLES = 64 * 512
"""About 2 s: whole Silero frames, small enough that the first window is found at once."""

MIN_SECONDS = 0.1
"""OpenAI refuses less (docs/contract.md §4, `audio_too_short`)."""

SUPPORTED = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"

# Demuxers that read one stream of bytes. Playlists, concatenations and image sequences name other
# files and are left out; FFmpeg itself refuses every format that is not listed.
_DEMUXERS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp3,mpeg,mpegts,ogg,w64,wav"
)

_OPTIONS = {
    "format_whitelist": _DEMUXERS,
    "protocol_whitelist": "pipe",
    # FFmpeg looks for DTS inside the PCM of a wav for 2.5 ms, longer than decoding a clip takes.
    "max_probe_packets": "4",
}


def decode(file: BinaryIO) -> Iterator[Samples]:
    """The recording in blocks of shape (<= BLOCK_SAMPLES,), float32, mono, 16 kHz.

    `file` must be seekable (an mp4 may keep its index at the end). Channels are mixed down.
    Damage in the middle is skipped as FFmpeg does. Raises UndecodableAudio when no audio comes
    out at all, and AudioTooShort at the end of a recording under `MIN_SECONDS`.
    """
    total = 0
    try:
        with _opened(file) as container:
            for block in _blocks(_resampled(container)):
                total += len(block)
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


def _opened(file: BinaryIO) -> InputContainer:
    if not file.read(1):
        raise UndecodableAudio("The audio file is empty.", "file")
    file.seek(0)
    try:
        container = av.open(
            file,
            mode="r",
            metadata_errors="ignore",
            options=_OPTIONS,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UndecodableAudio(
            f"Invalid file format. Supported formats: {SUPPORTED}", "file"
        ) from error
    if not container.streams.audio:
        container.close()
        raise UndecodableAudio("The file has no audio track.", "file")
    return container


def _corrupted() -> UndecodableAudio:
    return UndecodableAudio("Audio file might be corrupted or unsupported", "file")


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """Every frame that can be decoded; a damaged packet costs only itself."""
    stream = container.streams.audio[0]
    decoded = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            if not decoded:
                raise
            return  # the container breaks off; what came before is the recording
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            decoded += 1
            yield frame


def _resampled(container: InputContainer) -> Iterator[Samples]:
    resampler = None
    shape = None
    for frame in _frames(container):
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            # A stream may change its format midway (chained ogg, broadcast recordings).
            if resampler is not None:
                yield from _pcm(resampler.resample(None))
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        frame.pts = None  # gaps in the clock are not silence in the recording
        assert resampler is not None
        yield from _pcm(resampler.resample(frame))
    if resampler is not None:
        yield from _pcm(resampler.resample(None))


def _pcm(frames: list[AudioFrame]) -> Iterator[Samples]:
    for frame in frames:
        yield frame.to_ndarray().reshape(-1).astype(np.float32, copy=False)


def _blocks(pieces: Iterator[Samples]) -> Iterator[Samples]:
    waiting: list[Samples] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        if count >= BLOCK_SAMPLES:
            joined = np.concatenate(waiting)
            whole = count - count % BLOCK_SAMPLES
            for at in range(0, whole, BLOCK_SAMPLES):
                yield joined[at : at + BLOCK_SAMPLES]
            waiting, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(waiting)
