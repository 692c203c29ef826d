"""Conversations put together from single voices, with all turns known, and real ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from app.domain import SAMPLE_RATE, Samples, Span
from bench.diarization.active_speech import active_speech
from bench.diarization.voices import (
    Utterance,
    Voice,
    digit_voices,
    meeting,
    meetings,
    speech_of,
    telephone_call,
    voices,
)
from bench.hearing.corpus import music

KINDS = (
    "two", "two by telephone", "two who overlap", "three", "four", "two on two channels",
    "three on two channels", "digits", "one", "no speech", "real",
)  # fmt: skip

_COUNTS = {
    "two": 2, "two by telephone": 2, "two who overlap": 2, "three": 3, "four": 4,
    "two on two channels": 2, "three on two channels": 3,
}  # fmt: skip

_OVERLAPPING = 0.3
"""Share of turns that begin before the one before has ended, where some do."""
_SIDES = {"two on two channels": (0, 1), "three on two channels": (0, 0, 1)}

_ROOM = 3e-4
"""Noise under everything, root mean square: true recordings have no digital silence."""
_LEVEL = 10 ** (-23 / 20)


@dataclass(frozen=True, slots=True)
class Turn:
    start: float
    end: float
    speaker: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    name: str
    kind: str
    samples: Samples
    """Of one channel, or of two, shape (2, n)."""
    turns: tuple[Turn, ...]
    references: dict[str, Samples] = field(default_factory=dict)
    """Of some of the speakers, by name: sound that is not in the conversation."""

    @property
    def seconds(self) -> float:
        return float(self.samples.shape[-1]) / SAMPLE_RATE

    @property
    def has_sides(self) -> bool:
        return self.samples.ndim == 2

    @property
    def speakers(self) -> list[str]:
        return list(dict.fromkeys(turn.speaker for turn in self.turns))


def conversations(held_out: bool, kinds: Sequence[str] = KINDS) -> Iterator[Conversation]:
    """The conversations of one half of the voices, of the named kinds."""
    known = voices(held_out)
    for kind in (kind for kind in KINDS if kind in _COUNTS and kind in kinds):
        for number, group in enumerate(_groups(known, _COUNTS[kind], 8)):
            yield _shaped(kind, group, number, held_out)
    if "digits" in kinds and held_out:
        yield from _who_say_digits()
    if "one" in kinds:
        yield from (_shaped("one", [voice], n, held_out) for n, voice in enumerate(known))
    if "no speech" in kinds:
        yield from _without_speech(held_out)
    if "real" in kinds:
        yield from _real(held_out)


def dialogue(
    kind: str,
    group: Sequence[Voice],
    seed: int,
    overlapping: float = 0.0,
    seconds: float = 75.0,
    sides: Sequence[int] = (),
) -> Conversation:
    """Turns of voices in random order; each utterance is said once, so voices end in turn.

    `overlapping`: the share of turns that begin before the one before has ended. `sides`: the
    channel of each voice, 0 or 1, where there are two; only other sides then begin early. A voice
    that has more than 6 s to say keeps one utterance of 2 to 8 s as its reference.
    """
    chance = np.random.default_rng(seed)
    left, references = {}, {}
    for voice in group:
        said = list(voice.utterances)
        chance.shuffle(said)
        good = [each for each in said if 2.0 <= each.seconds <= 8.0]
        if len(said) > 2 and good:
            references[voice.name] = good[-1].samples
            said = [each for each in said if each is not good[-1]]
        left[voice.name] = said
    side = dict(zip(left, sides or [0] * len(group), strict=True))
    sound = np.zeros((1 + max(side.values()), round((seconds + 30) * SAMPLE_RATE)), np.float32)
    turns: list[Turn] = []
    now, end, last = 0.5, 0.0, ""
    early = now
    while now < seconds and (others := [name for name, said in left.items() if said]):
        silent = [name for name in others if name != last]
        weights = np.array([len(left[name]) for name in silent or others], float)
        name = str(chance.choice(silent or others, p=weights / weights.sum()))
        if last and (not sides or side[name] != side[last]):
            now = early
        for _ in range(1 + int(chance.random() < 0.3)):
            if left[name]:
                utterance = left[name].pop()
                turns += _turns(utterance, name, now)
                begun, over = _placed(sound[side[name]], utterance, now)
                end = max(end, over)
                now = over + float(chance.choice((0.15, 0.3, 0.6, 1.2)))
        early = now
        if overlapping and chance.random() < overlapping:
            early = max(begun + 0.5, over - float(chance.uniform(0.3, 1.0)))
        last = name
    noise = chance.standard_normal((len(sound), round((end + 0.5) * SAMPLE_RATE))) * _ROOM
    samples = (sound[:, : noise.shape[1]] + noise).clip(-1, 1).astype(np.float32)
    name = " and ".join(voice.name for voice in group)
    whole = samples if sides else samples[0]
    return Conversation(name, kind, whole, tuple(sorted(turns, key=_start)), references)


def _start(turn: Turn) -> float:
    return turn.start


def _placed(sound: Samples, said: Utterance, start: float) -> Span:
    """Add an utterance to `sound`; where its last stretch is, in seconds."""
    first = round(start * SAMPLE_RATE)
    sound[first : first + len(said.samples)] += _levelled(said.samples)
    begun, over = speech_of(said.samples)[-1]
    return start + begun / SAMPLE_RATE, start + over / SAMPLE_RATE


def _turns(said: Utterance, speaker: str, start: float) -> Iterator[Turn]:
    """The turns of an utterance, one for each stretch of speech in it; the first has its text."""
    text = said.text
    for begun, over in active_speech(said.samples):
        yield Turn(start + begun, start + over, speaker, text)
        text = None if text is None else ""


def _levelled(samples: Samples) -> Samples:
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return samples * np.float32(_LEVEL / max(np.sqrt(power), 1e-6))


def telephone(samples: Samples) -> Samples:
    """Sound as a call at 8 kHz in mu-law brings it, with noise at 25 dB."""
    narrow = _narrow(samples)[::2]
    power = float(np.mean(np.square(narrow))) / 10**2.5
    noise = np.random.default_rng(3).standard_normal(len(narrow)) * np.sqrt(power)
    noisy = (narrow + noise).clip(-1, 1)
    compressed = np.sign(noisy) * np.log1p(255 * np.abs(noisy)) / np.log(256)
    levels = np.round(compressed * 127) / 127
    expanded = np.sign(levels) * (256 ** np.abs(levels) - 1) / 255
    spectrum = np.fft.rfft(expanded)
    return (2 * np.fft.irfft(spectrum, 2 * len(expanded))).astype(np.float32)


def _narrow(samples: Samples) -> Samples:
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    band = spectrum * ((hertz > 300) & (hertz < 3400))
    return np.fft.irfft(band, len(samples)).astype(np.float32)


def _groups(known: Sequence[Voice], count: int, groups: int) -> list[list[Voice]]:
    """Different groups of voices, the same in each run; each voice is in about as many."""
    chance = np.random.default_rng(count)
    found: list[list[Voice]] = []
    waiting: list[Voice] = []
    while len(found) < groups:
        if len(waiting) < count:
            more = [voice for voice in known if voice not in waiting]
            waiting += [more[index] for index in chance.permutation(len(more))]
        found.append(waiting[:count])
        waiting = waiting[count:]
    return found


def _shaped(kind: str, group: Sequence[Voice], number: int, held_out: bool) -> Conversation:
    seed = 1000 * held_out + number
    sides = _SIDES.get(kind, ())
    overlapping = _OVERLAPPING if sides or kind == "two who overlap" else 0.0
    made = dialogue(kind, group, seed, overlapping, sides=sides)
    if kind != "two by telephone":
        return made
    return replace(
        made,
        samples=telephone(made.samples),
        references={name: telephone(_levelled(each)) for name, each in made.references.items()},
    )


def _who_say_digits() -> Iterator[Conversation]:
    """All groups of two to four people who say numbers of a few digits by turns, 10 to 30 s."""
    men = digit_voices()
    groups = [group for size in (2, 3, 4) for group in combinations(men, size)]
    yield from (dialogue("digits", group, 2000 + n) for n, group in enumerate(groups))


def _without_speech(held_out: bool) -> Iterator[Conversation]:
    chance = np.random.default_rng(5)
    noise = (chance.standard_normal(20 * SAMPLE_RATE) * 0.01).astype(np.float32)
    piece = music("1918.mp3" if held_out else "funkyrobot.mp3")[: 40 * SAMPLE_RATE]
    silence = np.zeros(20 * SAMPLE_RATE, np.float32)
    for name, samples in (("silence", silence), ("noise", noise), ("music", piece)):
        yield Conversation(name, "no speech", samples, ())


def _real(held_out: bool) -> Iterator[Conversation]:
    """Excerpts of meetings of three and four people in one room, and a call of two."""
    if held_out:
        samples, turns = telephone_call()
        yield Conversation("call", "real", samples, tuple(Turn(*turn) for turn in turns))
    for name, spoken in meetings().items():
        if name.startswith("trn") != held_out:
            turns_of = tuple(Turn(*turn) for turn in sorted(spoken))
            yield Conversation(name, "real", meeting(name), turns_of)
