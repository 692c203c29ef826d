import json
from pathlib import Path

import numpy as np
import pytest

from tests.recordings import FOLDER, RATE, load_sample
from training import corpus, testsets
from training.corpus import Utterance
from training.evaluation import Evaluation, Figures
from training.text import Sentence
from training.workplace import Workplace

STARTER = FOLDER.parent / "models" / "starter"
SAID = {"german": ("09_german.wav", "de", "Good day, my name is Peter.")}
CALL = ("08_long_call.flac", "en", None)


def _utterances(name: str, language: str, translation: str | None) -> list[Utterance]:
    """The sentences of a sample, each by itself."""
    samples = load_sample(name)
    path = (FOLDER / name).with_suffix(".segments.json")
    return [
        Utterance(
            Sentence(row["text"], language, translation),
            "sample",
            (samples[round(row["start"] * RATE) : round(row["end"] * RATE)] * 32767).astype(
                np.int16
            ),
        )
        for row in json.loads(path.read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    """What the evaluation says of the embedded starter, with the samples as its test sets."""
    place = Workplace(tmp_path_factory.mktemp("work"))
    for name in testsets.SINGLE:
        place.tests(name).mkdir(parents=True)
        corpus.store(place.tests(name) / "samples", _utterances(*SAID.get(name, CALL)))
    return dict(Evaluation(STARTER, place, 4).figures())


def test_single_sentences_of_the_samples_are_heard(figures: dict[str, Figures]) -> None:
    assert figures["seen_voices"]["words"] > 20
    assert figures["seen_voices"]["word_errors"] < 0.2
    assert figures["german"]["word_errors"] < 0.2


def test_times_language_silence_and_speed_are_measured(figures: dict[str, Figures]) -> None:
    assert figures["windows of 30 s"]["start"] < 1
    assert figures["language of 3 s"]["right"] >= 0.5
    assert figures["no speech"]["empty"] >= 0.8
    assert figures["speed"]["times_real_time"] > 1


def test_digits_are_left_out_without_their_archive(figures: dict[str, Figures]) -> None:
    assert not any(name.startswith("digits") for name in figures)


def test_a_telephone_call_has_two_sentences_and_noise_beside_its_band(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    place.tests("seen_voices").mkdir(parents=True)
    corpus.store(place.tests("seen_voices") / "samples", _utterances(*CALL))
    recordings = testsets.telephone(place, 3)
    assert [len(recording.parts) for recording in recordings] == [2, 2, 2]
    for recording in recordings:
        spectrum = np.abs(np.fft.rfft(recording.samples)) ** 2
        hertz = np.fft.rfftfreq(len(recording.samples), 1 / RATE)
        assert spectrum[(hertz > 300) & (hertz < 3400)].sum() > 0.6 * spectrum.sum()
