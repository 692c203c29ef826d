"""Where generated data, checkpoints and logs are, all in one folder that git ignores."""

import random
from dataclasses import dataclass
from pathlib import Path

from training import corpus, digits, tokens
from training.corpus import Utterance
from training.digits import Recordings
from training.lexicon import Lexicon
from training.text import LANGUAGES, mixture
from training.tokens import Tokens

_EXAMPLES = 20_000  # sentences that the tokenizer is learned from


@dataclass(frozen=True)
class Workplace:
    folder: Path

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    def tests(self, name: str) -> Path:
        return self.folder / "tests" / name

    def run(self, name: str) -> Path:
        """Checkpoint, log and curve of one preset's training."""
        return self.folder / "runs" / name

    @property
    def archive(self) -> Path:
        """The archive of spoken digits; it may be missing."""
        return self.folder / "digits.tar.gz"

    def utterances(self) -> list[Utterance]:
        return corpus.load(self.corpus)

    def recordings(self, held_out: bool = False) -> Recordings:
        """Empty, and a warning, without the archive."""
        if not self.archive.exists():
            print(f"warning: {self.archive} is missing: no human digits")
            return {}
        return digits.read(self.archive, held_out)

    def lexicon(self) -> Lexicon:
        return Lexicon.load(self.folder / "phonemes.json")

    def tokens(self, merges: int) -> Tokens:
        """The tokenizer, learned the first time."""
        path = self.folder / "tokenizer.json"
        if not path.exists():
            dice = random.Random(5)
            languages = dice.choices(LANGUAGES, [0.86, 0.07, 0.07], k=_EXAMPLES)
            examples = (mixture(language, dice).text for language in languages)
            path.write_text(tokens.build(examples, merges), encoding="utf-8")
        return Tokens.load(path)
