"""Text that will not change, from hypotheses of a window that is still growing.

Words on which two hypotheses in a row agree are confirmed (LocalAgreement-2: Liu et al. 2020,
"Low-latency sequence-to-sequence speech recognition"; Macháček et al. 2023, "Turning Whisper into
real-time transcription system"). The last word is not: it may be cut off in the middle.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from app.domain import Segment, Word

# Scripts without spaces between words: Thai to Khmer, kana, Chinese. There, a letter is a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")


class LocalAgreement:
    """The text of one window while it grows. Words keep their spaces, so joining adds none."""

    def __init__(self) -> None:
        self._confirmed: list[str] = []
        self._trusted: list[str] = []
        """Words of the last sure hypothesis after the confirmed ones."""
        self._open: list[str] = []
        """Words of the last hypothesis after the confirmed ones."""

    @property
    def confirmed(self) -> str:
        """Text that will not change."""
        return "".join(self._confirmed)

    @property
    def pending(self) -> str:
        """Text after it that may still change."""
        return "".join(self._open)

    def add_hypothesis(self, text: str, *, is_sure: bool = True) -> None:
        """Add a hypothesis of more sound than the last. One that is not sure confirms nothing."""
        words = words_of(text)
        self._open = words[covered(self._confirmed, words) :]
        if not is_sure:
            return
        agreed = 0
        # The last one may go on: "Hello" -> "Hello,".
        while agreed < min(len(self._open) - 1, len(self._trusted)):
            if self._open[agreed] != self._trusted[agreed]:
                break
            agreed += 1
        self._confirmed += self._open[:agreed]
        self._open = self._trusted = self._open[agreed:]

    def close(self, segments: Sequence[Segment]) -> list[Segment]:
        """The segments of the complete window, reworded so that they begin with the confirmed text.

        Confirmed words replace the words of `segments` in their place; the rest follows.
        """
        by_segment = [words_of(segment.text) for segment in segments]
        words = [word for each in by_segment for word in each]
        if words[: len(self._confirmed)] == self._confirmed:
            return list(segments)
        owners = [index for index, each in enumerate(by_segment) for _ in each]
        count = covered(self._confirmed, words)
        reworded: list[list[str]] = [[] for _ in segments]
        for index, word in enumerate(self._confirmed):
            reworded[owners[min(index, max(count - 1, 0))]].append(word)
        for word, owner in zip(words[count:], owners[count:], strict=True):
            reworded[owner].append(word)
        return [
            _reworded(segment, own) for segment, own in zip(segments, reworded, strict=True) if own
        ]


def words_of(text: str) -> list[str]:
    """The words of a text, each with the space before it and the punctuation behind it."""
    return _WORD.findall(text)


def covered(confirmed: Sequence[str], words: Sequence[str]) -> int:
    """Length of the prefix of `words` with the least edit distance to `confirmed`.

    An inserted or deleted word costs 1, a substituted one up to 2, less if the words are similar.
    So a word is not dropped for another that it has nothing in common with.
    """
    if list(words[: len(confirmed)]) == list(confirmed):
        return len(confirmed)
    wanted = [_bare(word) for word in confirmed]
    costs = [float(count) for count in range(len(wanted) + 1)]
    ends = [costs[-1]]
    for number, each in enumerate((_bare(word) for word in words), 1):
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


def _reworded(segment: Segment, texts: Sequence[str]) -> Segment:
    """The segment with other words; word times stay if the number of words does."""
    words = segment.words
    if words and len(words) == len(texts):
        words = tuple(replace(word, text=text) for word, text in zip(words, texts, strict=True))
    elif words:
        words = _spread(segment, texts)
    # The scores were those of other tokens.
    return replace(segment, text="".join(texts), words=words, token_scores=())


def _spread(segment: Segment, texts: Sequence[str]) -> tuple[Word, ...]:
    """Words without known times, spread evenly over their segment."""
    step = (segment.end - segment.start) / len(texts)
    probability = sum(word.probability for word in segment.words) / len(segment.words)
    return tuple(
        Word(segment.start + index * step, segment.start + (index + 1) * step, text, probability)
        for index, text in enumerate(texts)
    )
