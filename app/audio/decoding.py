"""Any audio or video file -> blocks of PCM, judged by its content and never by its name.

Blocking and pull-driven: nothing is read that was not asked for. It knows nothing of speech.
"""

from collections.abc import Iterator
from io import SEEK_SET
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from app.audio import limits
from app.audio.channels import Channels
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

# Decoders of what these hold. All others stay shut, those of pictures too, which FFmpeg would run
# to find out more about a film than anybody here asks.
_CODECS = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,adpcm_yamaha,alac,amrnb,amrwb,"
    "dca,eac3,flac,g722,g723_1,g726,g726le,gsm,gsm_ms,ilbc,libopencore_amrnb,libopencore_amrwb,"
    "libopus,mp1,mp1float,mp2,mp2float,mp3,mp3float,nellymoser,opus,pcm_alaw,pcm_bluray,pcm_dvd,"
    "pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,"
    "pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,speex,truespeech,vorbis,wavpack,wmalossless,wmapro,wmav1,"
    "wmav2,wmavoice"
)

_OPTIONS = {
    "format_whitelist": _DEMUXERS,
    "codec_whitelist": _CODECS,
    "protocol_whitelist": "pipe",
    "max_streams": str(limits.MAX_STREAMS),
    # FFmpeg looks for DTS inside the PCM of a wav for 2.5 ms, longer than decoding a clip takes.
    "max_probe_packets": "4",
}

limits.limit_allocations()


def decode(file: BinaryIO) -> Iterator[Samples]:
    """The recording, mixed down to one channel: what `decode_channels` gives, without its rows."""
    for block in decode_channels(file, split=False):
        yield block[0]


def announced_seconds(file: BinaryIO) -> float | None:
    """The length that the file's header claims; None if it has none or cannot be opened.

    Cheap, for nothing is decoded, and as true as whoever wrote the file. Blocking.
    """
    try:
        with _opened(file) as container:
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
        with _opened(file) as container:
            stereo = split and container.streams.audio[0].layout.nb_channels == 2
            for block in _blocks(_resampled(container, 2 if stereo else 1)):
                total += block.shape[1]
                # Floats may hold anything: infinities, no numbers at all, a million times too loud.
                yield np.nan_to_num(block, copy=False, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        # FFmpeg's own words may hold addresses of its internals: they go into the cause only.
        raise _corrupted() from error
    if total == 0:
        raise _corrupted()
    if total < MIN_SECONDS * SAMPLE_RATE:
        raise AudioTooShort(
            f"Audio file is too short. Minimum audio length is {MIN_SECONDS} seconds.", "file"
        )


class _Source:
    """The file as FFmpeg sees it, which goes to places that no file has if a header says so.

    A file then raises, and PyAV prints a traceback for each time; FFmpeg understands a -1.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


def _opened(file: BinaryIO) -> InputContainer:
    if not file.read(1):
        raise UndecodableAudio("The audio file is empty.", "file")
    limits.check_fragments(file)
    try:
        container = av.open(
            _Source(file),
            mode="r",
            metadata_errors="ignore",
            options=_OPTIONS,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UndecodableAudio(
            f"Invalid file format. Supported formats: {SUPPORTED}", "file"
        ) from error
    try:
        _check_track(container)
    except UndecodableAudio:
        container.close()
        raise
    return container


def _check_track(container: InputContainer) -> None:
    if not container.streams.audio:
        raise UndecodableAudio("The file has no audio track.", "file")
    stream = container.streams.audio[0]
    if stream.codec_context is None or stream.codec_context.name not in _CODECS.split(","):
        raise UndecodableAudio("The audio track has an encoding that is not supported.", "file")
    limits.check_layout(stream.layout)


def _corrupted() -> UndecodableAudio:
    return UndecodableAudio("Audio file might be corrupted or unsupported", "file")


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """Every frame that can be decoded; a damaged packet costs only itself.

    The recording ends where the container breaks off, or no sound came for too many packets.
    """
    packets = container.demux(container.streams.audio[0])
    decoded = idle = 0
    while idle < limits.MAX_IDLE_PACKETS:
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
            limits.check_sound(frame)
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


def _blocks(pieces: Iterator[Channels]) -> Iterator[Channels]:
    waiting: list[Channels] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += piece.shape[1]
        if count >= BLOCK_SAMPLES:
            joined = np.concatenate(waiting, axis=1)
            whole = count - count % BLOCK_SAMPLES
            for at in range(0, whole, BLOCK_SAMPLES):
                yield joined[:, at : at + BLOCK_SAMPLES]
            waiting, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(waiting, axis=1)
