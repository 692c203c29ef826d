"""Segments -> plain text, SubRip and WebVTT, to the byte as OpenAI (docs/contract.md §1.4), but in
cues that can be read: OpenAI's are as long as the model's segments."""

from collections.abc import Iterator, Sequence
from html import escape

from app.domain import Transcript
from app.openai.cues import USUAL_SIZE, Cue, CueSize, cues
from app.openai.responses import speaker_name


def text(transcript: Transcript) -> str:
    return transcript.text + "\n"


def srt(
    transcript: Transcript, size: CueSize = USUAL_SIZE, speaker_names: Sequence[str] = ()
) -> str:
    """Numbered cues; the body ends with one empty line more, and is empty without cues.

    A cue whose speaker is known begins with `Name: `.
    """
    body = "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{speaker and f'{speaker}: '}{_lines(cue)}\n\n"
        for number, (speaker, cue) in enumerate(_cues(transcript, size, speaker_names), 1)
    )
    return body + "\n" if body else ""


def vtt(
    transcript: Transcript, size: CueSize = USUAL_SIZE, speaker_names: Sequence[str] = ()
) -> str:
    """Cues with hours and without identifiers. A known speaker is a voice span, `<v Name>`."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
        f"{speaker and f'<v {escape(speaker)}>'}{_lines(cue)}\n\n"
        for speaker, cue in _cues(transcript, size, speaker_names)
    )


def _cues(transcript: Transcript, size: CueSize, names: Sequence[str]) -> Iterator[tuple[str, Cue]]:
    """Each cue and its speaker's name in one line, empty if it is not known."""
    for segment in transcript.segments:
        number = segment.speaker
        name = "" if number is None else " ".join(speaker_name(number, names).split())
        for cue in cues(segment, size):
            yield name.replace("-->", "->"), cue


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
