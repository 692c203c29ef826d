"""A Whisper model on CTranslate2: load it, and run batches of windows through it.

It decides how to batch on its device and knows every trap of ENGINE.md §3; what to batch is
decided by the queue, what to do with a doubtful result by `pipeline/fallback.py`.
"""

import ctypes
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.utils import download_model

from app.domain import Hypothesis, Samples, Segment, Word
from app.engine.model import BatchKey, DecodeOptions, Encoded, EngineInfo, Features, Job
from app.engine.profile import ModelProfile, read_profile
from app.engine.tokens import Alignment, Vocabulary, compression_ratio

STARTER = "starter"
_STARTER_DIRECTORY = Path(__file__).parents[2] / "models" / STARTER

_MAX_LENGTH = 448
"""Positions of Whisper's text decoder."""
_BEST_OF = 5
"""Samples drawn at a temperature above 0, as openai/whisper does."""
_SHORT_WINDOW_SECONDS = 8.0
_SHORT_WINDOW_TOKENS = 112
_MAX_ALIGN_ROWS = 8
"""`align` holds rows * tokens * 51,865 floats: 330 MB for 8 rows of 200 tokens."""


@dataclass(frozen=True, slots=True)
class EngineChoices:
    """What the operator asked of the engine; None leaves the choice to the device."""

    device: str = "auto"
    compute_type: str = "auto"
    device_indexes: tuple[int, ...] = (0,)
    workers: int | None = None
    threads_per_worker: int | None = None
    beam_size: int = 5
    max_batch_size: int | None = None


def load(name: str, choices: EngineChoices) -> "WhisperEngine":
    """Load a model: `starter`, a directory, or any name or hub id that faster-whisper knows.

    Raises ValueError or RuntimeError, with the reason, if there is no such model or device.
    """
    device = choices.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    workers, threads = _cpu_split(os.cpu_count() or 1) if device == "cpu" else (1, 4)
    workers = choices.workers or workers
    threads = choices.threads_per_worker or threads
    if device == "cpu":
        _keep_memory()
    directory = _directory(name)
    model = WhisperModel(
        str(directory),
        device=device,
        device_index=list(choices.device_indexes) if device == "cuda" else 0,
        compute_type=_compute_type(choices.compute_type, device),
        cpu_threads=threads,
        num_workers=workers,
    )
    info = EngineInfo(
        model=directory.name if Path(name).is_dir() else name,
        device=device,
        compute_type=model.model.compute_type,
        workers=workers * (len(choices.device_indexes) if device == "cuda" else 1),
        threads_per_worker=threads,
        beam_size=choices.beam_size,
        max_batch_size=choices.max_batch_size or (16 if device == "cuda" else 8),
    )
    created = int((directory / "model.bin").stat().st_mtime)
    return WhisperEngine(model, info, read_profile(directory), created)


def _directory(name: str) -> Path:
    if name == STARTER:
        return _STARTER_DIRECTORY
    path = Path(name)
    return path if path.is_dir() else Path(download_model(name))


def _compute_type(asked: str, device: str) -> str:
    if asked != "auto":
        return asked
    return "int8" if device == "cpu" else "float16"


