from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

from training import corpus, text, voices
from training.corpus import SHARD, Shard
from training.voices import RATE, Samples, Voice

Spoken = list[tuple[Voice, str]]


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Spoken:
    """What the synthesizers were asked to say; each text sounds as long as it is."""
    said: Spoken = []

    def speak(voice: Voice, texts: Sequence[str], dice: Random) -> list[Samples | None]:
        said.extend((voice, text) for text in texts)
        return [
            None if text.startswith("Thank") else np.full(len(text) * RATE // 20, 0.5, np.float32)
            for text in texts
        ]

    monkeypatch.setattr(voices, "speak", speak)
    return said


def test_a_shard_comes_back_as_it_was_spoken(spoken: Spoken, tmp_path: Path) -> None:
    count = Shard("one", "flite", "en").make(tmp_path)
    loaded = corpus.load(tmp_path)
    expected = [text for _, text in spoken if not text.startswith("Thank")]
    assert [utterance.sentence.text for utterance in loaded] == expected
    assert len(loaded) == count
    for utterance in loaded:
        assert utterance.seconds == pytest.approx(len(utterance.sentence.text) / 20, abs=1e-3)
        assert utterance.samples[0] == pytest.approx(0.5, abs=1e-4)


def test_the_same_shard_is_always_the_same(spoken: Spoken, tmp_path: Path) -> None:
    for _ in range(2):
        Shard("one", "espeak-ng", "de").make(tmp_path)
    assert spoken[:SHARD] == spoken[SHARD:]


def test_nothing_held_out_is_ever_trained_on(spoken: Spoken, tmp_path: Path) -> None:
    for shard in corpus.training_shards(1):
        shard.make(tmp_path)
    heard = {str(voice) for voice, _ in spoken}
    assert not any(text.held_out(said) for _, said in spoken)
    assert not any(voice.split("+")[-1] in voices.VARIANTS_HELD_OUT for voice in heard)
    assert not any(name in voice for voice in heard for name in voices.FESTIVAL_HELD_OUT)


def test_test_sets_say_only_what_is_held_out(spoken: Spoken, tmp_path: Path) -> None:
    for shards in corpus.test_shards().values():
        for shard in shards:
            shard.make(tmp_path)
    assert all(text.held_out(said) for _, said in spoken)


def test_unheard_variants_are_not_those_of_training() -> None:
    assert not set(voices.VARIANTS) & set(voices.VARIANTS_HELD_OUT)
    assert not set(voices.FESTIVAL) & set(voices.FESTIVAL_HELD_OUT)
