"""Speech in a window that the model did not transcribe: before, between and after the segments."""

from collections.abc import Sequence
from dataclasses import replace

from app.domain import Hypothesis, Segment, Span, Window

MIN_LEFTOVER_SECONDS = 1.0
"""Speech without text that makes its part of the window worth decoding again."""

MIN_CLEAR_SECONDS = 1.0
"""Clear speech of a part that is decoded as speech, with all fallbacks."""

MAX_SHIFT_SECONDS = 0.6
"""Distance from the model's timestamp of the pause at which the part is cut off; Whisper's times
are that coarse, and a part that begins inside a word begins with an invented one."""

Part = tuple[Window, Hypothesis | None]
"""A part of a window; None: still to be decoded."""


def split_leftover(window: Window, hypothesis: Hypothesis) -> list[Part]:
    """The window's parts in order: those with text, and those with speech that has none yet.

    Whisper sometimes begins with the second sentence, skips one, closes its last segment early, or
    runs out of tokens in dense speech. Sequential decoders continue from the last timestamp
    (openai/whisper's `seek`); so do we. Unless the tokens ran out or the part has clear speech of
    its own, it is to be decoded only once, as a window without clear speech: the model heard
    nothing there, and must be sure of its text.
    """
    segments = hypothesis.segments
    if hypothesis.is_cut_off and len(segments) > 1:
        segments = segments[:-1]  # the last one broke off in the middle
        hypothesis = replace(hypothesis, segments=segments)
    if not segments:
        return [(window, hypothesis)]
    parts: list[Part] = []
    kept: list[Segment] = []
    end = 0.0
    for segment in segments:
        gap = end, segment.start
        if window.is_clear and _speech_seconds(window.speech, gap) >= MIN_LEFTOVER_SECONDS:
            if kept:
                parts.append((window, replace(hypothesis, segments=tuple(kept))))
            parts.append((_cut_out(window, gap), None))
            kept = []
        kept.append(segment)
        end = max(end, segment.end)
    parts.append((window, replace(hypothesis, segments=tuple(kept))))
    rest = end, window.duration
    if end >= MIN_LEFTOVER_SECONDS and _speech_seconds(window.speech, rest) >= MIN_LEFTOVER_SECONDS:
        parts.append((_cut_out(window, rest, hypothesis.is_cut_off), None))
    return parts


def _speech_seconds(speech: Sequence[Span], within: Span) -> float:
    start, end = within
    return sum(max(0.0, min(over, end) - max(begun, start)) for begun, over in speech)


def _cut_out(window: Window, span: Span, goes_on: bool = False) -> Window:
    """The part of the window, from and to the pauses closest to the ends of the span.

    It is clear if the text `goes_on` in it, or if it has clear speech of its own; that of its own
    parts does not count, so that no sound has all fallbacks again and again.
    """
    start, end = span
    pauses = [
        (before[1] + after[0]) / 2
        for before, after in zip(window.speech, window.speech[1:], strict=False)
    ]

    def at_pause(time: float) -> float:
        closest = min(pauses, key=lambda pause: abs(pause - time), default=time)
        return closest if abs(closest - time) <= MAX_SHIFT_SECONDS else time

    start = 0.0 if start == 0.0 else at_pause(start)
    end = end if end == window.duration else at_pause(end)
    part = window.part(start, max(end, start))
    clear_seconds = _speech_seconds(part.clear_speech, (0.0, part.duration))
    return replace(
        part,
        is_clear=window.is_clear and (goes_on or clear_seconds >= MIN_CLEAR_SECONDS),
        clear_speech=part.clear_speech if goes_on else (),
    )
