"""The synthetic recordings: made once, in shards, and kept in training/work/.

A shard that exists is not made again, so a run that was stopped goes on where it was.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from training import text, voices
from training.text import Sentence
from training.voices import RATE, Samples, Voice

SHARD = 100  # utterances
LONGEST = 10  # seconds of one sentence


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence; `values` are 16-bit samples at 16 kHz."""

    sentence: Sentence
    voice: str
    values: NDArray[np.int16]

    @property
    def samples(self) -> Samples:
        return voices.from_pcm(self.values)

    @property
    def seconds(self) -> float:
        return len(self.values) / RATE


@dataclass(frozen=True)
class Shard:
    """What to make: `source` is "flite", "espeak-ng" or "festival"; the seed settles all else."""

    name: str
    source: str
    language: str
    held_out_voice: bool = False
    test: bool = False  # sentences of sales calls that are never trained on
    free: bool = False  # if a test: words in free order instead

    def make(self, folder: Path) -> int:
        """Speak the shard's sentences and store them; returns the number stored."""
        dice = Random(self.name)
        made: list[Utterance] = []
        for voice, sentences in self._turns(dice):
            spoken = voices.speak(voice, [s.text for s in sentences], dice)
            for sentence, samples in zip(sentences, spoken, strict=True):
                if samples is not None and len(samples) < LONGEST * RATE:
                    values = (samples * 32767).astype(np.int16)
                    made.append(Utterance(sentence, str(voice), values))
        store(folder / self.name, made)
        return len(made)

    def _turns(self, dice: Random) -> Iterator[tuple[Voice, list[Sentence]]]:
        """A voice and its sentences: one for each of espeak's many voices, a row for the others."""
        if self.source == "espeak-ng":
            for _ in range(SHARD):
                voice = voices.choose_espeak(self.language, dice, self.held_out_voice)
                yield voice, [self._sentence(dice)]
        elif self.source == "flite":
            for name in voices.FLITE:
                count = SHARD // len(voices.FLITE)
                yield Voice("flite", name), [self._sentence(dice) for _ in range(count)]
        else:
            names = voices.FESTIVAL_HELD_OUT if self.held_out_voice else voices.FESTIVAL
            yield (
                Voice("festival", dice.choice(names)),
                [self._sentence(dice) for _ in range(SHARD)],
            )

    def _sentence(self, dice: Random) -> Sentence:
        while True:
            if self.free:
                sentence = text.free_sentence(dice)
            elif self.test and self.language == "en":
                sentence = text.domain_sentence(dice)
            else:
                sentence = text.mixture(self.language, dice)
            if text.held_out(sentence.text) == self.test:
                return sentence


def store(path: Path, utterances: Sequence[Utterance]) -> None:
    """The samples as one array and beside it what is said where; the latter marks the end."""
    np.save(path.with_suffix(".npy"), np.concatenate([u.values for u in utterances]))
    ends = np.cumsum([len(u.values) for u in utterances]).tolist()
    rows = [
        {"sentence": asdict(u.sentence), "voice": u.voice, "end": end}
        for u, end in zip(utterances, ends, strict=True)
    ]
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, path.with_suffix(".json"))


def load(folder: Path) -> list[Utterance]:
    """All utterances of a folder, in the order of their shards; the samples stay on disk."""
    utterances = []
    for path in sorted(folder.glob("*.json")):
        values = np.load(path.with_suffix(".npy"), mmap_mode="r")
        start = 0
        for row in json.loads(path.read_text(encoding="utf-8")):
            sentence = Sentence(**row["sentence"])
            utterances.append(Utterance(sentence, row["voice"], values[start : row["end"]]))
            start = row["end"]
    return utterances


def training_shards(size: int) -> list[Shard]:
    """`size` rounds of ten shards: flite three, espeak-ng five, foreign one, festival one."""
    shards = []
    for number in range(size):
        sources = [("flite", "en")] * 3 + [("espeak-ng", "en")] * 5
        sources.append(("espeak-ng", "de" if number % 2 else "fr"))
        sources.append(("festival", "en"))
        shards += [
            Shard(f"{number:04}_{index}_{source}_{language}", source, language)
            for index, (source, language) in enumerate(sources)
        ]
    return shards


def test_shards() -> dict[str, list[Shard]]:
    """Test sets by name: sentences never trained on, of voices heard and of voices unheard."""

    def shard(name: str, source: str, language: str = "en", unheard: bool = False) -> Shard:
        free = name.startswith("free")
        return Shard(name, source, language, held_out_voice=unheard, test=True, free=free)

    return {
        "seen_voices": [shard("flite", "flite"), shard("espeak", "espeak-ng")],
        "unheard_variants": [shard("variants", "espeak-ng", unheard=True)],
        "unheard_voice": [shard("ked", "festival", unheard=True)],
        "free_order": [shard("free_flite", "flite"), shard("free_espeak", "espeak-ng")],
        "german": [shard("german", "espeak-ng", "de", unheard=True)],
        "french": [shard("french", "espeak-ng", "fr", unheard=True)],
    }


def make(shards: Sequence[Shard], folder: Path, workers: int) -> Iterator[int]:
    """Make the shards that are missing in the folder; yields the number made so far."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in shards if not (folder / f"{shard.name}.json").exists()]
    with ProcessPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(_make, missing, [folder] * len(missing)), 1):
            yield done


def _make(shard: Shard, folder: Path) -> int:
    return shard.make(folder)
