"""Makes the awkward audio and video files that clients send, from a sample, with PyAV alone.

MEDIA must give the sample's words, DAMAGED must not harm the server, BROKEN must give a 400.
"""

import io
import struct
import tempfile
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # one channel, 16 kHz, -1..1
Maker = Callable[[Samples], bytes]

RATE = 16_000
FOLDER = Path(__file__).resolve().parents[1] / "samples"
"""Synthetic, of words that the starter knows."""
SPEECH = Path(__file__).resolve().parents[2] / "samples"
"""Real speech, which a user sees: for Whisper."""
SENTENCES = (
    "jfk.flac",
    *(f"libri_{each}.wav" for each in ("0870", "0880", "0890", "0920", "0930")),
)
"""92 words of English in `SPEECH`, of which Whisper base transcribes every one."""


# --- reading and writing ---------------------------------------------------------------------


def decode(source: str | Path | bytes) -> Samples:
    """The first audio track of a file, mixed to one channel at 16 kHz."""
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    parts: list[Samples] = []
    with av.open(file, "r") as container:
        for frame in container.decode(audio=0):
            parts += [_values(part) for part in resampler.resample(frame)]
    # A resampler that never saw a frame has nothing to flush and raises.
    if parts:
        parts += [_values(part) for part in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def load_sample(name: str) -> Samples:
    """One recording of tests/samples, e.g. load_sample("12_short_clip.wav")."""
    return decode(FOLDER / name)


def reference(name: str, folder: Path = FOLDER) -> str:
    """What is said in a recording of tests/samples, or of another folder like it."""
    return (folder / name).with_suffix(".txt").read_text(encoding="utf-8").strip()


def _values(frame: av.AudioFrame) -> Samples:
    return frame.to_ndarray().reshape(-1).astype(np.float32)


class _Pipe(io.RawIOBase):
    """A file that cannot seek, so that a muxer cannot go back to fill in lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.content += data
        return len(data)


def encode(
    samples: Samples,
    container: str,
    codec: str,
    *,
    rate: int = RATE,
    layout: str = "mono",
    bit_rate: int | None = None,
    picture: str | None = None,
    streamed: bool = False,
    options: dict[str, str] | None = None,
) -> bytes:
    """A media file of the samples: (n,) is one channel, (channels, n) one row per channel.

    picture names a video codec to add a few frames of; streamed writes without seeking.
    """
    pipe = _Pipe()
    # A named file, for the muxer opens it a second time to move the index to its front.
    with (
        tempfile.NamedTemporaryFile() as file,
        av.open(
            pipe if streamed else file.name, "w", format=container, container_options=options
        ) as output,
    ):
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, AudioStream)
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        if picture is not None:
            _draw(output, picture, seconds=samples.shape[-1] / RATE)
        for frame in _frames(samples, layout, rate, stream):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        output.close()
        return bytes(pipe.content) if streamed else Path(file.name).read_bytes()


def _frames(
    samples: Samples, layout: str, rate: int, stream: AudioStream
) -> Iterator[av.AudioFrame]:
    planes = np.ascontiguousarray(np.atleast_2d(samples))
    if planes.shape[1] == 0:
        return
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
    frame.sample_rate = RATE
    resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _draw(output: OutputContainer, codec: str, seconds: float) -> None:
    """A video track that slowly turns brighter, two pictures a second."""
    per_second = 2
    stream = output.add_stream(codec, rate=per_second)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
    total = max(1, round(seconds * per_second))
    for i in range(total):
        grey = np.full((120, 160, 3), 255 * i // total, np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
    output.mux(stream.encode(None))


# --- sounds ----------------------------------------------------------------------------------


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, level: float = 0.01, seed: int = 0) -> Samples:
    """White noise whose standard deviation is level."""
    values = np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * level
    return np.clip(values, -1, 1).astype(np.float32)


def wav(samples: Samples) -> bytes:
    """The plainest file there is: one channel, 16 bit, 16 kHz."""
    return encode(samples, "wav", "pcm_s16le")


def stereo(left: Samples, right: Samples) -> Samples:
    """Two channels as encode() wants them; the shorter one ends in silence."""
    planes = np.zeros((2, max(len(left), len(right))), np.float32)
    planes[0, : len(left)], planes[1, : len(right)] = left, right
    return planes


def stereo_wav(left: Samples, right: Samples) -> bytes:
    """A call with each side on its own channel."""
    return encode(stereo(left, right), "wav", "pcm_s16le", layout="stereo")


def surround(samples: Samples) -> Samples:
    """5.1 channels with speech in the centre, as in a film."""
    planes = np.zeros((6, len(samples)), np.float32)
    planes[2] = samples
    return planes


def repeat_to(path: Path, samples: Samples, seconds: float, pause: float = 1.0) -> int:
    """Writes a wav of that length in which the samples are repeated; says how often.

    Only whole repetitions are written, each with a pause behind it, then near-silence to the
    end. Memory does not grow with the length: three hours are 345 MB on disk.
    """
    total = round(seconds * RATE)
    once = np.concatenate([samples, noise(pause, level=2e-4)])
    count = total // len(once)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(total)
        once_pcm, second_pcm = _pcm(once), _pcm(noise(1.0, level=2e-4))
        for _ in range(count):
            file.writeframesraw(once_pcm)
        missing = (total - count * len(once)) * 2
        while missing > 0:
            file.writeframesraw(second_pcm[:missing])
            missing -= len(second_pcm)
    return count


def _pcm(samples: Samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


# --- files of unusual make -------------------------------------------------------------------


def wav_with_tail(samples: Samples) -> bytes:
    """Chunks that are not audio before and behind the samples, as recorders write them."""
    content = wav(samples)
    at = content.index(b"data")
    note = b"bext" + struct.pack("<I", 2048) + bytes(2048)
    tail = b"LIST" + struct.pack("<I", 16) + b"INFOISFT" + struct.pack("<I", 4) + b"test"
    body = content[8:at] + note + content[at:] + tail
    return b"RIFF" + struct.pack("<I", len(body)) + body


def mp3(samples: Samples) -> bytes:
    return encode(samples, "mp3", "libmp3lame", bit_rate=64_000)


def tagged_mp3(samples: Samples, size: int = 1_500_000) -> bytes:
    """An ID3v2 tag the size of a cover picture stands before the first audio frame."""
    picture = b"\x00image/jpeg\x00\x03\x00" + bytes(size - 14)
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\x00\x00" + picture
    length = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + length + frame + mp3(samples)


def garbled_mp3(samples: Samples) -> bytes:
    """A twentieth of the file in its middle is noise."""
    content = bytearray(mp3(samples))
    start, size = len(content) // 2, len(content) // 20
    content[start : start + size] = np.random.default_rng(0).bytes(size)
    return bytes(content)


def flac_claiming(samples: Samples, seconds: float) -> bytes:
    """A flac whose header has another length than its sound."""
    content = bytearray(encode(samples, "flac", "flac"))
    at = slice(18, 26)  # of STREAMINFO: rate, channels, bits and, in 36 bits, count of samples
    fields = int.from_bytes(content[at], "big") >> 36 << 36
    content[at] = (fields | round(seconds * RATE)).to_bytes(8, "big")
    return bytes(content)


def truncated(make: Maker, keep: float) -> Maker:
    """The first part of a file, as when an upload breaks off."""

    def cut(samples: Samples) -> bytes:
        content = make(samples)
        return content[: int(len(content) * keep)]

    return cut


def image(codec: str) -> bytes:
    """A grey picture, png or mjpeg."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    picture = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 128, np.uint8), format="rgb24")
    context.width, context.height = 160, 120
    context.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
    context.time_base = Fraction(1, 25)
    packets = context.encode(picture.reformat(format=context.pix_fmt)) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)


