"""Transcribes every sample with faster-whisper alone and notes the word errors in baseline.json.

Run `python -m tests.samples.baseline`; the server must do at least as well.
"""

import json
from typing import TypedDict

from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps

from tests.support.model_names import STARTER
from tests.support.recordings import FOLDER, RATE, load_sample, reference
from tests.support.words import normalise, word_errors

KINDS = {".wav", ".mp3", ".m4a", ".flac", ".opus", ".webm"}


class Result(TypedDict):
    words: int
    errors: int
    text: str
    language: str | None


# As tests/starter/verbatim.json has the server cut them.
WINDOWS = VadOptions(min_silence_duration_ms=300, speech_pad_ms=120, max_speech_duration_s=8)


def measure(pipeline: BatchedInferencePipeline, name: str) -> Result:
    """One sample cut at its pauses, beam 5; the language is detected, not given."""
    audio = load_sample(name)
    clips = [
        {edge: clip[edge] / RATE for edge in ("start", "end")}
        for clip in get_speech_timestamps(audio, WINDOWS)
    ]
    text, language = "", None
    if clips:
        segments, info = pipeline.transcribe(
            audio,
            language=None,
            multilingual=True,
            clip_timestamps=clips,
            vad_filter=False,
            without_timestamps=False,
            beam_size=5,
            temperature=0.0,
            batch_size=4,
        )
        text = " ".join(segment.text.strip() for segment in segments)
        language = info.language
    expected = reference(name)
    return Result(
        words=len(normalise(expected)),
        errors=word_errors(expected, text),
        text=text,
        language=language,
    )


def main() -> None:
    model = WhisperModel(str(STARTER), device="cpu", compute_type="int8", cpu_threads=1)
    pipeline = BatchedInferencePipeline(model)
    results = {
        path.name: measure(pipeline, path.name)
        for path in sorted(FOLDER.iterdir())
        if path.suffix in KINDS
    }
    for name, result in results.items():
        print(f"{name:32}{result['errors']:4} of {result['words']:4}  {result['language']}")
    errors = sum(result["errors"] for result in results.values())
    words = sum(result["words"] for result in results.values())
    print(f"{'all':32}{errors:4} of {words:4}  {errors / words:.1%}")
    content = json.dumps(results, ensure_ascii=False, indent=2)
    (FOLDER / "baseline.json").write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
