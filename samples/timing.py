"""Says when each word is said in the recordings that were made before words were noted.

`python -m samples.timing NAME ...` speaks their sentences again with the voices they may have, and
lays the likeliest over the recording where it fits best. `--digits` names the archive of the Free
Spoken Digit Dataset, whose recordings 06_human_digits.wav is made of.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from samples.synthesise import Line, moved, speak
from samples.voices import Word
from tests.recordings import FOLDER, RATE, Samples, load_sample
from training import digits
from training.numbers import DIGITS
from training.voices import ACCENTS, VARIANTS, VARIANTS_HELD_OUT

FLITE = ("flite slt", "flite rms", "flite awb")
ESPEAK = tuple(
    f"espeak-ng {accent}+{variant}"
    for accent in dict.fromkeys(ACCENTS["en"].split())
    for variant in (*VARIANTS, *VARIANTS_HELD_OUT)
)
VOICES: dict[str, Sequence[str]] = {
    "01_order_call.wav": FLITE,
    "02_two_voices.wav": FLITE,
    "03_unheard_voices.wav": ESPEAK,
    "04_unheard_festival.wav": ("festival ked_diphone",),
    "05_telephone_noise.wav": FLITE,
    "08_long_call.flac": FLITE + ESPEAK,
    "09_german.wav": ("espeak-ng de+m3",),
}
DIGITS_CALL = "06_human_digits.wav"

MARGIN = 0.1  # seconds around a sentence in which it may lie
NEXT_DIGIT = 1.2  # seconds from the end of one to the end of the next
SURE = 0.95  # a likeness that no other voice can have


def lay(piece: Samples, over: Samples) -> tuple[float, int]:
    """How alike they are at best (1: the same but for loudness), and at which sample that is."""
    size = 1 << (len(piece) + len(over)).bit_length()
    product = np.fft.rfft(over, size) * np.conj(np.fft.rfft(piece, size))
    likeness = np.fft.irfft(product, size)[: max(1, len(over) - len(piece) + 1)]
    place = int(likeness.argmax())
    covered = over[place : place + len(piece)]
    level = np.sqrt(float((piece**2).sum()) * float((covered**2).sum())) + 1e-9
    return float(likeness[place]) / float(level), place


def timed(sentence: str, candidates: Sequence[str], over: Samples) -> list[Word]:
    """The sentence's words in seconds of what it is laid over."""
    best, found = -1.0, list[Word]()
    for voice in candidates:
        samples, words = speak(Line(voice, sentence))
        likeness, place = lay(samples, over)
        if likeness > best:
            best, found = likeness, list(moved(words, place / RATE, len(over) / RATE))
        if best > SURE:
            break
    print(f"{best:.2f} {sentence}")
    return found


def timed_digits(sentence: str, recordings: digits.Recordings, over: Samples) -> list[Word]:
    """As `timed`, of digits that were put together from single recordings, one after the other."""
    spoken, now = [], 0
    for word in sentence.split():
        clips = recordings[digits.HELD_OUT_SPEAKER][DIGITS.index(word.strip(".").lower())]
        near = over[now : now + round(NEXT_DIGIT * RATE)]
        laid = [(*lay(clip, near), len(clip)) for clip in clips]
        likeness, place, length = max(laid)
        print(f"{likeness:.2f} {word}")
        start, now = now + place, now + place + length
        spoken.append(Word(start / RATE, now / RATE, word))
    return spoken


def words(name: str, recordings: digits.Recordings) -> Iterator[Word]:
    """All words of a recording, in seconds of it."""
    samples = load_sample(name)
    segments = json.loads((FOLDER / name).with_suffix(".segments.json").read_text(encoding="utf-8"))
    for segment in segments:
        start = segment["start"] - MARGIN
        over = samples[round(start * RATE) : round((segment["end"] + MARGIN) * RATE)]
        if name == DIGITS_CALL:
            said = timed_digits(segment["text"], recordings, over)
        else:
            said = timed(segment["text"], VOICES[name], over)
        for word in said:
            yield Word(round(word.start + start, 2), round(word.end + start, 2), word.word)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*VOICES, DIGITS_CALL])
    parser.add_argument("--digits", type=Path, help="the archive, for the recording of digits")
    chosen = parser.parse_args()
    if DIGITS_CALL in chosen.names and not chosen.digits:
        parser.error(f"{DIGITS_CALL} needs --digits")
    recordings = digits.read(chosen.digits, held_out=True) if chosen.digits else {}
    for name in chosen.names:
        rows = [asdict(word) for word in words(name, recordings)]
        path = (FOLDER / name).with_suffix(".words.json")
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
