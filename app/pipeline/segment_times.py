"""Segment times moved from a window's clock to the recording's: inside speech, in order."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from app.domain import Hypothesis, Segment, Span, Window
from app.pipeline.word_times import within_speech

SPEECH_TOLERANCE_SECONDS = 0.5
"""Distance from all speech beyond which text was invented; Whisper's times are that coarse."""


def to_recording_time(hypothesis: Hypothesis, window: Window, not_before: float) -> list[Segment]:
    """The segments of a window in seconds of the recording, none before `not_before`.

    Whisper's times drift into the silence around words, where the voice activity detector is more
    precise: a start moves to where speech begins, an end to where it stopped.
    """
    segments = []
    words = iter(
        within_speech([word for each in hypothesis.segments for word in each.words], window.speech)
    )
    for decoded in hypothesis.segments:
        decoded = replace(decoded, words=tuple(islice(words, len(decoded.words))))
        if not _is_near_speech(decoded, window.speech):
            continue
        segment = _ordered(_snapped(decoded, window.speech).shifted(window.start), not_before)
        not_before = segment.end
        segments.append(replace(segment, channel=window.channel))
    return segments


def _is_near_speech(segment: Segment, speech: Sequence[Span]) -> bool:
    return any(
        segment.start < end + SPEECH_TOLERANCE_SECONDS
        and start - SPEECH_TOLERANCE_SECONDS < segment.end
        for start, end in speech
    )


def _snapped(segment: Segment, speech: Sequence[Span]) -> Segment:
    if segment.words:
        # Word times come from the alignment, which is finer than the model's timestamps.
        return replace(segment, start=segment.words[0].start, end=segment.words[-1].end)
    start, end = snap(segment.start, segment.end, speech)
    return replace(segment, start=start, end=end)


def snap(start: float, end: float, speech: Sequence[Span]) -> Span:
    """The span with both ends moved inwards to speech; unchanged if it contains none."""
    inside = [(max(start, begun), min(end, over)) for begun, over in speech]
    inside = [(begun, over) for begun, over in inside if begun < over]
    return (inside[0][0], inside[-1][1]) if inside else (start, end)


def _ordered(segment: Segment, not_before: float) -> Segment:
    start = max(segment.start, not_before)
    end = max(segment.end, start)
    words = []
    clock = start
    for word in segment.words:
        word_start = min(max(word.start, clock), end)
        clock = min(max(word.end, word_start), end)
        words.append(replace(word, start=word_start, end=clock))
    return replace(segment, start=start, end=end, words=tuple(words))
