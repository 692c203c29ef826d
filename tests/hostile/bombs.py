"""Files that claim what they do not have, and files that hold more than they seem."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av.audio.stream import AudioStream

from tests.hostile import mp4
from tests.support.recordings import encode, mp3, silence


def wav_header(
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    size: int | None = None,
    seconds: float = 1.0,
    kind: int = 1,
    body: bytes | None = None,
) -> bytes:
    """A wav of a tone whose header says whatever it is told."""
    tone = np.sin(np.arange(int(16_000 * seconds)) / 5) * 8_000
    body = tone.astype("<i2").tobytes() if body is None else body
    align = channels * bits // 8
    sound = struct.pack(
        "<HHIIHH", kind, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits
    )
    length = len(body) if size is None else size
    head = b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + sound + b"data" + struct.pack("<I", length) + body


def headers() -> dict[str, bytes]:
    lies: dict[str, bytes] = {}
    for rate in (0, 1, 10, 1_999, 1_000_000, 2**31 - 1, 2**32 - 1):
        lies[f"{rate}_hz.wav"] = wav_header(rate=rate, seconds=10)
    for channels in (0, 9, 24, 25, 64, 65, 255, 1_000, 65_535):
        lies[f"{channels}_channels.wav"] = wav_header(channels=channels, seconds=60)
    for bits in (0, 1, 7, 33, 64, 65_535):
        lies[f"{bits}_bits.wav"] = wav_header(bits=bits)
    for size in (0, 1, 2**31, 2**32 - 1):
        lies[f"{size}_bytes.wav"] = wav_header(size=size)
    for kind in (0, 0x55, 0xFFFE, 0xFFFF):
        lies[f"kind_{kind}.wav"] = wav_header(kind=kind)
    for value in (np.nan, np.inf, -np.inf, 1e30):
        tone = np.sin(np.arange(16_000, dtype=np.float32) / 5)
        tone[::100] = value
        lies[f"{value}_samples.wav"] = wav_header(kind=3, bits=32, body=tone.tobytes())
    return lies


# --- bombs -----------------------------------------------------------------------------------


def constant_flac(hours: float, value: int = 9_000, block: int = 65_535) -> bytes:
    """20 KB for an hour."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=16_000, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.codec_context.options = {"frame_size": str(block)}
        sound = np.full((1, block), value, np.int16)
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.sample_rate = 16_000
        for number in range(round(hours * 3_600 * 16_000 / block)):
            frame.pts = number * block
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def tiny_packets(container: str, table_of_contents: int, count: int, milliseconds: float) -> bytes:
    """Opus packets of one byte: nothing but how long their silence lasts."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("libopus", rate=48_000, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.codec_context.open()
        for number in range(count):
            packet = av.Packet(bytes([table_of_contents]))
            packet.stream = stream
            packet.time_base = Fraction(1, 48_000)
            packet.duration = int(milliseconds * 48)
            packet.pts = packet.dts = number * packet.duration
            output.mux(packet)
    return file.getvalue()


def bombs() -> dict[str, Callable[[], bytes]]:
    huge = 2**31 - 1
    many = mp4.numbers(1, huge, 1)
    low = partial(encode, silence(10), "mp3", "libmp3lame", rate=8_000, bit_rate=8_000)
    return {
        # More than MAX_GROWTH_MIB of samples (tests/test_hostile_uploads.py).
        "two_hours_of_a_constant.flac": lambda: constant_flac(2),
        "five_minutes_of_silence.mp3": lambda: low() * 30,
        "ten_minutes_in_bytes.ogg": lambda: tiny_packets("ogg", 0x18, 10_000, 60),
        "tiny_packets.webm": lambda: tiny_packets("webm", 0x80, 20_000, 2.5),
        "fragment.mp4": lambda: mp4.fragments(1, 1, 50_000_000),
        "fragments.mp4": lambda: mp4.fragments(1, 30, 1_000_000),
        "tracks.mp4": lambda: mp4.fragments(30, 1, 1_000_000),
        "table.mp4": lambda: mp4.tables(1, 2_700_000),
        "30_tables.mp4": lambda: mp4.tables(30, 2_700_000),
        "60_tables.mp4": lambda: mp4.tables(60, 2_700_000),
        "190_tables.mp4": lambda: mp4.tables(190, 2_700_000),
        "most_that_is_allowed.mp4": lambda: mp4.fragments(1, 1, 2_000_000),
        "empty_samples.mp4": lambda: mp4.movie(
            mp4.track(codec=b".mp3", table=mp4.sizes(5_000_000), chunk_samples=5_000_000)
        ),
        "announced_samples.mp4": lambda: mp4.movie(mp4.track(table=mp4.sizes(huge, 1))),
        "times.mp4": lambda: mp4.movie(mp4.track(times=mp4.full(b"stts", many))),
        "offsets.mp4": lambda: mp4.movie(mp4.track(times=mp4.full(b"ctts", many))),
        "nested.mp4": lambda: mp4.nested(20_000),
        "compressed_header.mov": lambda: mp4.compressed_header(200_000_000),
        "large_tag.mp3": lambda: b"ID3\x04\x00\x00\x5f\x00\x00\x00" + mp3(silence(1)),
        "large_picture.flac": lambda: b"fLaC\x06\xff\xff\xff" + bytes(1_000),
        "large_element.webm": lambda: b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xfe",
    }
