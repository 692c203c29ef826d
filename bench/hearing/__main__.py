"""Words, times and silence beside faster-whisper on recordings: `make hearing`."""

import argparse
import logging
import re
import time
from collections.abc import Mapping

import structlog

from bench.chosen_model import DEFAULT
from bench.hearing import corpus, noises, systems, times
from bench.hearing.corpus import Spoken
from bench.hearing.systems import System
from bench.words import Words

FILLERS = re.compile(r"\b(uh+|um+|uhm|erm?|hmm+|mm+)\b", re.IGNORECASE)
"""Left out of both sides: Whisper was trained to leave them out, and keeps one now and then."""


SPELLINGS = {
    "alright": "all right",
    "gonna": "going to",
    "kinda": "kind of",
    "y'know": "you know",
    "okay": "ok",
}
"""Words with two spellings, as in openai/whisper's english.json."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hearing", description=__doc__)
    parser.add_argument("--model", default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument("--half", choices=("tuned", "held-out"), help="default: both")
    parser.add_argument(
        "--kinds", nargs="+", choices=(*corpus.KINDS, "nothing", "times"), metavar="KIND",
        default=(*corpus.KINDS, "nothing", "times"), help="of recordings; default: all",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="SYSTEM", help="systems; default: all four")
    parser.add_argument(
        "--margin", type=float, metavar="SECONDS",
        help="of silence after short windows, 30: encode all in full context; default: the model's",
    )  # fmt: skip
    parser.add_argument(
        "--timestamps", choices=("decoder", "alignment"), default="decoder", help="as the setting"
    )
    parser.add_argument("--show", action="store_true", help="print the texts")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with (
        systems.verbatim(arguments.model, arguments.margin, arguments.timestamps) as ours,
        systems.faster_whisper(arguments.model) as all_,
    ):
        every = {"verbatim": ours} | all_
        chosen = {name: every[name] for name in arguments.only or every}
        for half in (False, True):
            if arguments.half in (None, "held-out" if half else "tuned"):
                recordings = list(corpus.recordings(half, arguments.kinds))
                _words(recordings, chosen, arguments.show)
        if "times" in arguments.kinds:
            times.report(ours, every["faster-whisper"])
        if "nothing" in arguments.kinds:
            _nothing(ours)


def _words(recordings: list[Spoken], chosen: Mapping[str, System], show: bool) -> None:
    """Print word errors of each recording and their sums."""
    if not recordings:
        return
    print("\n" + " " * 36 + "".join(f"{name:>17}" for name in chosen))
    sums = {name: Words(0, 0) for name in chosen}
    for one in recordings:
        row, texts = "", []
        for name, system in chosen.items():
            text = system(one, False).text
            errors = Words.of([(_comparable(one.text), _comparable(text))])
            sums[name] += errors
            row += f"{errors!s:>17}"
            texts.append(f"    {name}: {text}")
        print(f"{one.name[:26]:28}{one.seconds:6.1f} s{row}", flush=True)
        if show:
            print("\n".join(texts), flush=True)
    half = "held out" if recordings[0].held_out else "tuned"
    print(f"{half:36}" + "".join(f"{each!s:>17}" for each in sums.values()), flush=True)


def _comparable(text: str) -> str:
    words = FILLERS.sub(" ", text.lower())
    for spelling, other in SPELLINGS.items():
        words = re.sub(rf"\b{spelling}\b", other, words)
    return words


def _nothing(ours: System) -> None:
    """Print texts of sounds without words, and their time beside that of as much speech."""
    print("\nwithout words              seconds   share of the time of speech, text")
    for seconds in noises.LENGTHS:
        speech = corpus.speech_of(seconds)
        spent = _seconds(ours, speech)[0]
        for name, samples in noises.sounds(seconds):
            took, text = _seconds(ours, Spoken(name, samples, ""))
            print(f"{name:26}{seconds:8}   {took / spent:5.2f} {text!r}", flush=True)


def _seconds(system: System, spoken: Spoken) -> tuple[float, str]:
    started = time.process_time()
    text = system(spoken, False).text
    return time.process_time() - started, text


if __name__ == "__main__":
    main()
