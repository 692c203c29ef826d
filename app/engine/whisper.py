"""A Whisper model on CTranslate2: batches of windows through encoder, decoder and alignment.

This module decides how a batch runs on its device, with every trap of docs/notes/engine.md; the
queue decides what is in a batch, and `pipeline/fallback.py` what follows a doubtful result.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from math import ceil, floor

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim

from app.domain import SAMPLE_RATE, Hypothesis, Samples
from app.engine.alignment import Aligner
from app.engine.encoder_context import FULL_FRAMES, context_frames
from app.engine.profile import ModelProfile
from app.engine.speech_model import (
    BatchKey,
    DecodeOptions,
    Encoded,
    EngineInfo,
    Features,
    Job,
    LanguageProbabilities,
)
from app.engine.tensors import batch, stacked
from app.engine.tokens import Vocabulary, compression_ratio

_MAX_LENGTH = 448
"""Positions of Whisper's text decoder."""
_BEST_OF = 5
"""Samples drawn at a temperature above 0, as openai/whisper does."""
_SHORT_WINDOW_SECONDS = 8.0
_SHORT_WINDOW_TOKENS = 112
_POSITIONS = FULL_FRAMES // 2
"""Length of the encoder's output in full context."""
_POSITIONS_PER_SECOND = 50
_SHORT_DETECTION_SECONDS = 2.5
_CONTEXT_POSITIONS = 25
"""Kept around a stretch whose language is detected, and least padding after it."""
_MAX_ALIGN_ROWS = 8
"""`align` holds rows * tokens * 51,865 floats: 330 MB for 8 rows of 200 tokens."""


