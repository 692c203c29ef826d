"""Speaks recordings 07 and 11 to 17 of this folder with flite and espeak-ng, both free programs.

`python -m tests.samples.synthesise NAME ...`, or without names all; voices.py says what it needs.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from tests.samples import voices
from tests.samples.voices import Word
from tests.support.recordings import FOLDER, RATE, Samples, encode

FLOOR = 2e-4  # room noise under everything: true recordings have no digital silence


@dataclass(frozen=True)
class Line:
    """One sentence; voice is "flite NAME" or "espeak-ng NAME"."""

    voice: str
    text: str


@dataclass(frozen=True)
class Recording:
    """What to say, how long to wait between sentences and how to store it."""

    name: str
    lines: Sequence[Line]
    gap: float
    write: Callable[[Samples], bytes]
    channels: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Segment:
    """One sentence, its words and where they are in the recording, in seconds."""

    start: float
    end: float
    text: str
    channel: int
    words: Sequence[Word]


def _talk(*turns: tuple[str, str]) -> list[Line]:
    return [Line(voice, text) for voice, text in turns]


SLT, RMS, AWB = "flite slt", "flite rms", "flite awb"
GB, DE, FR = "espeak-ng en-gb+f2", "espeak-ng de+m3", "espeak-ng fr-fr+f3"

RECORDINGS = [
    Recording(
        "07_three_minutes.opus",
        _talk(
            (RMS, "Good morning, thank you for calling Northwind, how can I help you?"),
            (SLT, "Good morning, my name is Sarah Wilson."),
            (SLT, "I am calling from Boston."),
            (SLT, "I have a problem with my order."),
            (RMS, "I am sorry about that."),
            (RMS, "What is your account number, please?"),
            (SLT, "My account number is four zero nine two."),
            (RMS, "One moment, please."),
            (RMS, "I am looking at your account now."),
            (RMS, "You ordered twelve monitors and six keyboards."),
            (SLT, "Yes, that is correct."),
            (SLT, "The monitors were not in the package."),
            (RMS, "When did you receive the package?"),
            (SLT, "It was on Monday morning."),
            (RMS, "Let me transfer you to the technical team."),
            (AWB, "Hello, this is Oliver Baker from the technical team."),
            (AWB, "How are you today?"),
            (SLT, "I am not very happy."),
            (AWB, "We are very sorry for the trouble."),
            (AWB, "The package was sent to the wrong address."),
            (AWB, "Where should we send the monitors?"),
            (SLT, "My new address is thirty two Park Street."),
            (AWB, "Thank you very much."),
            (AWB, "We can deliver on Thursday March tenth."),
            (SLT, "That is too late for us."),
            (SLT, "We need the monitors by Tuesday."),
            (AWB, "Let me check that for you."),
            (AWB, "We have eight monitors in stock in Chicago."),
            (AWB, "The other monitors will arrive next week."),
            (SLT, "That sounds good to me."),
            (SLT, "I have one more question."),
            (AWB, "Yes, please."),
            (SLT, "How much does the black printer cost?"),
            (AWB, "The price of the printer is two hundred dollars."),
            (SLT, "Can you give me a discount?"),
            (AWB, "We offer a discount of fifteen percent."),
            (SLT, "I have to think about it."),
            (AWB, "I will send you an email this afternoon."),
            (AWB, "What is your phone number?"),
            (SLT, "My phone number is six one seven five three eight."),
            (AWB, "Your ticket number is seven two four."),
            (AWB, "The invoice was sent to David Miller."),
            (SLT, "Please send the contract to my manager."),
            (AWB, "Is there anything else I can do for you?"),
            (SLT, "No, thank you."),
            (SLT, "Thank you for your time."),
            (AWB, "Please call me back on Friday."),
            (SLT, "I will call you tomorrow."),
            (AWB, "Have a nice day."),
            (SLT, "Goodbye."),
        ),
        gap=1.75,
        write=partial(encode, container="ogg", codec="libopus", bit_rate=24_000),
    ),
    Recording(
        "11_sales_call.mp3",
        _talk(
            (RMS, "Thank you for calling Silver Line, how can I help you?"),
            (SLT, "Hello, this is Julia from Global Foods."),
            (SLT, "I would like to order thirty headsets."),
            (RMS, "Let me check that for you."),
            (RMS, "We have ninety headsets in stock."),
            (SLT, "How much does the headset cost?"),
            (RMS, "The price of the headset is sixty dollars."),
            (SLT, "Can you give me a discount?"),
            (RMS, "We offer a discount of ten percent."),
            (SLT, "That sounds good to me."),
            (RMS, "We can deliver on Thursday May second."),
            (SLT, "Please send the invoice to David Miller."),
            (RMS, "Thank you very much."),
            (SLT, "Goodbye."),
        ),
        gap=0.6,
        write=partial(encode, container="mp3", codec="libmp3lame", bit_rate=48_000),
    ),
    Recording(
        "12_short_clip.wav",
        _talk(
            (AWB, "The printer is not working."),
            (AWB, "I will call you back tomorrow."),
        ),
        gap=0.5,
        write=partial(encode, container="wav", codec="pcm_s16le"),
    ),
    Recording(
        "13_stereo_call.m4a",
        _talk(
            (GB, "I have a problem with my camera."),
            (RMS, "What is your name, please?"),
            (GB, "My last name is Baker."),
            (RMS, "Please open a ticket for this problem."),
            (GB, "The ticket number is six one four."),
            (RMS, "Thank you for your time."),
        ),
        gap=0.8,
        write=partial(encode, container="mp4", codec="aac", layout="stereo", bit_rate=96_000),
        channels=2,
    ),
    Recording(
        "14_telephone_mulaw.wav",
        _talk(
            (SLT, "I have not received the invoice."),
            (SLT, "My order number is five eight two six."),
            (SLT, "Where should we send the package?"),
            (SLT, "The customer is very happy."),
        ),
        gap=0.6,
        write=partial(encode, container="wav", codec="pcm_mulaw", rate=8_000),
    ),
    Recording(
        "15_english_then_german.wav",
        _talk(
            (AWB, "We are very sorry for the trouble."),
            (AWB, "We have received your payment."),
            (DE, "Vielen Dank für Ihren Anruf."),
            (DE, "Die Rechnung ist nicht richtig."),
            (DE, "Auf Wiederhören."),
        ),
        gap=0.7,
        write=partial(encode, container="wav", codec="pcm_s16le"),
    ),
    Recording(
        "16_voice_note.webm",
        _talk(
            (GB, "Hi Kevin, this is Laura."),
            (GB, "The customer in Dublin wants a new contract."),
            (GB, "Please send the offer to Julia."),
            (GB, "See you on Wednesday."),
        ),
        gap=0.6,
        write=partial(encode, container="webm", codec="libopus", bit_rate=24_000),
    ),
    Recording(
        "17_french.wav",
        _talk(
            (FR, "Bonjour, je suis Marie."),
            (FR, "Je voudrais commander trois lampes."),
            (FR, "Quand arrive la livraison?"),
            (FR, "Merci beaucoup pour votre appel."),
        ),
        gap=0.6,
        write=partial(encode, container="wav", codec="pcm_s16le"),
    ),
]


def speak(line: Line) -> tuple[Samples, list[Word]]:
    """One sentence without the silence around it, at an even level, and its words."""
    samples, words = voices.speak(line.voice, line.text)
    loud = np.flatnonzero(_envelope(samples) > 0.02 * _envelope(samples).max())
    first = max(0, loud[0] - RATE // 100)
    samples = samples[first : loud[-1] + RATE // 50]
    levelled: Samples = samples / np.abs(samples).max() * np.float32(0.7)
    return levelled, list(moved(words, -first / RATE, len(samples) / RATE))


def moved(words: Iterable[Word], by: float, end: float) -> Iterable[Word]:
    """The words so many seconds later, between 0 and the end."""
    for word in words:
        start, stop = (float(np.clip(time + by, 0, end)) for time in (word.start, word.end))
        yield Word(round(start, 2), round(stop, 2), word.word)


def _envelope(samples: Samples) -> Samples:
    width = RATE // 100
    power = np.convolve(samples**2, np.ones(width) / width, "same")
    return np.asarray(np.sqrt(power), dtype=np.float32)


def perform(recording: Recording) -> tuple[Samples, list[Segment]]:
    """All sentences one after the other, each voice on its own channel if there are several."""
    dice = np.random.default_rng(recording.seed)
    voices = list(dict.fromkeys(line.voice for line in recording.lines))
    now, spoken, segments = round(0.4 * RATE), [], []
    for line in recording.lines:
        samples, words = speak(line)
        channel = voices.index(line.voice) % recording.channels
        end = now + len(samples)
        spoken.append((channel, now, samples))
        said = list(moved(words, now / RATE, end / RATE))
        segments.append(
            Segment(round(now / RATE, 2), round(end / RATE, 2), line.text, channel, said)
        )
        now = end + round(recording.gap * dice.uniform(0.7, 1.4) * RATE)
    length = round((segments[-1].end + 0.5) * RATE)
    planes = dice.standard_normal((recording.channels, length)).astype(np.float32) * FLOOR
    for channel, start, samples in spoken:
        planes[channel, start : start + len(samples)] += samples
    return np.clip(planes, -1, 1), segments


def store(recording: Recording) -> None:
    """The recording, its text, segments and words; a channel is noted where there are two."""
    planes, segments = perform(recording)
    path = FOLDER / recording.name
    path.write_bytes(recording.write(planes))
    text = " ".join(segment.text for segment in segments)
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")

    def channel(segment: Segment) -> dict[str, int]:
        return {"channel": segment.channel} if recording.channels > 1 else {}

    sentences = [{"start": s.start, "end": s.end, "text": s.text} | channel(s) for s in segments]
    words = [asdict(word) | channel(s) for s in segments for word in s.words]
    for kind, rows in (("segments", sentences), ("words", words)):
        path.with_suffix(f".{kind}.json").write_text(
            json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    for item in RECORDINGS:
        if not sys.argv[1:] or item.name in sys.argv[1:]:
            store(item)
            print(item.name)
