"""One turn of a live session: its windows in order, and their text as it becomes certain."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from app.domain import Hypothesis, Priority, Segment, TokenScore, Transcript, Window, joined_text
from app.errors import SpeechError
from app.openai.scores import after, of_text
from app.pipeline.channel_merge import Heard
from app.pipeline.language import SpokenLanguage
from app.pipeline.live.events import LiveOptions, Partial
from app.pipeline.live.local_agreement import StableText, words_of
from app.pipeline.segment_times import place
from app.telemetry import tracing

SURE_LOGPROB = -0.7
"""A draft whose average is below promises nothing. Of the words of all of samples/, drafts every
0.45 s then promise none that the whole window does not have; without this, 0.95 %. It costs 0.13 s
until a word is certain."""

SENTENCE_ENDS = tuple(".?!。？！…")


class Item:
    """What is heard of a turn, and what was said of it to the client.

    All deltas together are the text of the transcript, whatever later hypotheses say.
    """

    def __init__(self, start: float, options: LiveOptions, languages: Sequence[str]) -> None:
        """`start`: seconds of the session; `languages`: those that the model knows."""
        self.id = f"item_{uuid4().hex[:20]}"
        self.start = start
        self.options = replace(options.options, priority=Priority.LIVE)
        self.language = SpokenLanguage(self.options, languages)
        self._has_partials = options.partials
        semantic = options.turns is not None and options.turns.patience_seconds is not None
        self.has_drafts = options.partials or semantic
        """Is what is heard before a window is complete worth the work?"""
        self.window_count = 0
        """Windows that are complete and have been heard."""
        self.error: SpeechError | None = None
        """Why the item could not be heard."""
        self.is_forgotten = False
        self.span = tracing.begin("item")
        self.span.note(item_id=self.id, start=start)
        self._segments: list[Segment] = []
        self._sent = ""
        self._pending = ""
        self._stable = StableText()
        self._draft: list[Segment] = []
        """The last hypothesis of the open window that held words."""
        self._prompt_token_count = 0

    @property
    def seems_finished(self) -> bool:
        """Does what is heard so far end as a sentence does?"""
        return (self._sent + self._pending).endswith(SENTENCE_ENDS)

    def hear_draft(self, window: Window, hypothesis: Hypothesis) -> Partial | None:
        """Another hypothesis of the window that is open; None if the client need not know.

        Token scores come with a complete window, so text that is to have scores waits for it.
        """
        segments = place(hypothesis, window, self._clock)
        self._draft = segments if joined_text(segments) else self._draft
        heard = "".join(segment.text for segment in self._segments)
        beyond = joined_text(segments)
        if self._has_partials and not self.options.token_scores:
            self._stable.hear(
                "".join(segment.text for segment in segments),
                is_sure=hypothesis.avg_logprob >= SURE_LOGPROB,
            )
            heard += self._stable.sent
            beyond = self._stable.pending
        partial = self._say(heard.strip(), (heard + beyond).strip())
        return partial if self._has_partials else None

    def hear(self, heard: Heard) -> Partial | None:
        """The next window, now complete. None if it adds nothing."""
        segments: list[Segment] = []
        clock = self._clock
        for window, hypothesis in heard:
            segments += place(hypothesis, window, clock)
            clock = segments[-1].end if segments else clock
            self._prompt_token_count = max(self._prompt_token_count, hypothesis.prompt_token_count)
        if self._stable.sent:
            # Silence, after all? What was said stays.
            is_silent = not words_of(joined_text(segments))
            segments = self._stable.close(self._draft if is_silent else segments)
        self._segments += segments
        self.window_count += 1
        self._stable, self._draft = StableText(), []
        text = joined_text(self._segments)
        return self._say(text, text)

    def transcript(self, end: float) -> Transcript:
        """All that was heard; `end`: seconds of the session."""
        return Transcript(
            self.options.task,
            self.language.of_all(self._segments),
            end - self.start,
            tuple(self._segments),
            self._prompt_token_count,
        )

    @property
    def _clock(self) -> float:
        return self._segments[-1].end if self._segments else 0.0

    def _say(self, said: str, heard: str) -> Partial | None:
        """`said` is certain and begins with what was sent; `heard` goes on where it ends."""
        before, self._sent = self._sent, said
        delta, pending = said[len(before) :], heard[len(said) :]
        is_news = delta or pending != self._pending
        self._pending = pending
        if not is_news:
            return None
        return Partial(self.id, delta, pending, self._scores(before, delta))

    def _scores(self, before: str, delta: str) -> tuple[TokenScore, ...]:
        if not (delta and self.options.token_scores):
            return ()
        heard = "".join(segment.text for segment in self._segments)
        space = heard[: len(heard) - len(heard.lstrip())]
        scores = [score for segment in self._segments for score in segment.token_scores]
        return tuple(of_text(after(scores, space + before), delta))
