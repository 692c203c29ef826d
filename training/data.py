"""`python -m training.data`: speaks everything that is trained on and evaluated with.

Work that was done before is not done again. The digits of people are optional: `--digits` names
the archive of the Free Spoken Digit Dataset (see digits.py).
"""

import argparse
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from training import corpus
from training.corpus import Shard
from training.presets import PRESETS
from training.workplace import Workplace


def speak(name: str, shards: Sequence[Shard], folder: Path) -> None:
    """Make the shards that are missing, with a line of progress for each."""
    started = time.monotonic()
    made = sum((folder / f"{shard.name}.json").exists() for shard in shards)
    for done in corpus.make(shards, folder, os.cpu_count() or 1):
        left = (time.monotonic() - started) / done * (len(shards) - made - done) / 60
        print(f"{name}: {made + done} of {len(shards)}, {left:.0f} min left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--digits", type=Path, help="archive of the Free Spoken Digit Dataset")
    chosen = parser.parse_args()
    place, preset = Workplace(chosen.work), PRESETS[chosen.preset]
    place.folder.mkdir(parents=True, exist_ok=True)
    if chosen.digits:
        shutil.copyfile(chosen.digits, place.archive)
    place.recordings()
    place.lexicon()
    place.tokens(preset.merges)
    for name, shards in corpus.test_shards().items():
        speak(name, shards, place.tests(name))
    speak("corpus", corpus.training_shards(preset.corpus_rounds), place.corpus)


if __name__ == "__main__":
    main()
