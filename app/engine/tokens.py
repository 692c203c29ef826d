"""Text and times <-> Whisper's tokens. Pure: no device, no audio.

Layout of the token ids: text below <|endoftext|>, then special tokens, timestamps of 20 ms last.
"""

import codecs
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from app.domain import Segment, Task, TokenScore, Word

SECONDS_PER_TIMESTAMP = 0.02
MAX_PROMPT_TOKENS = 223
"""Whisper's text context is half of its 448 positions, one of which is <|startofprev|>."""

MIN_PROBABILITY = 2.0**-24
"""Lower bound of probabilities (a logarithm of -16.6): in float16, the next smaller is 0."""

# The punctuation that openai/whisper joins to the following and to the preceding word.
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Positions of the text tokens of one window, as CTranslate2's `align` returns them.

    `path` is a list of (token index, position) with positions of 20 ms; `probabilities` has one
    value per text token.
    """

    path: Sequence[tuple[int, int]]
    probabilities: Sequence[float]


class Vocabulary:
    """A model's tokenizer. Safe to share among threads: constant after loading."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, is_multilingual: bool) -> None:
        self._tokenizer = tokenizer
        self._is_multilingual = is_multilingual
        self._for = lru_cache(maxsize=None)(self._make)
        # Computed by the queue's key and by the decoder, for every window of a request.
        self._cached_context = lru_cache(maxsize=256)(self._context)
        plain = self._for("en", "transcribe")
        self.end_of_text: int = plain.eot
        self._first_timestamp: int = plain.timestamp_begin
        self.suppressed: list[int] = list(get_suppressed_tokens(plain, [-1]))

    def _make(self, language: str, task: Task) -> Tokenizer:
        return Tokenizer(self._tokenizer, self._is_multilingual, task=task, language=language)

    def start_sequence(self, language: str, task: Task, timestamps: bool = True) -> list[int]:
        """Token ids of <|startoftranscript|> and, if multilingual, of language and task; without
        `timestamps` also of <|notimestamps|>."""
        tokenizer = self._for(language, task)
        return [*tokenizer.sot_sequence, *([] if timestamps else [tokenizer.no_timestamps])]

    def context(self, prompt: str, keywords: tuple[str, ...] = ()) -> list[int]:
        """Token ids of <|startofprev|>, the keywords and the end of the prompt; [] without either.

        Keywords stand where faster-whisper puts its `hotwords`. `MAX_PROMPT_TOKENS` is the limit
        for both together: keywords are kept first, and the prompt loses its oldest tokens.
        """
        return list(self._cached_context(prompt, keywords))

    def _context(self, prompt: str, keywords: tuple[str, ...]) -> list[int]:
        listed = self._context_tokens(", ".join(keywords))[:MAX_PROMPT_TOKENS]
        previous = self._context_tokens(prompt)
        room = MAX_PROMPT_TOKENS - len(listed)
        text = listed + previous[max(0, len(previous) - room) :]
        return [self._for("en", "transcribe").sot_prev, *text] if text else []

    def _context_tokens(self, text: str) -> list[int]:
        stripped = text.strip()
        if not stripped:
            return []
        ids = self._tokenizer.encode(" " + stripped, add_special_tokens=False).ids
        # A caller may write "<|startoftranscript|>", which must not become a special token.
        return [token for token in ids if token < self.end_of_text]

    def is_usually_lower(self, word: str) -> bool:
        """Is a word that is given with a capital more frequent without, as "And" is and "Paris" is
        not?

        Byte pair encoding numbers tokens by frequency, most frequent first (Sennrich et al. 2016,
        "Neural Machine Translation of Rare Words with Subword Units", 3.2). Only the letters before
        the first other character count. False where the word without a capital is no token, and
        for one letter, whose number is that of longer words' beginnings.
        """
        letters = _LETTERS.match(word)
        if letters is None or letters.end() == 1:
            return False
        capital = letters.group()
        lower = self._token_of(capital[:1].lower() + capital[1:])
        given = self._token_of(capital)
        return lower is not None and (given is None or lower < given)

    def _token_of(self, word: str) -> int | None:
        """The id of the token that is the word after a space."""
        known: int | None = self._tokenizer.token_to_id(
            "".join(_LETTER_OF_BYTE[byte] for byte in f" {word}".encode())
        )
        return known

    def text(self, tokens: Sequence[int]) -> str:
        """The text of all text tokens; others are skipped."""
        return str(self._tokenizer.decode([id for id in tokens if id < self.end_of_text]))

    def segments(self, tokens: Sequence[int], duration: float) -> list[Segment]:
        """A window's tokens as segments, cut at timestamps; times in seconds from the window's
        start.

        Text without a closing timestamp ends with the sound (`duration`). Text that begins more
        than half a second after the sound is dropped: the model invented it from padding.
        """
        segments: list[Segment] = []
        start_token: int | None = None
        text: list[int] = []

        def close(end_token: int | None) -> None:
            start = 0.0 if start_token is None else self._seconds(start_token)
            end = duration if end_token is None else self._seconds(end_token)
            segment_text = self.text(text)
            if not segment_text.strip() or start > duration + 0.5:
                return
            ids = tuple(token for token in (start_token, *text, end_token) if token is not None)
            start = min(start, duration)
            end = min(max(start, end), duration)
            segments.append(Segment(start, end, segment_text, ids, text_token_count=len(text)))

        for token in tokens:
            if token < self.end_of_text:
                text.append(token)
            elif token >= self._first_timestamp:
                if text:
                    close(token)
                    start_token, text = None, []
                else:
                    start_token = token
        if text:
            close(None)
        return segments

    def _seconds(self, timestamp: int) -> float:
        return (timestamp - self._first_timestamp) * SECONDS_PER_TIMESTAMP

    def enclosed(self, tokens: Sequence[int], start: float, end: float) -> tuple[int, ...]:
        """The tokens between the timestamps of their times, in seconds from the window's start."""
        timestamps = (
            self._first_timestamp + round(seconds / SECONDS_PER_TIMESTAMP)
            for seconds in (start, end)
        )
        return (next(timestamps), *tokens, next(timestamps))

    def text_tokens(self, segment: Segment) -> list[int]:
        """The segment's token ids without special tokens and timestamps."""
        return [token for token in segment.tokens if token < self.end_of_text]

    def scores(
        self, tokens: Sequence[int], probabilities: Sequence[float]
    ) -> tuple[TokenScore, ...]:
        """One score for each text token of a segment; joined, the bytes of the tokens are its text.

        `probabilities[i]`, 0 to 1, belongs to `tokens[i]`. Logarithms are natural.
        """
        pieces = [self._bytes(token) for token in tokens]
        if b"".join(pieces) != self.text(tokens).encode():
            pieces = _readable(pieces)
        return tuple(
            TokenScore(piece, math.log(min(max(probability, MIN_PROBABILITY), 1.0)))
            for piece, probability in zip(pieces, probabilities, strict=True)
        )

    def _bytes(self, token: int) -> bytes:
        letters = self._tokenizer.id_to_token(token) or ""
        return bytes(_BYTES[letter] for letter in letters)

    def words(self, tokens: list[int], alignment: Alignment, language: str) -> list[Word]:
        """The words of a run of text tokens, with times in seconds from the window's start.

        `tokens`: text tokens only. Punctuation is joined to words. `alignment` is a monotonic path
        through (token, position); a token begins where the path first reaches it (openai/whisper,
        timing.py).
        """
        splitter = self._for(language, "transcribe")
        texts, groups = splitter.split_to_word_tokens([*tokens, self.end_of_text])
        if len(groups) <= 1:
            return []
        path = np.asarray(alignment.path)
        begins = path[np.diff(path[:, 0], prepend=-1) > 0, 1] * SECONDS_PER_TIMESTAMP
        bounds = np.cumsum([0, *(len(group) for group in groups[:-1])])
        bounds = np.minimum(bounds, len(begins) - 1)
        words = []
        for index, text in enumerate(texts[:-1]):
            first, last = bounds[index], bounds[index + 1]
            probabilities = alignment.probabilities[first : max(last, first + 1)]
            probability = float(np.mean(probabilities)) if len(probabilities) else 0.0
            times = float(begins[first]), float(begins[last])
            words.append(Word(*times, text, probability, len(groups[index])))
        return _join_punctuation(words)


