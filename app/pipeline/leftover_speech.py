"""Speech that the model passed over at the end of a window."""

from dataclasses import replace

from app.domain import Hypothesis, Window

MIN_UNHEARD_SECONDS = 1.0
"""Speech after the last timestamp that is worth another look at the rest of the window."""


def unheard(window: Window, hypothesis: Hypothesis) -> tuple[Hypothesis, Window | None]:
    """What is trusted of a hypothesis, and the rest of its window if speech is left there.

    Whisper sometimes closes its last segment early, or runs out of tokens in dense speech.
    Sequential decoders continue from the last timestamp (openai/whisper's `seek`); so do we.
    """
    segments = hypothesis.segments
    if hypothesis.is_cut_off and len(segments) > 1:
        segments = segments[:-1]  # it broke off in the middle of this one
        hypothesis = replace(hypothesis, segments=segments)
    if not segments:
        return hypothesis, None
    end = segments[-1].end
    left = sum(over - max(begun, end) for begun, over in window.speech if over > end)
    if left < MIN_UNHEARD_SECONDS or end < MIN_UNHEARD_SECONDS:
        return hypothesis, None
    return hypothesis, window.after(end)