def _cpu_split(cores: int) -> tuple[int, int]:
    """Workers and threads for each: throughput first, but no lone request on one core of many.

    One thread per worker computes most per core (8 to 15 % more than two, ENGINE.md §5.1, and ten
    times faster decoding of small models); up to four shorten the wait for a single window.
    """
    threads = min(4, max(1, cores // 2))
    return max(1, cores // threads), threads


def _keep_memory() -> None:
    """Let glibc keep and reuse the encoder's large buffers (ENGINE.md §5.2).

    By default every operation of a worker thread maps and unmaps its buffers: page faults made
    encoding 1.6 to 2.3 times slower. The numbers are mallopt's M_ARENA_MAX, M_MMAP_MAX,
    M_TRIM_THRESHOLD and M_TOP_PAD. Elsewhere than on glibc there is nothing to do.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, value in ((-8, 1), (-4, 0), (-1, 2**31 - 1), (-2, 1 << 26)):
        libc.mallopt(parameter, value)


class WhisperEngine:
    """`SpeechModel` on CTranslate2. Every method may be called from any thread."""

    def __init__(
        self, model: WhisperModel, info: EngineInfo, profile: ModelProfile, created: int
    ) -> None:
        self._model = model.model
        self._extract = model.feature_extractor
        self._vocabulary = Vocabulary(model.hf_tokenizer, model.model.is_multilingual)
        self.info = info
        self.created = created
        self.is_multilingual: bool = model.model.is_multilingual
        known = tuple(model.supported_languages)
        self.profile = profile.model_copy(update={"languages": profile.languages or known})

    @property
    def encode_batch_size(self) -> int:
        return 1 if self.info.device == "cpu" else self.info.max_batch_size

    def warm_up(self) -> None:
        """Encode, detect and decode half a second of silence on every worker's device."""
        job = Job("warm-up", 0.5, self.features(np.zeros(8000, np.float32)))
        job.encoded = self.encode([job])[0]
        self.detect_languages([job])
        options = DecodeOptions("transcribe", self.profile.languages[0], words=True)
        self.decode([job], [options])

    def features(self, samples: Samples) -> Features:
        """Log-mel of one window, shape (mels, 3000); zeros after its end, as faster-whisper."""
        features = pad_or_trim(self._extract(samples)[..., :-1])
        return np.ascontiguousarray(features, dtype=np.float32)

    def batch_key(self, job: Job, options: DecodeOptions) -> BatchKey:
        """CTranslate2 wants one position of <|startoftranscript|> and one set of options per call.

        Languages and tasks may mix. The count of prompt tokens is exact and not rounded: trimming
        a caller's prompt to match another's would make results depend on companions.
        """
        context = len(self._vocabulary.context(options.prompt))
        return (context, options.temperature, self._token_budget(job.duration, options))

    def encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        features = np.stack([job.features for job in jobs if job.features is not None])
        # Decoding batches are put together from several encoding calls, so the rows come to the
        # host; on a GPU that is 4 MB a row, a fraction of a millisecond.
        view = ctranslate2.StorageView.from_array(features)
        encoded = np.asarray(self._model.encode(view, to_cpu=True))
        return [np.array(row) for row in encoded]

    def detect_languages(self, jobs: Sequence[Job]) -> list[Mapping[str, float]]:
        if not self.is_multilingual:
            return [{"en": 1.0} for _ in jobs]
        results = self._model.detect_language(_stacked(jobs))
        return [{token[2:-2]: probability for token, probability in row} for row in results]

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        encoded = _stacked(jobs)
        contexts = [self._vocabulary.context(wanted.prompt) for wanted in options]
        prompts = [
            [*context, *self._vocabulary.start_sequence(wanted.language, wanted.task)]
            for context, wanted in zip(contexts, options, strict=True)
        ]
        budget = self._token_budget(jobs[0].duration, options[0])
        results = self._model.generate(
            encoded,
            prompts,
            max_length=_max_length(len(prompts[0]), budget),
            suppress_tokens=self._vocabulary.suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **self._search(options[0].temperature),
        )
        hypotheses = [
            self._hypothesis(result, job, wanted, len(context), budget)
            for result, job, wanted, context in zip(results, jobs, options, contexts, strict=True)
        ]
        return self._with_words(hypotheses, jobs, options)

    def _token_budget(self, duration: float, options: DecodeOptions) -> int:
        """Tokens a window may produce: a row that runs away holds up its whole batch.

        English needs some 5 tokens a second, so a short window gets half of Whisper's budget.
        A row that fills it is not lost: it says so (`is_cut_off`) and may be decoded at full
        length.
        """
        most = self.profile.max_new_tokens
        if options.full_length or duration > _SHORT_WINDOW_SECONDS:
            return most
        return min(most, _SHORT_WINDOW_TOKENS)

    def _search(self, temperature: float) -> dict[str, float]:
        if temperature == 0.0:
            return {"beam_size": self.info.beam_size}
        # Without topk 0 CTranslate2 ignores the temperature.
        return {
            "beam_size": 1,
            "num_hypotheses": _BEST_OF,
            "sampling_topk": 0,
            "sampling_temperature": temperature,
        }

    def _hypothesis(
        self,
        result: ctranslate2.models.WhisperGenerationResult,
        job: Job,
        options: DecodeOptions,
        prompt_token_count: int,
        budget: int,
    ) -> Hypothesis:
        tokens = result.sequences_ids[0]
        # The score is a mean over the tokens; Whisper's average counts <|endoftext|> too.
        avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
        ratio = compression_ratio(self._vocabulary.text(tokens).strip())
        segments = [
            replace(
                segment,
                language=options.language,
                temperature=options.temperature,
                avg_logprob=avg_logprob,
                compression_ratio=ratio,
                no_speech_prob=result.no_speech_prob,
            )
            for segment in self._vocabulary.segments(tokens, job.duration)
        ]
        return Hypothesis(
            options.language,
            tuple(segments),
            options.temperature,
            avg_logprob,
            ratio,
            result.no_speech_prob,
            is_cut_off=len(tokens) >= budget,
            prompt_token_count=prompt_token_count,
        )

    def _with_words(
        self,
        hypotheses: list[Hypothesis],
        jobs: Sequence[Job],
        options: Sequence[DecodeOptions],
    ) -> list[Hypothesis]:
        """Align the rows that want words, in groups that may share an `align` call."""
        rows = [
            index
            for index, hypothesis in enumerate(hypotheses)
            if options[index].words and hypothesis.segments
        ]

        def start(index: int) -> tuple[str, str]:
            return options[index].language, options[index].task

        for _, group in groupby(sorted(rows, key=start), key=start):
            indexes = list(group)
            for at in range(0, len(indexes), _MAX_ALIGN_ROWS):
                self._align(indexes[at : at + _MAX_ALIGN_ROWS], hypotheses, jobs, options)
        return hypotheses

    def _align(
        self,
        rows: Sequence[int],
        hypotheses: list[Hypothesis],
        jobs: Sequence[Job],
        options: Sequence[DecodeOptions],
    ) -> None:
        tokens = [
            [
                token
                for segment in hypotheses[row].segments
                for token in self._vocabulary.text_tokens(segment)
            ]
            for row in rows
        ]
        frames = [min(2 * math.ceil(jobs[row].duration * 50), 3000) for row in rows]
        encoded = [jobs[row] for row in rows]
        if len(set(frames)) == 1 and len({len(ids) for ids in tokens}) > 1:
            # Rows with equal frames but unequal texts misalign the shorter ones (CTranslate2
            # 4.8, ENGINE.md §3.5): padding enters a normalisation over tokens. One odd row
            # sends all of them down the exact path, so an empty one rides along.
            frames.append(frames[0] - 2)
            tokens.append([])
            encoded.append(encoded[0])
        first = options[rows[0]]
        results = self._model.align(
            _stacked(encoded),
            self._vocabulary.start_sequence(first.language, first.task),
            tokens,
            frames,
        )
        for row, ids, result in zip(rows, tokens, results, strict=False):
            alignment = Alignment(result.alignments, result.text_token_probs)
            words = self._vocabulary.words(ids, alignment, first.language)
            hypotheses[row] = replace(
                hypotheses[row],
                segments=_distribute(words, hypotheses[row].segments),
            )


def _max_length(prompt_length: int, budget: int) -> int:
    """CTranslate2 allows min(max_length / 2, max_length - prompt + 1) new tokens."""
    return min(_MAX_LENGTH, max(2 * budget, budget + prompt_length - 1))


def _stacked(jobs: Sequence[Job]) -> ctranslate2.StorageView:
    rows = [job.encoded for job in jobs if job.encoded is not None]
    return ctranslate2.StorageView.from_array(np.stack(rows))


def _distribute(words: Sequence[Word], segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Give each segment the words of its own text: by length of text, which both share."""
    placed = []
    at = 0
    for segment in segments:
        mine: list[Word] = []
        length = 0
        while at < len(words) and length < len(segment.text):
            mine.append(words[at])
            length += len(words[at].text)
            at += 1
        placed.append(replace(segment, words=tuple(mine)))
    return tuple(placed)
