"""Live text against the reference: the delay from a spoken word to its text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from app.pipeline.live.events import Completed, Event, Partial

MARKS = ".,;:?!"


@dataclass(frozen=True, slots=True)
class SpokenWord:
    text: str
    end: float | None
    """Seconds of the session; None if unknown."""

    def later(self, seconds: float) -> "SpokenWord":
        return SpokenWord(self.text, None if self.end is None else self.end + seconds)


def bare(word: str) -> str:
    return word.strip(MARKS).lower()


@dataclass(slots=True)
class _Line:
    """The text of one item, and the time of the first text of each word at its position."""

    sent: str = ""
    shown: dict[tuple[int, str], float] = field(default_factory=dict)
    stable: dict[tuple[int, str], float] = field(default_factory=dict)


class Captions:
    """Text that a client of one session receives."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def receive(self, event: Event, now: float) -> None:
        """`now`: seconds of the session."""
        if isinstance(event, Partial):
            line = self._lines.setdefault(event.item_id, _Line())
            line.sent += event.delta
            _note(line.shown, line.sent + event.pending, now)
            _note(line.stable, line.sent, now)
        elif isinstance(event, Completed):
            line = self._lines.setdefault(event.item_id, _Line())
            assert line.sent == event.transcript.text, "text that was sent has changed"

    @property
    def text(self) -> str:
        return " ".join(line.sent for line in self._lines.values())

    def delays(self, spoken: Sequence[SpokenWord]) -> tuple[list[float], list[float]]:
        """Seconds from the end of each word with a time and a right text to its first text, and
        to its final text."""
        words = [
            (bare(word), line, index)
            for line in self._lines.values()
            for index, word in enumerate(line.sent.split())
        ]
        matcher = SequenceMatcher(
            None, [word.text for word in spoken], [word for word, _, _ in words], autojunk=False
        )
        shown, stable = [], []
        for at, start, size in matcher.get_matching_blocks():
            for spoken_word, (word, line, index) in zip(
                spoken[at : at + size], words[start : start + size], strict=True
            ):
                if spoken_word.end is not None:
                    shown.append(line.shown[index, word] - spoken_word.end)
                    stable.append(line.stable[index, word] - spoken_word.end)
        return shown, stable


def _note(times: dict[tuple[int, str], float], text: str, now: float) -> None:
    for position in _positions(text.split()):
        times.setdefault(position, now)


def _positions(words: Iterable[str]) -> list[tuple[int, str]]:
    return [(index, bare(word)) for index, word in enumerate(words)]