def _byte_letters() -> dict[str, int]:
    """The letters that stand for bytes in a byte-level vocabulary (openai/gpt-2, encoder.py).

    Bytes that print in Latin-1 stand for themselves, the others for letters from U+0100 on.
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printing]
    letters = {chr(byte): byte for byte in printing}
    return letters | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTES = _byte_letters()
_LETTER_OF_BYTE = {byte: letter for letter, byte in _BYTES.items()}


def _readable(pieces: Sequence[bytes]) -> list[bytes]:
    """The pieces with U+FFFD for bytes that are not UTF-8, as in the text of the same tokens.

    A character in several pieces goes to the piece that completes it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    last = len(pieces) - 1
    return [decoder.decode(piece, index == last).encode() for index, piece in enumerate(pieces)]


def _join_punctuation(words: list[Word]) -> list[Word]:
    joined: list[Word] = []
    opening, opening_tokens = "", 0
    for word in words:
        mark = word.text.strip()
        if joined and not opening and mark and mark in _APPENDED and not word.text.startswith(" "):
            before, tokens = joined[-1], joined[-1].token_count + word.token_count
            joined[-1] = replace(before, text=before.text + word.text, token_count=tokens)
        elif mark and mark in _PREPENDED and word.text.startswith(" "):
            opening += word.text
            opening_tokens += word.token_count
        else:
            tokens = opening_tokens + word.token_count
            joined.append(replace(word, text=opening + word.text, token_count=tokens))
            opening, opening_tokens = "", 0
    return joined


def compression_ratio(text: str) -> float:
    """Length in bytes over zlib's length; above 2.4 for text that repeats itself (openai/whisper,
    decoding.py). 0 for an empty text."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0
