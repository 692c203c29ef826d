"""Live text beside what was said: how long after a word is spoken it can be read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from app.pipeline.live.events import Completed, Event, Partial

MARKS = ".,;:?!"


@dataclass(frozen=True, slots=True)
class SpokenWord:
    text: str
    end: float | None
    """Seconds of the session; None where nobody noted them."""

    def later(self, seconds: float) -> "SpokenWord":
        return SpokenWord(self.text, None if self.end is None else self.end + seconds)


def bare(word: str) -> str:
    return word.strip(MARKS).lower()


@dataclass(slots=True)
class _Line:
    """The text of one item, and when each of its words was first read in its place."""

    sent: str = ""
    shown: dict[tuple[int, str], float] = field(default_factory=dict)
    stable: dict[tuple[int, str], float] = field(default_factory=dict)


class Captions:
    """What a client of one session sees."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def see(self, event: Event, now: float) -> None:
        """`now`: seconds of the session."""
        if isinstance(event, Partial):
            line = self._lines.setdefault(event.item_id, _Line())
            line.sent += event.delta
            _note(line.shown, line.sent + event.pending, now)
            _note(line.stable, line.sent, now)
        elif isinstance(event, Completed):
            line = self._lines.setdefault(event.item_id, _Line())
            assert line.sent == event.transcript.text, "what was said has been taken back"

    @property
    def text(self) -> str:
        return " ".join(line.sent for line in self._lines.values())

    def delays(self, said: Sequence[SpokenWord]) -> tuple[list[float], list[float]]:
        """For each word that has a time and was heard right, the seconds from its end until it
        could be read for the first time, and until it was certain."""
        words = [
            (bare(word), line, index)
            for line in self._lines.values()
            for index, word in enumerate(line.sent.split())
        ]
        matcher = SequenceMatcher(
            None, [word.text for word in said], [word for word, _, _ in words], autojunk=False
        )
        shown, stable = [], []
        for at, start, size in matcher.get_matching_blocks():
            for spoken_word, (word, line, index) in zip(
                said[at : at + size], words[start : start + size], strict=True
            ):
                if spoken_word.end is not None:
                    shown.append(line.shown[index, word] - spoken_word.end)
                    stable.append(line.stable[index, word] - spoken_word.end)
        return shown, stable


def _note(times: dict[tuple[int, str], float], text: str, now: float) -> None:
    for place in _places(text.split()):
        times.setdefault(place, now)


def _places(words: Iterable[str]) -> list[tuple[int, str]]:
    return [(index, bare(word)) for index, word in enumerate(words)]
