"""Files that mean harm or have come to it, all made by script.

Every one of them must answer 200 or 4xx in time, within memory, and touch nothing outside itself.
"""

from collections.abc import Iterator

import numpy as np

from tests.hostile import mp4
from tests.hostile.bombs import bombs, headers
from tests.hostile.references import archives, linked_segments, playlists
from tests.support.recordings import MEDIA, Maker, Samples, encode, mp3, stereo, wav

# --- streams that change, and small ones -----------------------------------------------------


def changing(clip: Samples) -> dict[str, bytes]:
    short = clip[:8_000]
    voices = stereo(short, np.float32(0.5) * short)

    def parts(container: str, codec: str, first: int, second: int) -> bytes:
        mono = encode(short, container, codec, rate=first)
        return mono + encode(voices, container, codec, rate=second, layout="stereo")

    adts = parts("adts", "aac", 16_000, 48_000)
    layers = parts("mp3", "libmp3lame", 8_000, 44_100)
    return {
        "rates_and_channels.mp3": layers * 5,
        "rates_and_channels.aac": adts * 5,
        "rates_and_channels.ogg": parts("ogg", "libopus", 48_000, 48_000) * 5,
        "codecs.aac": adts + layers + adts,
        "containers.ogg": MEDIA["opus.ogg"](short) + MEDIA["lossless.flac"](short),
        "rates.flac": parts("flac", "flac", 8_000, 48_000) * 3,
        "own_layout.mp4": mp4.own_layout(short, short),
        "tiny_track.mp4": encode(clip[:3_000], "mp4", "aac", picture="libx264"),
        "one_sample.wav": wav(clip[:1]),
        "one_frame.mp3": mp3(clip[:1_000]),
        "one_frame.flac": MEDIA["lossless.flac"](clip[:100]),
        "unknown_sizes.webm": MEDIA["browser.webm"](clip)[:-1] + b"\x1f\x43\xb6\x75\x01" * 50,
        "linked_segments.mkv": linked_segments(clip),
    }


MAGIC = {
    "riff.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
    "flac": b"fLaC\x00\x00\x00\x22",
    "ogg": b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead",
    "id3.mp3": b"ID3\x03\x00\x00\x00\x00\x0f\x76",
    "mp3": b"\xff\xfb\x90\x64",
    "aac": b"\xff\xf1\x50\x80",
    "mp4": b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00moov",
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01",
    "avi": b"RIFF\xff\xff\xff\xffAVI LIST",
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "flv": b"FLV\x01\x05\x00\x00\x00\x09",
    "ts": b"G@\x00\x10\x00",
    "mpeg": b"\x00\x00\x01\xba\x44",
    "amr": b"#!AMR\n",
    "caf": b"caff\x00\x01\x00\x00desc",
    "aiff": b"FORM\x00\xff\xff\xffAIFFCOMM",
    "au": b".snd\x00\x00\x00\x18",
    "w64": b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    "ac3": b"\x0b\x77",
}


def named(clip: Samples) -> Iterator[tuple[str, bytes]]:
    """The cases that have a name, one after the other: some are large."""
    noise = np.random.default_rng(5).bytes(100_000)
    text = b"This is not sound, whatever it begins with.\n" * 500
    for content in (playlists(), archives(clip), headers(), changing(clip)):
        yield from content.items()
    for name, make in bombs().items():
        yield name, make()
    for name, start in MAGIC.items():
        yield f"noise.{name}", start + noise
        yield f"text.{name}", start + text


def damaged(make: Maker, clip: Samples, seed: int) -> Iterator[tuple[str, bytes]]:
    """One real file cut short at every tenth, and with bytes turned over in ten places."""
    content = make(clip)
    for tenth in range(1, 10):
        yield f"{tenth} tenths", content[: len(content) * tenth // 10]
    for number in range(10):
        yield f"flips {number}", flipped(content, seed=10 * seed + number)


def flipped(content: bytes, seed: int) -> bytes:
    """The file with ten bytes turned over, with an even seed in the header, where they do more."""
    chance = np.random.default_rng(seed)
    changed = np.frombuffer(content, np.uint8).copy()
    reach = len(changed) if seed % 2 else min(512, len(changed))
    changed[chance.integers(reach, size=10)] ^= chance.integers(1, 256, 10, dtype=np.uint8)
    return changed.tobytes()
