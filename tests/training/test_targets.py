from random import Random

import numpy as np
import pytest

from tests.training import synthetic
from training import targets
from training.targets import IGNORED, Span, Targets
from training.text import Sentence
from training.windows import Segment, Window

TOKENS = synthetic.tokens()
LEXICON = synthetic.lexicon()
CALL = [
    Segment(0.5, 1.5, Sentence("My last name is Baker.")),
    Segment(2.0, 3.02, Sentence("Thank you.")),
]


def _window(cut: float | None = None, language: str = "en") -> Window:
    return Window(np.zeros(64_000, np.float32), CALL, language, cut, None)


def _made(window: Window, wanted: str, shift: float = 0.0) -> Targets:
    """Targets of the task that holds `wanted` among the tokens fed."""
    for seed in range(200):
        made = targets.make(window, shift, [], TOKENS, LEXICON, Random(seed))
        if TOKENS.special(wanted) in made.fed + made.wanted:
            return made
    raise AssertionError(wanted)


def _names(ids: list[int]) -> list[str]:
    return [TOKENS.names[token] if token != IGNORED else "" for token in ids]


def test_with_times_every_sentence_stands_between_its_start_and_its_end() -> None:
    made = _made(_window(), "0.50")
    names = [name for name in _names(made.wanted) if name.startswith("<|")]
    assert names == ["<|en|>", "<|0.50|>", "<|1.50|>", "<|2.00|>", "<|3.02|>", "<|endoftext|>"]
    assert TOKENS.decode(made.wanted[2:]) == " My last name is Baker. Thank you."


def test_a_window_later_in_the_thirty_seconds_has_later_times() -> None:
    made = _made(_window(), "10.50", shift=10)
    assert {"<|10.50|>", "<|11.50|>", "<|12.00|>", "<|13.02|>"} <= set(_names(made.wanted))


def test_without_times_only_words_are_wanted() -> None:
    made = _made(_window(), "notimestamps")
    assert TOKENS.decode(made.wanted[3:]) == " My last name is Baker. Thank you."
    assert made.fed[3] == TOKENS.special("notimestamps")
    assert made.wanted[1:3] == [IGNORED, IGNORED]


def test_every_token_is_wanted_one_place_before_it_is_fed_but_for_mistakes() -> None:
    made = _made(_window(), "0.50")
    wrong = sum(a != b for a, b in zip(made.fed[3:], made.wanted[2:-1], strict=True))
    assert wrong <= 3
    assert len(made.fed) == len(made.wanted) == len(made.spans)


def test_a_sentence_that_is_cut_off_is_only_announced() -> None:
    made = _made(_window(cut=3.5), "3.50")
    assert _names(made.wanted)[-2:] == ["<|3.50|>", "<|endoftext|>"]


def test_a_window_without_speech_wants_nospeech_and_then_nothing() -> None:
    window = Window(np.zeros(64_000, np.float32), [], "en", None, None)
    made = _made(window, "0.00")
    assert _names(made.wanted) == ["<|nospeech|>", "", "<|0.00|>", "<|endoftext|>"]


def test_pieces_of_a_word_share_its_phonemes_in_order() -> None:
    made = _made(_window(), "notimestamps")
    spans = [span for span in made.spans if span]
    assert spans[0].first == 0
    assert spans[-1].last == len(made.phonemes) - 1
    assert [s.first for s in spans] == sorted(s.first for s in spans)
    assert made.times == sorted(made.times)
    assert 0.5 < made.times[0] < made.times[-1] < 3.02


def test_a_punctuation_mark_stands_between_the_phonemes_of_its_neighbours() -> None:
    made = _made(_window(), "notimestamps")
    marks = [
        span
        for token, span in zip(made.wanted, made.spans, strict=True)
        if token != IGNORED and TOKENS.decode([token]) == "."
    ]
    name = sum(len(LEXICON.phonemes(word, "en")) for word in ("my", "last", "name", "is", "baker"))
    assert marks == [Span(name, name - 1), Span(len(made.phonemes), len(made.phonemes) - 1)]


def test_a_foreign_sentence_is_translated_at_times_without_a_place_to_look_at() -> None:
    spoken = Sentence("Auf Wiederhören.", "de", "Goodbye.")
    window = Window(np.zeros(64_000, np.float32), [Segment(0, 1, spoken)], "de", None, None)
    made = _made(window, "translate")
    assert TOKENS.decode([token for token in made.wanted if token != IGNORED][1:]) == " Goodbye."
    assert not any(made.spans)


@pytest.mark.parametrize("previous", [["Thank you."], ["Goodbye."] * 200])
def test_earlier_sentences_are_fed_but_not_wanted(previous: list[str]) -> None:
    made = targets.make(_window(), 0, previous, TOKENS, LEXICON, Random(1))
    start = made.fed.index(TOKENS.special("startoftranscript"))
    assert made.fed[0] == TOKENS.special("startofprev")
    assert set(made.wanted[:start]) == {IGNORED}
    assert start <= 200
