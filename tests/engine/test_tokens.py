import pytest

from app.engine.tokens import MAX_PROMPT_TOKENS, Alignment, Vocabulary, compression_ratio
from app.engine.whisper import WhisperEngine


@pytest.fixture
def vocabulary(starter: WhisperEngine) -> Vocabulary:
    return starter._vocabulary


def ids(vocabulary: Vocabulary, marked: str) -> list[int]:
    """`<|0.00|> Hello.<|1.20|>` -> token ids."""
    return list(vocabulary._tokenizer.encode(marked, add_special_tokens=False).ids)


def cut(vocabulary: Vocabulary, marked: str, duration: float) -> list[tuple[float, float, str]]:
    segments = vocabulary.segments(ids(vocabulary, marked), duration)
    return [(round(each.start, 2), round(each.end, 2), each.text) for each in segments]


def test_timestamps_cut_the_text(vocabulary: Vocabulary) -> None:
    marked = "<|0.20|> Hello.<|1.20|><|1.50|> Goodbye.<|2.40|>"
    assert cut(vocabulary, marked, 3.0) == [(0.2, 1.2, " Hello."), (1.5, 2.4, " Goodbye.")]


def test_one_timestamp_between_two_segments_closes_the_one_and_no_text_is_lost(
    vocabulary: Vocabulary,
) -> None:
    marked = "<|0.20|> Hello.<|1.20|> Goodbye.<|2.40|>"
    assert [text for _, _, text in cut(vocabulary, marked, 3.0)] == [" Hello.", " Goodbye."]


def test_a_segment_without_an_end_ends_with_the_sound(vocabulary: Vocabulary) -> None:
    assert cut(vocabulary, "<|0.20|> Hello.", 1.9) == [(0.2, 1.9, " Hello.")]
    assert cut(vocabulary, " Hello.", 1.9) == [(0.0, 1.9, " Hello.")]


def test_no_time_lies_behind_the_sound(vocabulary: Vocabulary) -> None:
    assert cut(vocabulary, "<|0.20|> Hello.<|9.00|>", 2.0) == [(0.2, 2.0, " Hello.")]


def test_text_that_begins_behind_the_sound_was_invented(vocabulary: Vocabulary) -> None:
    assert cut(vocabulary, "<|0.00|> Hello.<|1.00|><|5.00|> Thanks.<|6.00|>", 1.5) == [
        (0.0, 1.0, " Hello.")
    ]


def test_nothing_said_is_no_segment(vocabulary: Vocabulary) -> None:
    assert cut(vocabulary, "<|0.00|><|1.00|>", 1.0) == []
    assert cut(vocabulary, "", 1.0) == []


@pytest.mark.parametrize(
    "marked",
    [
        "<|0.20|> Hello.<|1.20|><|1.50|> Goodbye.<|2.40|>",
        "<|0.20|> Hello.<|1.20|><|1.50|> Goodbye.",
        " Hello.<|1.20|><|1.50|> Goodbye.",
        " Hello.",
    ],
)
def test_segments_keep_the_timestamps_they_lie_between(vocabulary: Vocabulary, marked: str) -> None:
    tokens = ids(vocabulary, marked)
    segments = vocabulary.segments(tokens, 3.0)
    assert [token for segment in segments for token in segment.tokens] == tokens


def test_a_long_prompt_keeps_its_end(vocabulary: Vocabulary) -> None:
    context = vocabulary.context("Hello. " * 300 + "Goodbye.")
    assert len(context) == MAX_PROMPT_TOKENS + 1
    assert vocabulary.text(context[1:]).endswith("Goodbye.")
    assert vocabulary.context("  ") == []


def test_words_carry_their_punctuation_and_times(vocabulary: Vocabulary) -> None:
    tokens = [token for token in ids(vocabulary, " Hello, Anna.") if token < vocabulary.end_of_text]
    path = [(index, 10 * index) for index in range(len(tokens) + 1)]
    words = vocabulary.words(tokens, Alignment(path, [0.5] * len(tokens)), "en")
    assert [word.text for word in words] == [" Hello,", " Anna."]
    assert words[0].start == 0.0
    assert words[0].end <= words[1].start < words[1].end
    assert words[0].probability == pytest.approx(0.5)


def test_no_tokens_no_words(vocabulary: Vocabulary) -> None:
    assert vocabulary.words([], Alignment([], []), "en") == []


def test_repetition_shows_in_the_compression_ratio() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("The order number is four two seven one.") < 1.5
    assert compression_ratio("thank you " * 40) > 2.4
