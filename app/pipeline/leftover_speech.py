"""Speech at the end of a window that the model did not transcribe."""

from dataclasses import replace

from app.domain import Hypothesis, Window

MIN_LEFTOVER_SECONDS = 1.0
"""Speech after the last timestamp that makes the rest of the window worth decoding again."""


def split_leftover(window: Window, hypothesis: Hypothesis) -> tuple[Hypothesis, Window | None]:
    """The hypothesis without a segment that broke off, and the rest of its window, if speech is
    left there.

    Whisper sometimes closes its last segment early, or runs out of tokens in dense speech.
    Sequential decoders continue from the last timestamp (openai/whisper's `seek`); so do we.
    """
    segments = hypothesis.segments
    if hypothesis.is_cut_off and len(segments) > 1:
        segments = segments[:-1]  # the last one broke off in the middle
        hypothesis = replace(hypothesis, segments=segments)
    if not segments:
        return hypothesis, None
    end = segments[-1].end
    left = sum(over - max(begun, end) for begun, over in window.speech if over > end)
    if left < MIN_LEFTOVER_SECONDS or end < MIN_LEFTOVER_SECONDS:
        return hypothesis, None
    return hypothesis, window.after(end)
