"""`python -m bench.hearing.prompts`: short windows in five languages and in noise.

Announcements of Asterisk, read by four people, as fragments of 1 to 3 s and as phrases of 3 to
12 s; clean and in white noise. Word errors for each margin of silence after short windows: the
model's own (6 for base), and full context (30). No threshold was chosen on these recordings.
"""

import argparse
import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np
import structlog

from app.domain import SAMPLE_RATE, Samples
from bench.chosen_model import DEFAULT
from bench.hearing.corpus import Spoken
from bench.hearing.packages import ASTERISK, g722
from bench.hearing.systems import engine_of, pipeline
from bench.words import Words

FRAGMENT_SECONDS = 1.0, 3.0
PHRASE_SECONDS = 3.0, 12.0
AT_ONCE = 4
_SPELLED = ("digits/", "letters/", "phonetic/")
"""Numbers and letters, which have several right spellings."""


def prompts(kind: str, count: int) -> Iterator[Spoken]:
    """So many prompts of each language: `fragments` or `phrases`, spread over the whole list."""
    least, most = FRAGMENT_SECONDS if kind == "fragments" else PHRASE_SECONDS
    for language in ASTERISK:
        found = []
        for name, file, text in language.read():
            seconds = file.stat().st_size / 8_000  # 64 kbit/s
            is_plain = not any(each in text for each in "[]()<>0123456789")
            if least <= seconds < most and is_plain and not name.startswith(_SPELLED):
                found.append((name, file, text))
        for index in np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int):
            name, file, text = found[index]
            yield Spoken(name, g722(file), text, language.language, held_out=True, kind=kind)


def noisy(spoken: Spoken, decibels: float | None) -> Spoken:
    """The prompt in white noise so many dB below its own mean power; None: as it is."""
    if decibels is None:
        return spoken
    seed = sum(spoken.name.encode())
    noise = np.random.default_rng(seed).standard_normal(len(spoken.samples)).astype(np.float32)
    level = np.sqrt(np.mean(np.square(spoken.samples))) * 10 ** (-decibels / 20)
    samples: Samples = (spoken.samples + noise * np.float32(level)).clip(-1, 1)
    return Spoken(spoken.name, samples, spoken.text, spoken.language, True, spoken.kind)


async def heard(model: str, margin: float | None, recordings: Sequence[Spoken]) -> list[str]:
    """The text of each recording."""
    places = asyncio.Semaphore(AT_ONCE)
    async with pipeline(engine_of(model, margin)) as transcribe:

        async def text_of(spoken: Spoken) -> str:
            async with places:
                return (await transcribe(spoken, False)).text

        return await asyncio.gather(*map(text_of, recordings))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hearing.prompts", description=__doc__)
    parser.add_argument("--model", default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument("--margins", type=float, nargs="+", default=[6.0, 30.0], metavar="SECONDS")
    parser.add_argument("--count", type=int, default=20, help="of each kind and language, clean")
    parser.add_argument("--noisy-count", type=int, default=6, help="the same, for each noise")
    parser.add_argument("--show", action="store_true", help="print texts that differ")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(f"{'':28}{'words':>6}" + "".join(f"{margin:>8.0f}" for margin in arguments.margins))
    sums = [Words(0, 0) for _ in arguments.margins]
    for decibels in (None, 20, 10, 5):
        for kind in ("fragments", "phrases"):
            count = arguments.count if decibels is None else arguments.noisy_count
            recordings = [noisy(one, decibels) for one in prompts(kind, count)]
            texts, spent = [], []
            for margin in arguments.margins:
                began = time.process_time()
                texts.append(asyncio.run(heard(arguments.model, margin, recordings)))
                spent.append(time.process_time() - began)
            languages = dict.fromkeys(one.language for one in recordings)
            noise = "clean" if decibels is None else f"{decibels} dB"
            for language in languages if decibels is None else ("all",):
                chosen = [
                    n for n, one in enumerate(recordings) if language in (one.language, "all")
                ]
                row = [Words.of([(recordings[n].text, each[n]) for n in chosen]) for each in texts]
                sums = [a + b for a, b in zip(sums, row, strict=True)]
                name = f"{noise}, {kind}, {language}"
                print(f"{name:28}{row[0].said:>6}" + "".join(f"{w.wrong:>8}" for w in row))
            print(f"{'  CPU s':28}{'':>6}" + "".join(f"{each:>8.0f}" for each in spent), flush=True)
            for one, *both in zip(recordings, *texts, strict=True) if arguments.show else ():
                if len(set(both)) > 1:
                    print(f"    {one.language} {one.name}, {len(one.samples) / SAMPLE_RATE:.1f} s")
                    print("\n".join(f"      {text}" for text in (one.text, *both)))
    print(f"{'all':28}{sums[0].said:>6}" + "".join(f"{each.wrong:>8}" for each in sums))


if __name__ == "__main__":
    main()
