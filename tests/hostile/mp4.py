"""Mp4 files made box by box, so that every table can say what it likes."""

import struct
import zlib

import numpy as np

from tests.support.recordings import Samples


def box(tag: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + tag + body


def full(tag: bytes, *parts: bytes) -> bytes:
    """A box with version and flags, all zero."""
    return box(tag, bytes(4), *parts)


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def sizes(count: int, each: int = 0) -> bytes:
    """`stsz`: with a common size without a table; with 0, a table of empty samples."""
    return full(b"stsz", numbers(each, count), b"" if each else bytes(4 * count))


def track(
    number: int = 1,
    *,
    codec: bytes = b"sowt",
    channels: int = 1,
    table: bytes = sizes(1000, 2),
    times: bytes = full(b"stts", numbers(1, 1000, 1)),
    chunk_samples: int = 1000,
    layout: bytes = b"",
    data_references: bytes = b"",
) -> bytes:
    sound = struct.pack(">HHHHI", channels, 16, 0, 0, 16_000 << 16)
    entry = box(codec, bytes(6), struct.pack(">H", 1), bytes(8), sound, layout)
    samples = box(
        b"stbl",
        full(b"stsd", numbers(1), entry),
        times,
        full(b"stsc", numbers(1, 1, chunk_samples, 1)),
        table,
        full(b"stco", numbers(1, 28)),
    )
    return box(
        b"trak",
        full(b"tkhd", numbers(0, 0, number), bytes(68)),
        box(
            b"mdia",
            full(b"mdhd", numbers(0, 0, 16_000, 16_000, 0)),
            full(b"hdlr", bytes(4), b"soun", bytes(13)),
            box(b"minf", box(b"dinf", full(b"dref", numbers(1), data_references)), samples),
        ),
    )


def movie(*tracks: bytes, sound: bytes = bytes(32_000), more: bytes = b"") -> bytes:
    """`more` follows the header inside `moov`."""
    return (
        box(b"ftyp", b"M4A ", bytes(4), b"isom")
        + box(b"mdat", sound)
        + box(b"moov", full(b"mvhd", bytes(96)), *tracks, more)
    )


def fragments(tracks: int, runs: int, samples: int) -> bytes:
    """Runs of samples that are announced and not there: 16 bytes for as many as one likes."""
    known = [track(number + 1, codec=b".mp3") for number in range(tracks)]
    extends = [full(b"trex", numbers(number + 1, 1, 1, 1, 0)) for number in range(tracks)]
    run = full(b"trun", numbers(samples))
    parts = [
        box(b"traf", box(b"tfhd", numbers(0x20000, number + 1)), run * runs)
        for number in range(tracks)
    ]
    fragment = box(b"moof", full(b"mfhd", bytes(4)), *parts)
    return movie(*known, more=box(b"mvex", *extends)) + fragment


def tables(tracks: int, samples: int) -> bytes:
    """Tracks of samples of one size: 20 bytes for as many as one likes, and an index for each."""
    times = full(b"stts", numbers(1, samples, 1024))
    return movie(
        *(
            track(
                number + 1,
                codec=b".mp3",
                table=sizes(samples, 1),
                times=times,
                chunk_samples=samples,
            )
            for number in range(tracks)
        )
    )


def elsewhere(address: bytes) -> bytes:
    """A movie whose sound lies in another file, by both ways that QuickTime has to say so."""
    url = box(b"url ", bytes(4), address + b"\0")
    alias = box(b"alis", bytes(4), bytes(150), struct.pack(">hH", 2, len(address)), address)
    return movie(track(data_references=url), track(2, data_references=alias))


def reference_movie(address: bytes) -> bytes:
    """A movie that is only the address of another."""
    entry = full(b"rdrf", b"url ", numbers(len(address)), address)
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", entry)))


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = box(b"moov", content)
    return box(b"ftyp", b"M4A ", bytes(4)) + content


def compressed_header(size: int) -> bytes:
    """A `moov` of zeros that zlib has made small."""
    packed = zlib.compress(bytes(size))
    inner = box(b"dcom", b"zlib") + box(b"cmvd", numbers(size), packed)
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"cmov", inner))


def own_layout(left: Samples, right: Samples) -> bytes:
    """Two channels in places that no layout of FFmpeg has; PyAV frees such a layout twice."""
    places = box(b"chnl", bytes(4), bytes([1, 0, 0, 40]))
    sound = (np.stack([left, right], axis=1) * 32_767).astype("<i2").tobytes()
    count = len(sound) // 4
    return movie(
        track(
            channels=2,
            table=sizes(count, 4),
            times=full(b"stts", numbers(1, count, 1)),
            chunk_samples=count,
            layout=places,
        ),
        sound=sound,
    )
