"""Segments -> plain text, SubRip and WebVTT, to the byte as OpenAI (docs/contract.md §1.4)."""

from collections.abc import Iterable

from app.domain import Segment, Transcript


def text(transcript: Transcript) -> str:
    return transcript.text + "\n"


def srt(transcript: Transcript) -> str:
    """Numbered cues; the body ends with one empty line more, and is empty without cues."""
    cues = "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{line}\n\n"
        for number, (segment, line) in enumerate(_lines(transcript.segments), 1)
    )
    return cues + "\n" if cues else ""


def vtt(transcript: Transcript) -> str:
    """Cues with hours and without identifiers."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{line}\n\n"
        for segment, line in _lines(transcript.segments)
    )


def _lines(segments: Iterable[Segment]) -> Iterable[tuple[Segment, str]]:
    # An arrow in the text would end the cue's header; openai/whisper writes it like this too.
    return ((segment, segment.text.strip().replace("-->", "->")) for segment in segments)


def _clock(seconds: float, point: str) -> str:
    # Rounded as in JSON first: half a millisecond could round the other way.
    milliseconds = round(round(seconds, 3) * 1000)
    hours, milliseconds = divmod(milliseconds, 3_600_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"
