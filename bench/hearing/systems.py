"""Verbatim and faster-whisper's three ways of transcribing, with the same weights and beam."""

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.version import __version__ as version

from app.audio.expected_length import Length
from app.domain import Options, Word
from app.engine.batcher import Batcher
from app.engine.whisper import WhisperEngine
from app.models.loading import EngineChoices, load
from app.pipeline.admission import Work
from app.pipeline.deadline import Deadline
from app.pipeline.transcriber import Transcriber
from app.pipeline.window_decoder import WindowDecoder
from app.process.fair_threads import FairThreads
from app.services import models_directory
from app.settings import read_settings
from bench.hearing.corpus import Spoken
from bench.hearing.sources import CACHE
from bench.recordings import wav


@dataclass(frozen=True, slots=True)
class Heard:
    """What a system made of a recording."""

    text: str
    words: tuple[Word, ...]


System = Callable[[Spoken, bool], Heard]
"""Transcribes a recording; the flag requests words with times."""


def engine_of(
    model: str, margin_seconds: float | None = None, timestamps: str = "auto"
) -> WhisperEngine:
    """The engine on a CPU; `margin_seconds` in place of the model's own silence after short
    windows, `timestamps` as the setting."""
    choices = EngineChoices(device="cpu", timestamps=timestamps)
    engine = load(model, choices, models_directory(read_settings()))
    if margin_seconds is not None:
        update = {"context_margin_seconds": margin_seconds}
        engine.profile = engine.profile.model_copy(update=update)
    return engine


@asynccontextmanager
async def pipeline(engine: WhisperEngine) -> AsyncIterator[Callable[..., Awaitable[Heard]]]:
    """The pipeline of the server, in this process, as an asynchronous System."""
    with FairThreads(2) as cpu:
        async with Batcher(engine) as batcher:
            decoder = WindowDecoder(engine, batcher, cpu, use_fallback=True)

            async def transcribe(spoken: Spoken, words: bool) -> Heard:
                work = Work(batcher.pace, Length(0.0, is_claimed=False), Deadline())
                options = Options(language=spoken.language, words=words)
                file = io.BytesIO(wav(spoken.samples))
                result = await Transcriber(decoder).transcribe(file, options, "bench", work)
                found = tuple(word for segment in result.segments for word in segment.words)
                return Heard(result.text, found)

            yield transcribe


@contextmanager
def verbatim(
    model: str, margin_seconds: float | None = None, timestamps: str = "auto"
) -> Iterator[System]:
    """The pipeline of the server, a recording at a time; options as of `engine_of`."""
    engine = engine_of(model, margin_seconds, timestamps)

    async def transcribe(spoken: Spoken, words: bool) -> Heard:
        async with pipeline(engine) as hear:
            return await hear(spoken, words)

    yield lambda spoken, words: asyncio.run(transcribe(spoken, words))


@contextmanager
def faster_whisper(model: str) -> Iterator[dict[str, System]]:
    """faster-whisper without and with voice activity detection, and batched."""
    folder = models_directory(read_settings()).find(model)
    assert folder is not None
    whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)
    batched = BatchedInferencePipeline(whisper)

    cache = CACHE / "faster-whisper.json"
    known: dict[str, str] = json.loads(cache.read_text()) if cache.is_file() else {}

    def heard(segments: object) -> Heard:
        found = list(segments)  # type: ignore[call-overload]
        words = tuple(
            Word(word.start, word.end, word.word, word.probability)
            for segment in found
            for word in segment.words or ()
        )
        return Heard("".join(segment.text for segment in found).strip(), words)

    def way(model: WhisperModel | BatchedInferencePipeline, **options: Any) -> System:
        return lambda spoken, words: heard(
            model.transcribe(
                spoken.samples, language=spoken.language, word_timestamps=words, **options
            )[0]
        )

    def kept(name: str, system: System) -> System:
        """The system, whose texts are kept on disk: they depend on recording and weights only."""

        def transcribe(spoken: Spoken, words: bool) -> Heard:
            digest = hashlib.sha256(spoken.samples.tobytes()).hexdigest()
            key = f"{version} {model} {name} {spoken.language} {digest}"
            if words or key not in known:
                result = system(spoken, words)
                known[key] = result.text
                cache.write_text(json.dumps(known))
                return result
            return Heard(known[key], ())

        return transcribe

    every = {
        "faster-whisper": way(whisper),
        "with VAD": way(whisper, vad_filter=True),
        "batched": way(batched, batch_size=4),
    }
    yield {name: kept(name, system) for name, system in every.items()}
