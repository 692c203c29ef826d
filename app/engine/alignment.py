"""Words and token scores of windows that are decoded: one pass over their text gives both."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import ctranslate2

from app.domain import Hypothesis, Segment, Word
from app.engine.speech_model import DecodeOptions, Job
from app.engine.tensors import stacked
from app.engine.tokens import Alignment, Vocabulary
from app.telemetry import metrics, tracing


class Aligner:
    """CTranslate2's `align`: the decoder reads the finished text beside the sound once more.

    It reads without prompt, keywords and timestamps, and shares probability among text tokens
    only. So a score says how well the token fits the sound and the text before it; one that only
    the prompt suggested scores low. Against a greedy decoder without timestamps, scores are
    higher by 0.005 a token (median of 39 windows; 0.049 at most).
    """

    def __init__(
        self, model: ctranslate2.models.Whisper, vocabulary: Vocabulary, batch_size: int
    ) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self.batch_size = batch_size
        """Rows of one `align` call."""

    def align(
        self,
        hypotheses: list[Hypothesis],
        jobs: Sequence[Job],
        options: Sequence[DecodeOptions],
    ) -> list[Hypothesis]:
        """Give the rows that want words or scores theirs, in groups that may share a call."""
        rows = [
            index
            for index, hypothesis in enumerate(hypotheses)
            if hypothesis.segments and (options[index].words or options[index].token_scores)
        ]

        def start(index: int) -> tuple[str, str]:
            return options[index].language, options[index].task

        for _, group in groupby(sorted(rows, key=start), key=start):
            indexes = list(group)
            for at in range(0, len(indexes), self.batch_size):
                with metrics.STAGE_SECONDS.labels("align").time(), tracing.span("align"):
                    self._align(indexes[at : at + self.batch_size], hypotheses, jobs, options)
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
            # 4.8, docs/engine.md §3.5): padding enters a normalisation over tokens. One odd row
            # sends all of them down the exact path, so an empty one rides along.
            frames.append(frames[0] - 2)
            tokens.append([])
            encoded.append(encoded[0])
        first = options[rows[0]]
        results = self._model.align(
            stacked(encoded),
            self._vocabulary.start_sequence(first.language, first.task),
            tokens,
            frames,
        )
        for row, ids, result in zip(rows, tokens, results, strict=False):
            alignment = Alignment(result.alignments, result.text_token_probs)
            segments = hypotheses[row].segments
            if options[row].words:
                words = self._vocabulary.words(ids, alignment, first.language)
                segments = _with_words(segments, words)
            if options[row].token_scores:
                segments = self._with_scores(segments, alignment.probabilities)
            hypotheses[row] = replace(hypotheses[row], segments=segments)

    def _with_scores(
        self, segments: Sequence[Segment], probabilities: Sequence[float]
    ) -> tuple[Segment, ...]:
        scored = []
        at = 0
        for segment in segments:
            tokens = self._vocabulary.text_tokens(segment)
            mine = probabilities[at : at + len(tokens)]
            scored.append(replace(segment, token_scores=self._vocabulary.scores(tokens, mine)))
            at += len(tokens)
        return tuple(scored)


def _with_words(segments: Sequence[Segment], words: Sequence[Word]) -> tuple[Segment, ...]:
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
