"""Which of several audio tracks is transcribed."""

import io

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition

from app.audio import tracks
from app.audio.containers import open_file
from app.audio.decoder_process import announced_seconds, decode
from app.domain import SAMPLE_RATE, Samples
from app.errors import UndecodableAudio
from tests.support.recordings import silence

SECOND = np.arange(SAMPLE_RATE) / SAMPLE_RATE


def tone(hertz: int, seconds: int = 1) -> Samples:
    return np.tile(0.3 * np.sin(2 * np.pi * hertz * SECOND), seconds).astype(np.float32)


def film(
    *sounds: Samples,
    codecs: tuple[str, ...] = (),
    default: int | None = None,
    kind: str = "matroska",
) -> bytes:
    """A track of each sound, by default in AC-3."""
    file = io.BytesIO()
    options = {"default_mode": "passthrough"} if kind == "matroska" else {}
    with av.open(file, "w", format=kind, container_options=options) as output:
        streams = []
        for number in range(len(sounds)):
            codec = codecs[number] if codecs else "ac3"
            stream = output.add_stream(codec, rate=48_000, layout="mono")
            assert isinstance(stream, AudioStream)
            stream.disposition = Disposition.default if number == default else Disposition(0)
            streams.append(stream)
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return file.getvalue()


def hertz(content: bytes) -> int:
    """The loudest frequency, to 10 Hz; 0 for silence."""
    samples = np.concatenate(list(decode(io.BytesIO(content))))
    assert len(samples) == pytest.approx(SAMPLE_RATE * round(len(samples) / SAMPLE_RATE), abs=2_000)
    spectrum = np.abs(np.fft.rfft(samples[-SAMPLE_RATE:]))
    is_silent = np.abs(samples).max() < tracks.MIN_PEAK
    return 0 if is_silent else round(float(np.argmax(spectrum)) / 10) * 10


def test_the_first_of_equal_tracks_is_transcribed() -> None:
    assert hertz(film(tone(400), tone(600))) == 400


@pytest.mark.parametrize("default", [0, 1, 2])
def test_the_track_that_is_flagged_as_default_comes_first(default: int) -> None:
    sounds = tone(400), tone(600), tone(800)
    assert hertz(film(*sounds, default=default)) == (400, 600, 800)[default]


@pytest.mark.parametrize("default", [None, 0])
def test_a_silent_track_hides_no_other(default: int | None) -> None:
    content = film(silence(1), silence(1), tone(600), default=default)
    assert hertz(content) == 600
    assert announced_seconds(io.BytesIO(content)) == pytest.approx(1.0, abs=0.05)


def test_a_track_that_begins_with_silence_is_not_silent() -> None:
    late = np.concatenate([silence(3), tone(400)])
    assert hertz(film(late, tone(600, seconds=4))) == 400


def test_where_all_is_silent_the_first_track_is_transcribed() -> None:
    assert hertz(film(silence(1), silence(2))) == 0


@pytest.mark.parametrize("default", [None, 0])
def test_a_track_of_unknown_encoding_hides_no_other(default: int | None) -> None:
    content = film(tone(400), tone(600), codecs=("eac3", "ac3"), default=default)
    assert hertz(content) == 400
    assert hertz(content.replace(b"A_EAC3", b"A_XYZ1")) == 600
    unknown = content.replace(b"A_EAC3", b"A_XYZ1").replace(b"A_AC3", b"A_XYZ")
    with pytest.raises(UndecodableAudio, match="encoding that is not supported"):
        hertz(unknown)


def test_a_track_of_noise_hides_no_other() -> None:
    """Its packets are those of another encoding, so that none can be decoded."""
    content = film(tone(400), tone(600), codecs=("mp2", "ac3"))
    assert hertz(content.replace(b"A_MPEG/L2", b"A_VORBIS\0")) == 600


def test_films_of_other_containers_have_tracks_too() -> None:
    for kind in ("mpegts", "mp4"):
        assert hertz(film(silence(1), tone(600), kind=kind)) == 600


def test_what_is_compared_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the process of the test, for its limits."""

    def index(content: bytes) -> int:
        with open_file(io.BytesIO(content)) as container:
            return tracks.index_of_sounding(container, tracks.readable(container))

    content = film(np.concatenate([silence(1), tone(400)]), tone(600, seconds=2))
    assert index(content) == 0
    monkeypatch.setattr(tracks, "COMPARED_SECONDS", 0.5)
    assert index(content) == 1
    assert index(film(*[silence(1)] * tracks.MAX_COMPARED, tone(600))) == 0
