"""Speaks a sentence with flite or espeak-ng and knows when each word begins.

Both through their C libraries, for their programs do not tell: `flite.h` and `cst_item.h`
of flite 2.2, `speak_lib.h` of espeak-ng 1.51. Debian's packages are flite and espeak-ng.
"""

import ctypes
import itertools
import re
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_float, c_int, c_short, c_uint, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.recordings import RATE, Samples

_SYNCHRONOUS, _UTF8, _END_PAUSE, _RATE, _WORD = 2, 1, 0x1000, 1, 1
# Paths through an utterance of flite's, from a word.
_WORD_BEGINS = "R:SylStructure.daughter1.daughter1.R:Segment.p.end"
_WORD_ENDS = "R:SylStructure.daughtern.daughtern.end"


@dataclass(frozen=True)
class Word:
    """As it is written, and when it is said, in seconds."""

    start: float
    end: float
    word: str


def speak(voice: str, text: str) -> tuple[Samples, list[Word]]:
    """16 kHz samples and the text's words; voice is "flite NAME" or "espeak-ng NAME".

    Raises OSError without libraries, ValueError without the voice, or if other words are
    counted than are written.
    """
    program, name = voice.split()
    samples, times = _PROGRAMS[program](name, text)
    words = [Word(*time, word) for time, word in zip(times, text.split(), strict=True)]
    return samples, words


# --- flite -----------------------------------------------------------------------------------


class _Wave(ctypes.Structure):
    """cst_wave_struct."""

    _fields_ = [
        ("type", c_char_p),
        ("sample_rate", c_int),
        ("num_samples", c_int),
        ("num_channels", c_int),
        ("samples", POINTER(c_short)),
    ]


@cache
def _flite_library() -> ctypes.CDLL:
    library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
    for part in ("usenglish", "cmulex"):
        ctypes.CDLL(f"libflite_{part}.so.1", mode=ctypes.RTLD_GLOBAL)
    for function, result, *arguments in (
        ("flite_synth_text", c_void_p, c_char_p, c_void_p),
        ("utt_relation", c_void_p, c_void_p, c_char_p),
        ("utt_wave", POINTER(_Wave), c_void_p),
        ("relation_head", c_void_p, c_void_p),
        ("item_next", c_void_p, c_void_p),
        ("ffeature_float", c_float, c_void_p, c_char_p),
        ("delete_utterance", None, c_void_p),
    ):
        getattr(library, str(function)).restype = result
        getattr(library, str(function)).argtypes = arguments
    library.flite_init()
    return library


@cache
def _flite_voice(name: str) -> Any:
    register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
    register.restype = c_void_p
    return register(None)


def _flite(name: str, text: str) -> tuple[Samples, list[tuple[float, float]]]:
    flite = _flite_library()
    utterance = flite.flite_synth_text(text.encode(), _flite_voice(name))
    wave = flite.utt_wave(utterance).contents
    values = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
    rate, times = wave.sample_rate, []
    word = flite.relation_head(flite.utt_relation(utterance, b"Word"))
    while word:
        begins, ends = (
            flite.ffeature_float(word, way.encode()) for way in (_WORD_BEGINS, _WORD_ENDS)
        )
        times.append((begins, ends))
        word = flite.item_next(word)
    flite.delete_utterance(utterance)
    return _samples(values, rate), times


# --- espeak-ng -------------------------------------------------------------------------------


class _Event(ctypes.Structure):
    """espeak_EVENT; `sample` counts from the utterance's first."""

    _fields_ = [
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", ctypes.c_char * 8),
    ]


class _Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = [
        ("name", c_char_p),
        ("languages", c_char_p),
        ("identifier", c_char_p),
        *((field, ctypes.c_ubyte) for field in ("gender", "age", "variant", "xx1")),
        ("score", c_int),
        ("spare", c_void_p),
    ]


_Callback = ctypes.CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


@cache
def _espeak_library() -> tuple[ctypes.CDLL, int]:
    """The library and the rate of its samples."""
    library = ctypes.CDLL("libespeak-ng.so.1")
    return library, library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)


def _espeak(name: str, text: str) -> tuple[Samples, list[tuple[float, float]]]:
    espeak, rate = _espeak_library()
    values: list[NDArray[np.int16]] = []
    begins: dict[int, float] = {}

    def receive(wave: Any, count: int, events: Any) -> int:
        if wave and count:
            values.append(np.ctypeslib.as_array(wave, (count,)).copy())
        begins.update({e.text_position - 1: e.sample / rate for e in _words(events)})
        return 0

    callback = _Callback(receive)
    espeak.espeak_SetSynthCallback(callback)
    # As its program does: "de+m3" is a voice's name, "en-gb+f2" only a language's.
    asked = _Voice(languages=name.encode())
    if espeak.espeak_SetVoiceByName(name.encode()) and espeak.espeak_SetVoiceByProperties(
        ctypes.byref(asked)
    ):
        raise ValueError(f"espeak-ng has no voice {name}")
    espeak.espeak_SetParameter(_RATE, 150, 0)
    content = text.encode()
    flags = _UTF8 | _END_PAUSE
    espeak.espeak_Synth(content, len(content) + 1, 0, 1, 0, flags, None, None)
    samples = np.concatenate(values)
    places = [match.start() for match in re.finditer(r"\S+", text)]
    # espeak-ng says "I am" and "on the" as one word: the letters tell where the second begins.
    known = [place for place in places if place in begins]
    edges = [*known, len(text)], [*(begins[place] for place in known), len(samples) / rate]
    starts = [float(np.interp(place, *edges)) for place in places]
    return _samples(samples, rate), list(itertools.pairwise([*starts, edges[1][-1]]))


def _words(events: Any) -> Iterator[_Event]:
    """The words of an array of events that ends with a zero type."""
    return (e for e in itertools.takewhile(lambda event: event.type, events) if e.type == _WORD)


def _samples(values: NDArray[np.int16], rate: int) -> Samples:
    """16-bit values of any rate as samples of ours, by cutting or extending their spectrum."""
    samples = values.astype(np.float32) / np.float32(32768)
    size = round(len(samples) * RATE / rate)
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    return (np.fft.irfft(spectrum, size) * (size / len(samples))).astype(np.float32)


_PROGRAMS = {"flite": _flite, "espeak-ng": _espeak}