def silent_film(_: Samples) -> bytes:
    """A video without an audio track."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        _draw(output, "mpeg4", seconds=4)
    return file.getvalue()


def _file(container: str, codec: str, **settings: Any) -> Maker:
    return partial(encode, container=container, codec=codec, **settings)


aac = partial(encode, container="mp4", codec="aac", bit_rate=64_000)

# Each must give the words of the sample. The names are file names a client might send.
MEDIA: dict[str, Maker] = {
    "pcm16.wav": wav,
    "mulaw_8khz.wav": _file("wav", "pcm_mulaw", rate=8_000),
    "alaw_8khz.wav": _file("wav", "pcm_alaw", rate=8_000),
    "pcm24_48khz.wav": _file("wav", "pcm_s24le", rate=48_000),
    "float32_44khz.wav": _file("wav", "pcm_f32le", rate=44_100),
    "unsigned_8bit.wav": _file("wav", "pcm_u8"),
    "stereo_both.wav": lambda x: encode(stereo(x, x), "wav", "pcm_s16le", layout="stereo"),
    "stereo_left.wav": lambda x: encode(stereo(x, x[:0]), "wav", "pcm_s16le", layout="stereo"),
    "surround.wav": lambda x: encode(surround(x), "wav", "pcm_s16le", layout="5.1"),
    # As ffmpeg writes a wav to a pipe: both sizes in the header are 0xFFFFFFFF.
    "endless.wav": _file("wav", "pcm_s16le", streamed=True),
    "extra_chunks.wav": wav_with_tail,
    "plain.mp3": mp3,
    "large_tag.mp3": tagged_mp3,
    "streamed.mp3": _file("mp3", "libmp3lame", bit_rate=64_000, streamed=True),
    "layer_two.mpga": _file("mp2", "mp2", bit_rate=64_000),
    "lossless.flac": _file("flac", "flac"),
    "archive.wv": _file("wv", "wavpack"),
    "archive.tta": _file("tta", "tta"),
    "broadcast.latm": _file("latm", "aac", bit_rate=64_000),
    "opus.ogg": _file("ogg", "libopus", rate=48_000, bit_rate=32_000),
    "browser.webm": _file("webm", "libopus", rate=48_000, bit_rate=32_000, streamed=True),
    "moov_last.mp4": aac,
    "moov_first.m4a": partial(aac, options={"movflags": "faststart"}),
    "fragmented.mp4": partial(aac, streamed=True, options={"movflags": "frag_keyframe+empty_moov"}),
    "film.mp4": partial(aac, picture="libx264"),
}

# Something can be decoded, but which words come of it is open; the server must answer.
DAMAGED: dict[str, Maker] = {
    "truncated.mp3": truncated(mp3, 0.6),
    "truncated.wav": truncated(wav, 0.6),
    "truncated.webm": truncated(MEDIA["browser.webm"], 0.6),
    "garbled.mp3": garbled_mp3,
}

# Each must give a 400.
BROKEN: dict[str, Maker] = {
    "empty.wav": lambda _: b"",
    "header_only.wav": lambda _: wav(silence(0)),
    "too_short.wav": lambda x: wav(x[: RATE // 20]),
    "text.wav": lambda _: b"this is not audio, whatever its name says\n" * 40,
    "random.mp3": lambda _: np.random.default_rng(0).bytes(4_000),
    "no_moov.mp4": truncated(MEDIA["moov_last.mp4"], 0.6),
    "silent_film.mp4": silent_film,
    "picture.png": lambda _: image("png"),
    "picture.jpg": lambda _: image("mjpeg"),
}
