"""Supported containers and codecs, and opening them: recognised by content, never by name."""

from io import SEEK_SET
from typing import BinaryIO, Protocol

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from app.audio import ffmpeg_guards
from app.errors import UndecodableAudio

SUPPORTED = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"

# Demuxers that read one stream of bytes. Playlists, concatenations and image sequences name other
# files and are left out; FFmpeg itself refuses every format that is not listed.
_DEMUXERS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mlp,mov,mp3,mpeg,mpegts,"
    "ogg,truehd,tta,w64,wav,wv"
)

# Audio decoders of these containers. All others are disabled, including those of pictures, which
# FFmpeg would run to find out more about a film.
_CODEC_NAMES = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,adpcm_yamaha,alac,amrnb,amrwb,"
    "dca,eac3,flac,g722,g723_1,g726,g726le,gsm,gsm_ms,ilbc,libopencore_amrnb,libopencore_amrwb,"
    "libopus,mlp,mp1,mp1float,mp2,mp2float,mp3,mp3float,nellymoser,opus,pcm_alaw,pcm_bluray,pcm_dvd,"
    "pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,"
    "pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,speex,truehd,truespeech,tta,vorbis,wavpack,wmalossless,wmapro,wmav1,"
    "wmav2,wmavoice"
)
CODECS = frozenset(_CODEC_NAMES.split(","))

_OPTIONS = {
    "format_whitelist": _DEMUXERS,
    "codec_whitelist": _CODEC_NAMES,
    "protocol_whitelist": "pipe",
    "max_streams": str(ffmpeg_guards.MAX_STREAMS),
    # FFmpeg looks for DTS inside the PCM of a wav for 2.5 ms, longer than decoding a clip takes.
    "max_probe_packets": "4",
}

_STREAM_OPTIONS = _OPTIONS | {
    # An mp4 has its index at its end, or in fragments whose samples can be counted in a file only.
    "format_whitelist": ",".join(each for each in _DEMUXERS.split(",") if each != "mov"),
    # FFmpeg would hold back 2 s of a wav and an mp3 to verify their headers.
    "probesize": "32",
    # FFmpeg would read a megabyte of a stream without audio before it fails.
    "formatprobesize": "16384",
}

ffmpeg_guards.limit_allocations()


class Readable(Protocol):
    """A stream of bytes. `read` waits for at least one byte; returns none at the end."""

    def read(self, size: int, /) -> bytes: ...


def open_file(file: BinaryIO) -> InputContainer:
    """Open a container from the start of `file`, which must be seekable.

    Raises UndecodableAudio.
    """
    file.seek(0)
    if not file.read(1):
        raise UndecodableAudio("The audio file is empty.", "file")
    ffmpeg_guards.check_fragments(file)
    return _opened(_File(file), _OPTIONS)


def open_stream(source: Readable) -> InputContainer:
    """Open a container that cannot be sought; mp4 is not supported. Blocks as `source` does.

    Raises UndecodableAudio.
    """
    return _opened(source, _STREAM_OPTIONS)


class _File:
    """A file for FFmpeg, which seeks to impossible positions if a header has them.

    A Python file then raises, and PyAV prints a traceback each time; FFmpeg understands a -1.
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


def frames_of(packet: "Packet[AudioStream]") -> list[AudioFrame]:
    """The frames that a packet of an audio track completes; none if it is damaged."""
    try:
        return packet.decode()
    except (av.error.InvalidDataError, av.error.ArgumentError):
        return []


def _opened(source: Readable, options: dict[str, str]) -> InputContainer:
    try:
        return av.open(source, mode="r", metadata_errors="ignore", options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise UndecodableAudio(
            f"Invalid file format. Supported formats: {SUPPORTED}", "file"
        ) from error