class WhisperEngine:
    """A `SpeechModel` on CTranslate2. Every method may be called from any thread."""

    def __init__(
        self,
        model: WhisperModel,
        info: EngineInfo,
        profile: ModelProfile,
        has_timestamps: bool = True,
    ) -> None:
        """`has_timestamps`: times of segments are decoded with the text; otherwise they come from
        an alignment, and segments are sentences."""
        self._model = model.model
        self._extract = model.feature_extractor
        self._vocabulary = Vocabulary(model.hf_tokenizer, model.model.is_multilingual)
        self.info = info
        self.is_multilingual: bool = model.model.is_multilingual
        # A CPU gains nothing from aligning rows together (2.4 ms alone, 3.3 in eights), and alone
        # even the tokens' probabilities are exact: int8 rounding moves them in a batch.
        align_rows = 1 if info.device == "cpu" else _MAX_ALIGN_ROWS
        self._has_timestamps = has_timestamps
        self.aligner = Aligner(self._model, self._vocabulary, align_rows, has_timestamps)
        known = tuple(model.supported_languages)
        self.profile = profile.model_copy(update={"languages": profile.languages or known})

    @property
    def encode_batch_size(self) -> int:
        return 1 if self.info.device == "cpu" else self.info.max_batch_size

    @property
    def has_spare_worker(self) -> bool:
        return self.info.device == "cpu"

    def warm_up(self) -> None:
        """Encode, detect and decode half a second of silence on every worker's device."""
        silence = np.zeros(8000, np.float32)
        jobs = [
            Job("warm-up", 0.5, self.features(silence, is_full), stretches=[(0.0, 0.5)])
            for is_full in (True, False)
        ]
        for job, encoded in zip(jobs, self.encode(jobs), strict=True):
            job.encoded = encoded
        self.detect_languages(jobs[:1])
        options = DecodeOptions("transcribe", self.profile.languages[0], words=True)
        self.decode(jobs[:1], [options])

    def unload(self) -> None:
        self._model.unload_model()  # and clears CTranslate2's cache of GPU memory

    def is_context_full(self, duration: float) -> bool:
        return self._frames(duration) == FULL_FRAMES

    def is_usually_lower(self, word: str) -> bool:
        return self._vocabulary.is_usually_lower(word)

    def features(self, samples: Samples, full_context: bool = False) -> Features:
        """Log-mel of one window, shape (mels, frames); zeros after its end, as faster-whisper."""
        frames = FULL_FRAMES if full_context else self._frames(len(samples) / SAMPLE_RATE)
        features = pad_or_trim(self._extract(samples)[..., :-1], frames)
        return np.ascontiguousarray(features, dtype=np.float32)

    def _frames(self, seconds: float) -> int:
        return context_frames(seconds, self.profile.context_margin_seconds)

    def batch_key(self, job: Job, options: DecodeOptions) -> BatchKey:
        """Encoder positions, length of the prompt, search and token budget: CTranslate2 needs
        rows of one length, one position of <|startoftranscript|> and one set of options per call.

        Languages and tasks may mix. The count of context tokens is exact and not rounded: trimming
        a caller's prompt to match another's would make results depend on companions.
        """
        context = self._vocabulary.context(options.prompt, options.keywords)
        budget = self._token_budget(job.duration, options)
        search = options.temperature, options.is_greedy
        return (_positions(job), len(context), *search, budget)

    def batch_limit(self, job: Job) -> int:
        """On a CPU twice `max_batch_size`, as far as they have no more positions in all than that
        many windows in full context, for which memory was planned."""
        most = self.info.max_batch_size
        if self.info.device != "cpu":
            return most
        return min(2 * most, most * _POSITIONS // _positions(job))

    def encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        """Encoder output of each job, shape (frames / 2, width); jobs of one length share a
        call."""
        results: dict[int, Encoded] = {}
        for length in {_positions(job) for job in jobs}:
            rows = [row for row, job in enumerate(jobs) if _positions(job) == length]
            results |= zip(rows, self._encode([jobs[row] for row in rows]), strict=True)
        return [results[row] for row in range(len(jobs))]

    def _encode(self, jobs: Sequence[Job]) -> list[Encoded]:
        rows = self._encoder_output(
            batch([job.features for job in jobs if job.features is not None])
        )
        # A row of a batch is copied, or it would keep the whole batch in memory.
        return [np.array(row) for row in rows] if len(jobs) > 1 else [rows[0]]

    @cached_property
    def _empty(self) -> Encoded:
        """Encoder output of a window without sound, shape (1500, width)."""
        shape = (1, self._extract.mel_filters.shape[0], FULL_FRAMES)
        row: Encoded = self._encoder_output(np.zeros(shape, np.float32))[0]
        return row

    def _encoder_output(self, features: Features) -> Encoded:
        """Shape (windows, mels, frames) -> shape (windows, frames / 2, width)."""
        # Decoding batches are put together from several encoding calls, so the rows come to the
        # host; on a GPU that is 4 MB a row, a fraction of a millisecond.
        view = ctranslate2.StorageView.from_array(features)
        output = self._model.encode(view, to_cpu=True)
        if output.dtype == ctranslate2.DataType.bfloat16:
            output = output.to(ctranslate2.DataType.float32)  # numpy has no bfloat16
        rows: Encoded = np.asarray(output)
        return rows

    def detect_languages(self, jobs: Sequence[Job]) -> list[Sequence[LanguageProbabilities]]:
        if not self.is_multilingual:
            return [[{"en": 1.0} for _ in job.stretches] for job in jobs]
        results = iter(self._languages_of([row for job in jobs for row in self._stretches(job)]))
        return [[next(results) for _ in job.stretches] for job in jobs]

    def _languages_of(self, rows: Sequence[Encoded]) -> list[LanguageProbabilities]:
        """The probabilities of each row; on a GPU, rows of one length share a call.

        A CPU gains nothing from a batch, and alone the probabilities are exact.
        """
        results: dict[int, LanguageProbabilities] = {}
        for numbers in self._calls(rows):
            view = ctranslate2.StorageView.from_array(batch([rows[number] for number in numbers]))
            for number, result in zip(numbers, self._model.detect_language(view), strict=True):
                results[number] = {token[2:-2]: probability for token, probability in result}
        return [results[number] for number in range(len(rows))]

    def _calls(self, rows: Sequence[Encoded]) -> list[list[int]]:
        """The numbers of the rows of each call that detects languages."""
        if self.info.device == "cpu":
            return [[number] for number in range(len(rows))]
        size, groups = self.info.max_batch_size, list[list[int]]()
        for length in sorted({len(row) for row in rows}):
            same = [number for number, row in enumerate(rows) if len(row) == length]
            groups += [same[at : at + size] for at in range(0, len(same), size)]
        return groups

    def _stretches(self, job: Job) -> list[Encoded]:
        """Encoder output of each stretch of a job: with what surrounds it, and a padding after it.

        Each position of the output is mostly about its own 20 ms of sound, so a stretch needs no
        encoding of its own. With less around it, wrong languages are detected. A short window is
        taken as a whole, as Whisper's own code does: of 28 words and phrases of 0.6 to 2.2 s, base
        then detects 26 right, otherwise 25. That costs four times as much, too much for a draft.
        """
        assert job.encoded is not None, "languages are detected in encoded jobs"
        is_short = len(job.stretches) == 1 and job.duration < _SHORT_DETECTION_SECONDS
        if is_short and not job.is_draft:
            return [np.concatenate([job.encoded, self._empty[len(job.encoded) :]])]
        sound = min(ceil(job.duration * _POSITIONS_PER_SECOND), _POSITIONS)
        rows = []
        for start, end in job.stretches:
            first = max(0, floor(start * _POSITIONS_PER_SECOND) - _CONTEXT_POSITIONS)
            last = min(sound, ceil(end * _POSITIONS_PER_SECOND) + _CONTEXT_POSITIONS)
            # Whole seconds, so that stretches on a GPU have few lengths.
            length = ceil((last - first + _CONTEXT_POSITIONS) / _POSITIONS_PER_SECOND)
            padding = length * _POSITIONS_PER_SECOND - (last - first)
            rows.append(np.concatenate([job.encoded[first:last], self._empty[-padding:]]))
        return rows

    def decode(self, jobs: Sequence[Job], options: Sequence[DecodeOptions]) -> list[Hypothesis]:
        encoded = stacked(jobs)
        contexts = [self._vocabulary.context(each.prompt, each.keywords) for each in options]
        prompts = [
            [*context, *self._start_sequence(each)]
            for context, each in zip(contexts, options, strict=True)
        ]
        budget = self._token_budget(jobs[0].duration, options[0])
        results = self._model.generate(
            encoded,
            prompts,
            max_length=_max_length(len(prompts[0]), budget),
            suppress_tokens=self._vocabulary.suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **self._search(options[0]),
        )
        hypotheses = [
            # <|startofprev|> is no text.
            self._hypothesis(result, job, each, len(context[1:]), budget)
            for result, job, each, context in zip(results, jobs, options, contexts, strict=True)
        ]
        return self.aligner.align(hypotheses, jobs, options)

    def _start_sequence(self, options: DecodeOptions) -> list[int]:
        return self._vocabulary.start_sequence(options.language, options.task, self._has_timestamps)

    def _token_budget(self, duration: float, options: DecodeOptions) -> int:
        """Most tokens a window may produce: a row that runs away delays its whole batch.

        English needs some 5 tokens a second, so a short window gets half of Whisper's budget.
        A row that fills its budget is marked (`is_cut_off`) and may be decoded at full length.
        """
        most = self.profile.max_new_tokens
        if options.full_length or duration > _SHORT_WINDOW_SECONDS:
            return most
        return min(most, _SHORT_WINDOW_TOKENS)

    def _search(self, options: DecodeOptions) -> dict[str, float]:
        if options.temperature == 0.0:
            return {"beam_size": 1 if options.is_greedy else self.info.beam_size}
        # Without topk 0 CTranslate2 ignores the temperature.
        return {
            "beam_size": 1,
            "num_hypotheses": _BEST_OF,
            "sampling_topk": 0,
            "sampling_temperature": options.temperature,
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
            is_full_length=budget == self.profile.max_new_tokens,
            prompt_token_count=prompt_token_count,
        )


def _positions(job: Job) -> int:
    """Length of the job's encoder output, which it may not have yet."""
    if job.encoded is not None:
        return len(job.encoded)
    assert job.features is not None, "a job has features until it is encoded"
    return int(job.features.shape[1]) // 2


def _max_length(prompt_length: int, budget: int) -> int:
    """The `max_length` for a budget of min(max_length / 2, max_length - prompt + 1) new tokens."""
    return min(_MAX_LENGTH, max(2 * budget, budget + prompt_length - 1))
