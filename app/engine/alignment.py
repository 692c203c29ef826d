"""Words and token scores of decoded windows, both from one pass over the text."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import ctranslate2

from app.domain import Hypothesis, Segment, Word
from app.engine.sentences import sentences
from app.engine.speech_model import DecodeOptions, Job
from app.engine.tensors import stacked
from app.engine.tokens import Alignment, Vocabulary
from app.telemetry import metrics, tracing


class Aligner:
    """CTranslate2's `align`: a second decoder pass over the finished text and the sound.

    The pass has no prompt, keywords and timestamps, and its probabilities are over text tokens
    only. So a score measures how well the token fits the sound and the text before it; a token that
    only the prompt suggested scores low. Against a greedy decoder without timestamps, scores are
    higher by 0.005 a token (median of 39 windows; 0.049 at most).
    """

    def __init__(
        self,
        model: ctranslate2.models.Whisper,
        vocabulary: Vocabulary,
        batch_size: int,
        has_timestamps: bool,
    ) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self.batch_size = batch_size
        """Most rows of one `align` call."""
        self._has_timestamps = has_timestamps
        """Do hypotheses have segments with times? Otherwise they get both from their words."""

    def align(
        self,
        hypotheses: list[Hypothesis],
        jobs: Sequence[Job],
        options: Sequence[DecodeOptions],
    ) -> list[Hypothesis]:
        """Add words and token scores to the hypotheses whose options request them, and words to
        those that have no other times, but for drafts.

        `hypotheses[i]`, `jobs[i]` and `options[i]` belong together; returns the changed list. Rows
        of one language and task share calls.
        """
        rows = [
            index
            for index, hypothesis in enumerate(hypotheses)
            if hypothesis.segments
            and (self._needs_words(jobs[index], options[index]) or options[index].token_scores)
        ]

        def start(index: int) -> tuple[str, str]:
            return options[index].language, options[index].task

        for _, group in groupby(sorted(rows, key=start), key=start):
            indexes = list(group)
            for at in range(0, len(indexes), self.batch_size):
                with metrics.STAGE_SECONDS.labels("align").time(), tracing.span("align"):
                    self._align(indexes[at : at + self.batch_size], hypotheses, jobs, options)
        return hypotheses

    def _needs_words(self, job: Job, options: DecodeOptions) -> bool:
        return options.words or not (self._has_timestamps or job.is_draft)

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
            # 4.8, docs/notes/engine.md): padding enters a normalisation over tokens. CTranslate2
            # takes its exact path only if frame counts differ: append an empty row two frames
            # shorter.
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
            if self._needs_words(jobs[row], options[row]):
                words = self._vocabulary.words(ids, alignment, first.language)
                segments = _with_words(segments, words)
            if not self._has_timestamps:
                segments = tuple(s for each in segments for s in sentences(each, self._vocabulary))
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
            own = probabilities[at : at + len(tokens)]
            scored.append(replace(segment, token_scores=self._vocabulary.scores(tokens, own)))
            at += len(tokens)
        return tuple(scored)


def _with_words(segments: Sequence[Segment], words: Sequence[Word]) -> tuple[Segment, ...]:
    """Assign words to segments by length of text, which is the same in both."""
    assigned = []
    at = 0
    for segment in segments:
        own: list[Word] = []
        length = 0
        while at < len(words) and length < len(segment.text):
            own.append(words[at])
            length += len(words[at].text)
            at += 1
        assigned.append(replace(segment, words=tuple(own)))
    return tuple(assigned)
