"""`python -m training.evaluation MODEL`: how well an exported model hears what it never heard.

Everything goes through faster-whisper on one CPU core, as a user would run it: whole recordings,
no cutting at pauses, beam 5, temperature 0. Figures go to the screen and, as JSON, to --output.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from tests.words import normalise, word_errors
from training import testsets
from training.testsets import Part, Recording
from training.voices import RATE
from training.workplace import Workplace

Figures = dict[str, float]


class Evaluation:
    """One model and the recordings to try it on, `count` of each kind."""

    def __init__(self, folder: Path, place: Workplace, count: int) -> None:
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        self._place, self._count = place, count

    def figures(self) -> Iterator[tuple[str, Figures]]:
        """Each test set's name and what was measured; errors are shares, times in seconds."""
        place, count = self._place, self._count
        for name in testsets.SINGLE:
            yield name, self._errors(testsets.single(place, name, count))
        for name in ("german", "french"):
            yield f"{name} to english", self._translated(testsets.single(place, name, count))
        long = testsets.windows(place, max(1, count // 3))
        yield "windows of 30 s", self._errors(long) | self._boundaries(long)
        yield "telephone", self._errors(testsets.telephone(place, count))
        for name, unheard in (("unheard", True), ("heard", False)):
            spoken = testsets.spoken_digits(place, unheard, count)
            if spoken:
                yield f"digits, {name}", self._errors(spoken) | self._word_starts(spoken)
        yield "language of 3 s", self._languages(testsets.three_seconds(place, 3 * count))
        yield "no speech", self._silence(testsets.without_speech(count))
        yield "speed", self._speed(long[:5])

    def _transcribe(
        self, recording: Recording, task: str = "transcribe", words: bool = False
    ) -> list[Segment]:
        segments, _ = self._model.transcribe(
            recording.samples,
            language=recording.language,
            task=task,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=words,
        )
        return list(segments)

    def _errors(self, recordings: Sequence[Recording]) -> Figures:
        pairs = [(r.text, _text(self._transcribe(r))) for r in recordings]
        return _word_error_rate(pairs)

    def _translated(self, recordings: Sequence[Recording]) -> Figures:
        pairs = [
            (
                " ".join(part.translation or "" for part in recording.parts),
                _text(self._transcribe(recording, task="translate")),
            )
            for recording in recordings
        ]
        return _word_error_rate(pairs)

    def _boundaries(self, recordings: Sequence[Recording]) -> Figures:
        """Between each sentence and the segment that covers most of it."""
        starts, ends = [], []
        for recording in recordings:
            segments = self._transcribe(recording)
            for part in recording.parts:
                if not segments:
                    continue
                nearest = max(segments, key=lambda s: _overlap(s, part))
                if _overlap(nearest, part) > 0:
                    starts.append(abs(nearest.start - part.start))
                    ends.append(abs(nearest.end - part.end))
        return {"start": _median(starts), "end": _median(ends)}

    def _word_starts(self, recordings: Sequence[Recording]) -> Figures:
        """Of the words of recordings that are heard without a mistake in their number."""
        errors = []
        for recording in recordings:
            segments = self._transcribe(recording, words=True)
            words = [word for segment in segments for word in segment.words or ()]
            if len(words) == len(recording.parts):
                for word, part in zip(words, recording.parts, strict=True):
                    errors.append(abs(word.start - part.start))
        return {"word_start": _median(errors), "words_timed": len(errors)}

    def _languages(self, recordings: Sequence[Recording]) -> Figures:
        found = [self._model.detect_language(r.samples)[0] == r.language for r in recordings]
        return {"right": sum(found) / len(found)}

    def _silence(self, recordings: Sequence[Recording]) -> Figures:
        empty = [not normalise(_text(self._transcribe(r))) for r in recordings]
        return {"empty": sum(empty) / len(empty)}

    def _speed(self, recordings: Sequence[Recording]) -> Figures:
        """Seconds of audio in a second of one core."""
        started = time.process_time()
        for recording in recordings:
            self._transcribe(recording)
        used = time.process_time() - started
        return {"times_real_time": sum(len(r.samples) for r in recordings) / RATE / used}


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text.strip() for segment in segments)


def _overlap(segment: Segment, part: Part) -> float:
    return float(min(segment.end, part.end) - max(segment.start, part.start))


def _word_error_rate(pairs: Sequence[tuple[str, str]]) -> Figures:
    words = sum(len(normalise(reference)) for reference, _ in pairs)
    errors = sum(word_errors(reference, heard) for reference, heard in pairs)
    return {"word_errors": errors / max(1, words), "words": words}


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a CTranslate2 folder")
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--count", type=int, default=40, help="recordings of each kind")
    parser.add_argument("--output", type=Path, help="JSON of all figures")
    chosen = parser.parse_args()
    results = {}
    evaluation = Evaluation(chosen.model, Workplace(chosen.work), chosen.count)
    for name, figures in evaluation.figures():
        results[name] = figures
        shown = ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
        print(f"{name:20} {shown}", flush=True)
    if chosen.output:
        chosen.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
