"""Text that will not be taken back, from hypotheses of a window that is still growing.

What two hypotheses in a row agree on is said (LocalAgreement-2: Liu et al. 2020, "Low-latency
sequence-to-sequence speech recognition"; Macháček et al. 2023, "Turning Whisper into real-time
transcription system"). The last word is held back, for it may be cut off in the middle.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from app.domain import Segment, Word

# Scripts without spaces between words: Thai to Khmer, kana, Chinese. There, a letter is a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")


class StableText:
    """The text of one window while it grows. Words keep their spaces, so joining adds none."""

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._trusted: list[str] = []
        """What the last sure hypothesis has beyond it."""
        self._open: list[str] = []
        """What the last hypothesis has beyond it."""

    @property
    def sent(self) -> str:
        """What was said and stays."""
        return "".join(self._sent)

    @property
    def pending(self) -> str:
        """What is heard beyond it, and may still change."""
        return "".join(self._open)

    def hear(self, text: str, *, is_sure: bool = True) -> None:
        """Another hypothesis, of more sound than the last one. An unsure one promises nothing."""
        heard = words_of(text)
        self._open = heard[covered(self._sent, heard) :]
        if not is_sure:
            return
        agreed = 0
        # The last one may go on: "Hello" -> "Hello,".
        while agreed < min(len(self._open) - 1, len(self._trusted)):
            if self._open[agreed] != self._trusted[agreed]:
                break
            agreed += 1
        self._sent += self._open[:agreed]
        self._open = self._trusted = self._open[agreed:]

    def close(self, segments: Sequence[Segment]) -> list[Segment]:
        """The window's segments, as the whole of it was heard; they begin with what was said.

        Where they have other words there, those that were said stay, and the rest follows.
        """
        heard = [words_of(segment.text) for segment in segments]
        flat = [word for words in heard for word in words]
        if flat[: len(self._sent)] == self._sent:
            return list(segments)
        owners = [index for index, words in enumerate(heard) for _ in words]
        count = covered(self._sent, flat)
        said: list[list[str]] = [[] for _ in segments]
        for index, word in enumerate(self._sent):
            said[owners[min(index, max(count - 1, 0))]].append(word)
        for word, owner in zip(flat[count:], owners[count:], strict=True):
            said[owner].append(word)
        return [
            _reworded(segment, words)
            for segment, words in zip(segments, said, strict=True)
            if words
        ]


def words_of(text: str) -> list[str]:
    """The words, each with the space before it and the punctuation behind it."""
    return _WORD.findall(text)


def covered(said: Sequence[str], heard: Sequence[str]) -> int:
    """How many words of `heard` say what was said already: the cheapest way to turn them into it.

    A word too much or too few costs 1, another word up to 2, the less the more alike they are. So
    a word that sounds different is not lost in the place of one that it has nothing to do with.
    """
    if list(heard[: len(said)]) == list(said):
        return len(said)
    wanted = [_bare(word) for word in said]
    costs = [float(count) for count in range(len(wanted) + 1)]
    ends = [costs[-1]]
    for number, each in enumerate((_bare(word) for word in heard), 1):
        diagonal, costs[0] = costs[0], float(number)
        for index, word in enumerate(wanted, 1):
            changed = diagonal + _difference(word, each)
            diagonal = costs[index]
            costs[index] = min(changed, costs[index] + 1, costs[index - 1] + 1)
        ends.append(costs[-1])
    return ends.index(min(ends))


def _bare(word: str) -> str:
    return re.sub(r"\W", "", word).casefold()


def _difference(one: str, other: str) -> float:
    if one == other:
        return 0.0
    return 2 - 2 * SequenceMatcher(None, one, other, autojunk=False).ratio()


def _reworded(segment: Segment, said: Sequence[str]) -> Segment:
    """The segment with another text; its words keep their times if they are as many."""
    words = segment.words
    if words and len(words) == len(said):
        words = tuple(replace(word, text=text) for word, text in zip(words, said, strict=True))
    elif words:
        words = _spread(segment, said)
    # The scores were those of other tokens.
    return replace(segment, text="".join(said), words=words, token_scores=())


def _spread(segment: Segment, said: Sequence[str]) -> tuple[Word, ...]:
    """Words of a segment whose times nobody knows, evenly over it."""
    step = (segment.end - segment.start) / len(said)
    probability = sum(word.probability for word in segment.words) / len(segment.words)
    return tuple(
        Word(segment.start + index * step, segment.start + (index + 1) * step, text, probability)
        for index, text in enumerate(said)
    )
