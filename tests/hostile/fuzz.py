"""Turns real files into damaged ones, at random, until the decoder fails or the time is over.

`python -m tests.hostile.fuzz --seconds 120 --seed 7 --keep FOLDER`; `make fuzz` does it. Mutations
are drawn from one seed, which is printed, and what fails is kept to become a case of the corpus.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.hostile import mp4
from tests.hostile.corpus import changing
from tests.hostile.probe import Prober, is_survived
from tests.support.recordings import MEDIA, load_sample

# Numbers at which counts and sizes turn into something else.
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> dict[str, bytes]:
    """Small files of every kind: a change in them is likely to hit something that counts."""
    clip = load_sample("12_short_clip.wav")[:16_000]
    return (
        {name: make(clip) for name, make in MEDIA.items() if name != "large_tag.mp3"}
        | changing(clip)
        | {"fragments.mp4": mp4.fragments(2, 2, 1_000)}
    )


def mutated(content: bytes, others: list[bytes], chance: np.random.Generator) -> bytes:
    """One to eight changes: bits, numbers, stretches cut, doubled, or taken from another file."""
    changed = bytearray(content)
    for _ in range(chance.integers(1, 9)):
        if len(changed) < 16:
            break
        # Headers decide more than sound does.
        reach = len(changed) if chance.random() < 0.5 else min(len(changed), 600)
        at = int(chance.integers(0, reach - 8))
        length = int(chance.integers(1, 1 + min(2_000, len(changed) - at)))
        match chance.integers(0, 6):
            case 0:
                changed[at] ^= 1 << int(chance.integers(8))
            case 1:
                number = int(chance.choice(EDGES))
                width = int(chance.choice((1, 2, 4)))
                order = "big" if chance.random() < 0.5 else "little"
                changed[at : at + width] = (number & (256**width - 1)).to_bytes(width, order)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                other = others[int(chance.integers(len(others)))]
                start = int(chance.integers(len(other)))
                changed[at : at + length] = other[start : start + length]
            case _:
                changed[at : at + length] = chance.bytes(length)
    return bytes(changed)


def run(seconds: float, seed: int, keep: Path) -> int:
    """How many files made the decoder fail; each is left in `keep`."""
    chance = np.random.default_rng(seed)
    files = seeds()
    others = list(files.values())
    count = failures = sounds = 0
    ends = time.monotonic() + seconds
    worst_seconds, worst_mib = 0.0, 0
    with TemporaryDirectory() as folder, Prober() as prober:
        path = Path(folder) / "upload"
        while time.monotonic() < ends:
            name = str(chance.choice(list(files)))
            path.write_bytes(mutated(files[name], others, chance))
            outcome = prober.outcome(path)
            count += 1
            sounds += outcome.answer.endswith(" s")
            worst_seconds = max(worst_seconds, outcome.cpu_seconds)
            worst_mib = max(worst_mib, outcome.resident_mib)
            if not is_survived(outcome):
                failures += 1
                keep.mkdir(parents=True, exist_ok=True)
                path.rename(keep / f"{seed}-{count}-{name}")
                print(f"{name}: {outcome}")
    print(
        f"seed {seed}: {count} files, {sounds} still decoded, {failures} failures; "
        f"at most {worst_seconds:.2f} s of CPU and {worst_mib} MiB"
    )
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    return 1 if run(given.seconds, given.seed, given.keep) else 0


if __name__ == "__main__":
    sys.exit(main())
