"""One turn of a live session: its windows in order, and their text as it becomes final."""

from uuid import uuid4

from app.domain import (
    Hypothesis,
    Segment,
    TokenScore,
    Transcript,
    joined_text,
    scores_after_prefix,
    scores_of_prefix,
)
from app.errors import SpeechError
from app.pipeline.channel_merge import DecodedWindows
from app.pipeline.fallback import is_shouted
from app.pipeline.language import SpokenLanguage
from app.pipeline.live.events import LiveOptions, Partial
from app.pipeline.live.local_agreement import LocalAgreement, words_of
from app.pipeline.segment_times import to_recording_time
from app.pipeline.sentence_joins import Lowered, continuing
from app.telemetry import tracing

SURE_LOGPROB = -0.7
"""Mean log probability below which a draft confirms no words. Of the words of all of samples/,
drafts every 0.45 s then confirm none that the whole window does not have; without this, 0.95 %. It
costs 0.13 s until a word is confirmed."""

SENTENCE_ENDS = tuple(".?!。？！…")


class TurnTranscript:
    """The text of a turn: what was decoded, and what was sent to the client as final.

    All deltas joined are the text of the transcript, whatever later hypotheses contain.
    """

    def __init__(
        self,
        start: float,
        options: LiveOptions,
        language: SpokenLanguage,
        is_usually_lower: Lowered,
    ) -> None:
        """`start`: seconds of the session; `language`: that of the session."""
        self.id = f"item_{uuid4().hex[:20]}"
        self.start = start
        self.options = options.options
        self.language = language
        self._is_usually_lower = is_usually_lower
        self._has_partials = options.partials
        semantic = options.turns is not None and options.turns.patience_seconds is not None
        self.needs_drafts = options.partials or semantic
        """Is the text of an incomplete window of use?"""
        self.window_count = 0
        """Complete windows that are decoded."""
        self.error: SpeechError | None = None
        """Why the turn could not be decoded."""
        self.is_discarded = False
        self.span = tracing.begin("item")
        self.span.note(item_id=self.id, start=start)
        self._segments: list[Segment] = []
        """Segments of complete windows."""
        self.last_segments: tuple[Segment, ...] = ()
        """Segments of the last complete window, as they were decoded."""
        self._final = ""
        """Text sent to the client that will not change."""
        self._pending = ""
        """Text sent to the client after it that may still change."""
        self._agreement = LocalAgreement()
        self._draft: list[Segment] = []
        """The last hypothesis of the open window that has words."""
        self._prompt_token_count = 0

    @property
    def seems_finished(self) -> bool:
        """Does the text so far end as a sentence does?"""
        return (self._final + self._pending).endswith(SENTENCE_ENDS)

    def add_draft(self, decoded: DecodedWindows, may_confirm: bool = True) -> Partial | None:
        """Add a hypothesis of the next window; None if there is nothing new for the client.

        Token scores come with a complete window, so text that is to have scores waits for it.
        `may_confirm`: words that it has in common with the hypothesis before it become final.
        """
        segments = self._continuing(self._in_session_time(decoded))
        self._draft = segments if joined_text(segments) else self._draft
        final = "".join(segment.text for segment in self._segments)
        beyond = joined_text(segments)
        if self._has_partials and not self.options.token_scores:
            self._agreement.add_hypothesis(
                "".join(segment.text for segment in segments),
                is_sure=may_confirm and all(_is_sure(hypothesis) for _, hypothesis in decoded),
            )
            final += self._agreement.confirmed
            beyond = self._agreement.pending
        partial = self._partial(final.strip(), (final + beyond).strip())
        return partial if self._has_partials else None

    def add_window(self, decoded: DecodedWindows) -> Partial | None:
        """Add the next complete window; None if there is nothing new for the client."""
        segments = self._in_session_time(decoded)
        for _, hypothesis in decoded:
            self._prompt_token_count = max(self._prompt_token_count, hypothesis.prompt_token_count)
        self.last_segments = tuple(segments)
        segments = self._continuing(segments)
        if self._agreement.confirmed:
            # Text that was sent stays, even if the whole window has no words.
            is_silent = not words_of(joined_text(segments))
            segments = self._agreement.close(self._draft if is_silent else segments)
        self._segments += segments
        self.window_count += 1
        self._agreement, self._draft = LocalAgreement(), []
        text = joined_text(self._segments)
        return self._partial(text, text)

    def transcript(self, end: float) -> Transcript:
        """The transcript of the turn; `end`: seconds of the session."""
        return Transcript(
            self.options.task,
            self.language.of_transcript(self.options, self._segments),
            end - self.start,
            tuple(self._segments),
            self._prompt_token_count,
        )

    def _in_session_time(self, decoded: DecodedWindows) -> list[Segment]:
        segments: list[Segment] = []
        end = self._end
        for window, hypothesis in decoded:
            segments += to_recording_time(hypothesis, window, end)
            end = segments[-1].end if segments else end
        return segments

    def _continuing(self, segments: list[Segment]) -> list[Segment]:
        """The segments of a window after the text of those before it, which was sent."""
        before = self._segments[-1].text if self._segments else ""
        return list(continuing(before, segments, self._is_usually_lower))

    @property
    def _end(self) -> float:
        """End of the last segment, in seconds of the session."""
        return self._segments[-1].end if self._segments else 0.0

    def _partial(self, final: str, text: str) -> Partial | None:
        """`final` begins with the final text sent before; `text` begins with `final`."""
        before, self._final = self._final, final
        delta, pending = final[len(before) :], text[len(final) :]
        is_new = delta or pending != self._pending
        self._pending = pending
        if not is_new:
            return None
        return Partial(self.id, delta, pending, self._scores(before, delta))

    def _scores(self, before: str, delta: str) -> tuple[TokenScore, ...]:
        if not (delta and self.options.token_scores):
            return ()
        text = "".join(segment.text for segment in self._segments)
        space = text[: len(text) - len(text.lstrip())]
        scores = [score for segment in self._segments for score in segment.token_scores]
        return tuple(scores_of_prefix(scores_after_prefix(scores, space + before), delta))


def _is_sure(hypothesis: Hypothesis) -> bool:
    return hypothesis.avg_logprob >= SURE_LOGPROB and not is_shouted(hypothesis.text)
