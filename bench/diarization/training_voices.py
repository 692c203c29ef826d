"""Voices that the encoder for telephone sound was trained on: none of them is in the bench.

They come from Debian's packages and from source packages of the package index, all of them pinned.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from app.audio.decoder_process import decode
from app.domain import SAMPLE_RATE, Samples
from bench.diarization.voices import cut, speech_of
from bench.hearing.packages import ASTERISK, Package, g722
from bench.hearing.sources import Source

SECONDS = 45.0
"""Of each voice, about."""

_F5 = Source(
    "f5-tts",
    "f5_tts-1.1.9.tar.gz",
    "0bf086c6c628596dcfbd5061b2ea42b32009a5f94b963bfca36a7ffda1fbe056",
    "MIT",
)
_MOONSHINE = Source(
    "useful-moonshine",
    "useful_moonshine-20241016.tar.gz",
    "d7c69669d3441407d821c05db6d4b47177dd0df4e85d54e65b2a9483bfec5183",
    "MIT",
)
_ESPNET = Source(
    "espnet",
    "espnet-202611.tar.gz",
    "eb5816c4d2e4a18eaa2afacc2f8cf74f93e5534dec0fdcee0b2c89b6f7ddd1fd",
    "Apache-2.0",
)
_SINGLE = (
    (_F5, "src/f5_tts/infer/examples/basic/basic_ref_en.wav"),
    (_F5, "src/f5_tts/infer/examples/basic/basic_ref_zh.wav"),
    (_F5, "src/f5_tts/infer/examples/multi/country.flac"),
    (_F5, "src/f5_tts/infer/examples/multi/main.flac"),
    (_F5, "src/f5_tts/infer/examples/multi/town.flac"),
    (_MOONSHINE, "moonshine/assets/beckett.wav"),
    (_ESPNET, "test_utils/ctc_align_test.wav"),
)


FESTIVAL_RU = Package(
    "festvox-ru",
    "0.5+dfsg-6",
    "21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4",
    "as BSD, Nickolay V. Shmyrev",
)
KLETTRES = Package(
    "klettres-data",
    "4:22.12.3-1",
    "1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8",
    "GPL-2+, KDE: letters and syllables in 20 languages, a voice each",
)


def voices() -> Iterator[tuple[str, list[Samples]]]:
    """The name of each voice and what it says, whole band, in utterances."""
    for prompts in ASTERISK:
        package = prompts.sounds
        files = sorted(package.unpacked().rglob("*.g722"))
        long = [file for file in files if file.stat().st_size > SAMPLE_RATE][::7]
        yield package.name, _first(utterance for file in long for utterance in _said(g722(file)))
    files = sorted(FESTIVAL_RU.unpacked().rglob("*.wav"))[::20]
    yield FESTIVAL_RU.name, _first(each for file in files for each in _said(_decoded(file)))
    folder = KLETTRES.unpacked() / "usr/share/klettres"
    for language in sorted(folder.iterdir()):
        files = sorted(language.glob("*/*.ogg"))
        if len(files) >= 20:
            yield f"klettres {language.name}", _first(_joined(files[:: max(1, len(files) // 70)]))
    for source, member in _SINGLE:
        sound = np.concatenate(list(decode(io.BytesIO(source.read(member)))))
        yield member.rpartition("/")[2], _first(_said(sound))


def _said(samples: Samples) -> Iterator[Samples]:
    return (utterance.samples for utterance in cut(samples))


def _decoded(file: Path) -> Samples:
    return np.concatenate(list(decode(io.BytesIO(file.read_bytes()))))


def _joined(files: Iterable[Path]) -> Iterator[Samples]:
    """Letters, 3 s and more of them as one utterance."""
    parts: list[Samples] = []
    for file in files:
        samples = _decoded(file)
        for start, end in speech_of(samples):
            if end - start >= SAMPLE_RATE // 5:
                part = samples[start:end]
                level = max(1e-4, float(np.sqrt(np.mean(np.square(part)))))
                parts.append(part * np.float32(0.07 / level))
        if sum(map(len, parts)) > 3 * SAMPLE_RATE:
            yield np.concatenate(parts)
            parts = []


def _first(utterances: Iterable[Samples]) -> list[Samples]:
    found: list[Samples] = []
    for utterance in utterances:
        if sum(map(len, found)) > SECONDS * SAMPLE_RATE:
            break
        found.append(utterance)
    return found
