"""The decoder against the corpus: every file ends in sound or in an error of ours, and cheaply."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.audio.decoder_server import MAX_MEMORY_BYTES
from tests.hostile.corpus import damaged, named
from tests.hostile.probe import MAX_USUAL_CPU_SECONDS, Outcome, Prober, is_survived
from tests.support.recordings import MEDIA, Samples, load_sample

TOO_LARGE = {"30_tables.mp4", "60_tables.mp4", "190_tables.mp4"}
"""Files for which FFmpeg would allocate gigabytes."""


@pytest.fixture(scope="module")
def clip() -> Samples:
    return load_sample("12_short_clip.wav")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as running:
        yield running


@pytest.fixture(scope="module")
def corpus(clip: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all that has a name."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, content in named(clip):
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def outcomes(prober: Prober, corpus: Path) -> dict[str, Outcome]:
    return {path.name: prober.outcome(path) for path in corpus.iterdir()}


def test_every_hostile_file_is_survived_cheaply(outcomes: dict[str, Outcome]) -> None:
    assert len(outcomes) > 100
    wrong = {name: each for name, each in outcomes.items() if not is_survived(each)}
    assert wrong.keys() <= TOO_LARGE


@pytest.mark.parametrize("name", sorted(TOO_LARGE))
def test_a_file_that_multiplies_ends_at_the_limit_of_its_process(
    outcomes: dict[str, Outcome], name: str
) -> None:
    """By an error of FFmpeg, or by a crash where FFmpeg does not expect to have no memory."""
    assert not outcomes[name].answer.endswith(" s")
    assert outcomes[name].resident_mib <= 70 + MAX_MEMORY_BYTES // 1024**2
    assert outcomes[name].cpu_seconds <= MAX_USUAL_CPU_SECONDS


def test_as_streams_they_are_survived_as_cheaply(corpus: Path) -> None:
    with Prober("--streamed") as prober:
        outcomes = {path.name: prober.outcome(path) for path in corpus.iterdir()}
    assert {name: each for name, each in outcomes.items() if not is_survived(each)} == {}


def test_what_names_other_files_is_no_audio(outcomes: dict[str, Outcome]) -> None:
    for name in ("file.m3u8", "http.ffconcat", "http.mpd", "file.sdp", "http_reference.mov"):
        assert not outcomes[name].answer.endswith(" s"), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1_hz.wav", "A sample rate of 1 Hz is not supported. It must be from 2000 to 768000 Hz."),
        ("25_channels.wav", "25 channels are not supported. At most 24 are."),
        ("tracks.mp4", "The file announces more samples than it can hold."),
    ],
)
def test_a_limit_is_named(outcomes: dict[str, Outcome], name: str, message: str) -> None:
    assert outcomes[name].answer == message


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("0_bytes.wav", 1.0),
        ("4294967295_bytes.wav", 1.0),
        ("two_hours_of_a_constant.flac", 7200.0),
        ("five_minutes_of_silence.mp3", 300.0),
        ("ten_minutes_in_bytes.ogg", 600.0),
        ("rates_and_channels.mp3", 6.2),
        ("own_layout.mp4", 0.5),
        ("linked_segments.mkv", 4.7),
    ],
)
def test_sound_that_can_be_decoded_is_decoded(
    outcomes: dict[str, Outcome], name: str, seconds: float
) -> None:
    answer = outcomes[name].answer
    assert answer.endswith(" s"), answer
    assert float(answer.removesuffix(" s")) == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("name", MEDIA)
def test_a_damaged_file_of_every_format_is_survived(
    name: str, prober: Prober, clip: Samples, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    lost = {}
    for what, content in damaged(MEDIA[name], clip, seed=1):
        path.write_bytes(content)
        outcome = prober.outcome(path)
        if not is_survived(outcome):
            lost[what] = outcome
    assert lost == {}
