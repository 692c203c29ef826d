"""The starter's tokenizer: byte-level BPE with few pieces and Whisper's special tokens.

What CTranslate2 and faster-whisper ask of it: text first, then the empty string (its presence
makes a model multilingual), <|endoftext|>, <|startoftranscript|>, 99 languages in Whisper's order,
the tasks, and the 1501 times last.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import tokenizers

# In the order of OpenAI's whisper/tokenizer.py.
_LANGUAGES = """
en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th
ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr
pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt
haw ln ha ba jw su
"""
LANGUAGES = _LANGUAGES.split()
TIMES = 1501  # <|0.00|> to <|30.00|>
TICK = 0.02  # seconds from one time to the next

_TASKS = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
_PIECE = re.compile(r" ?[^\W\d_]+| ?[^\s\w]+|'[a-z]+")
# A word's count is limited, so that frequent words do not take all merges.
_COUNTED = 400

Pair = tuple[str, str]


def _byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in byte-level BPE, as GPT-2 chose them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + index) for index, byte in enumerate(others)}


_LETTERS = _byte_letters()
SPACE = _LETTERS[ord(" ")]


def _letters(text: str) -> str:
    return "".join(_LETTERS[byte] for byte in text.encode())


def _forced_merges() -> list[Pair]:
    """Space and what follows it are one piece, for faster-whisper suppresses the first piece of
    " -", " '" and " ♩": were that the bare space, no word could begin."""
    characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-'\"(0123456789"
    merges = [(SPACE, character) for character in characters]
    merges.append((SPACE, _letters("♩")[0]))
    for accented in "äöüÄÖÜßàâçèéêëîïôùû":
        letters = _letters(accented)
        merges.append((letters[0], letters[1]))
    return merges


def _merge(symbols: Sequence[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def learn(sentences: Iterable[str], merges: int) -> list[Pair]:
    """The forced merges and the most useful `merges` more for these sentences."""
    counts = Counter(piece for text in sentences for piece in _PIECE.findall(" " + text))
    learned = _forced_merges()
    pieces = {piece: list(_letters(piece)) for piece in counts}
    for pair in learned:
        pieces = {piece: _merge(symbols, pair) for piece, symbols in pieces.items()}
    for _ in range(merges):
        pairs: Counter[Pair] = Counter()
        for piece, symbols in pieces.items():
            for pair in pairwise(symbols):
                pairs[pair] += min(counts[piece], _COUNTED)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        learned.append(best)
        pieces = {piece: _merge(symbols, best) for piece, symbols in pieces.items()}
    return learned


def build(sentences: Iterable[str], merges: int) -> str:
    """The content of tokenizer.json."""
    learned = learn(sentences, merges)
    names = dict.fromkeys([*_LETTERS.values(), *(first + second for first, second in learned), ""])
    vocabulary = {name: number for number, name in enumerate(names)}
    special = ["endoftext", "startoftranscript", *LANGUAGES, *_TASKS]
    special += [f"{time * TICK:.2f}" for time in range(TIMES)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": len(vocabulary) + index, "content": f"<|{name}|>", "special": True, **flags}
        for index, name in enumerate(special)
    ]
    level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**level, "add_prefix_space": False},
        "post_processor": None,
        "decoder": {**level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [list(pair) for pair in learned],
        },
    }
    return json.dumps(content, ensure_ascii=False)


class _Model(TypedDict):
    vocab: dict[str, int]


class _Added(TypedDict):
    id: int
    content: str


class _Content(TypedDict):
    model: _Model
    added_tokens: list[_Added]


class Tokens:
    """A tokenizer.json by its parts; `text` below counts the tokens that are text."""

    def __init__(self, content: str) -> None:
        self.content = content
        self._tokenizer = tokenizers.Tokenizer.from_str(content)
        parsed: _Content = json.loads(content)
        self._ids: Mapping[str, int] = parsed["model"]["vocab"] | {
            token["content"]: token["id"] for token in parsed["added_tokens"]
        }
        self._known: dict[str, list[int]] = {}

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        return cls(path.read_text(encoding="utf-8"))

    @cached_property
    def names(self) -> list[str]:
        """Every token in the order of its number: the content of vocabulary.json."""
        return sorted(self._ids, key=self._ids.__getitem__)

    def special(self, name: str) -> int:
        """The number of <|name|>; raises KeyError if there is none."""
        return self._ids[f"<|{name}|>"]

    @cached_property
    def end(self) -> int:
        """<|endoftext|>; all text is numbered below it."""
        return self.special("endoftext")

    @cached_property
    def first_time(self) -> int:
        return self.special("0.00")

    def time(self, seconds: float) -> int:
        """The token of the nearest time, 0 to 30 seconds."""
        return self.first_time + min(TIMES - 1, max(0, round(seconds / TICK)))

    def encode_word(self, word: str) -> list[int]:
        """The pieces of one word and the space before it."""
        if word not in self._known:
            encoding = self._tokenizer.encode(" " + word, add_special_tokens=False)
            self._known[word] = list(encoding.ids)
        return self._known[word]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids)))
