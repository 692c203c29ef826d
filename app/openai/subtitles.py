"""Segments -> plain text, SubRip and WebVTT, to the byte as OpenAI (docs/contract.md §1.4), but in
cues that can be read: OpenAI's are as long as the model's segments."""

from collections.abc import Iterator

from app.domain import Transcript
from app.openai.cues import USUAL_SIZE, Cue, CueSize, cues


def text(transcript: Transcript) -> str:
    return transcript.text + "\n"


def srt(transcript: Transcript, size: CueSize = USUAL_SIZE) -> str:
    """Numbered cues; the body ends with one empty line more, and is empty without cues."""
    body = "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_lines(cue)}\n\n"
        for number, cue in enumerate(_cues(transcript, size), 1)
    )
    return body + "\n" if body else ""


def vtt(transcript: Transcript, size: CueSize = USUAL_SIZE) -> str:
    """Cues with hours and without identifiers."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_lines(cue)}\n\n"
        for cue in _cues(transcript, size)
    )


def _cues(transcript: Transcript, size: CueSize) -> Iterator[Cue]:
    return (cue for segment in transcript.segments for cue in cues(segment, size))


def _lines(cue: Cue) -> str:
    # An arrow in the text would end the cue's header; openai/whisper writes it like this too.
    return "\n".join(cue.lines).replace("-->", "->")


def _clock(seconds: float, point: str) -> str:
    # Rounded as in JSON first: half a millisecond could round the other way.
    milliseconds = round(round(seconds, 3) * 1000)
    hours, milliseconds = divmod(milliseconds, 3_600_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"
