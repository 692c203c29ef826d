import math
from types import SimpleNamespace

import pytest
import tokenizers
from faster_whisper import WhisperModel

from app.engine.tokens import MAX_PROMPT_TOKENS, Alignment, Vocabulary, compression_ratio
from app.engine.whisper import WhisperEngine
from app.services import models_directory
from app.settings import read_settings
from tests.support.model_names import BASE


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


def test_tokens_without_text_are_no_segment(vocabulary: Vocabulary) -> None:
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


def as_faster_whisper(vocabulary: Vocabulary, prompt: str, keywords: str) -> list[int]:
    """The context that faster-whisper's own `get_prompt` writes before <|startoftranscript|>."""
    model = SimpleNamespace(max_length=448)
    tokenizer = vocabulary._for("en", "transcribe")
    previous = tokenizer.encode(" " + prompt) if prompt else []
    tokens = WhisperModel.get_prompt(model, tokenizer, previous, hotwords=keywords or None)
    return list(tokens[: -len(tokenizer.sot_sequence)])


@pytest.mark.parametrize(
    ("prompt", "keywords"),
    [
        ("", ()),
        ("Hello, this is Anna.", ()),
        ("", ("Northwind",)),
        ("", ("Northwind", "Zoë Müller")),
        ("Hello, this is Anna.", ("Northwind", "Zoë Müller")),
    ],
)
def test_the_context_is_the_one_faster_whisper_builds_of_hotwords_and_prompt(
    vocabulary: Vocabulary, prompt: str, keywords: tuple[str, ...]
) -> None:
    theirs = as_faster_whisper(vocabulary, prompt, ", ".join(keywords))
    assert vocabulary.context(prompt, keywords) == theirs


def test_keywords_are_kept_and_the_prompt_loses_its_oldest_words(vocabulary: Vocabulary) -> None:
    prompt = "Hello. " * 300 + "Goodbye."
    context = vocabulary.context(prompt, ("Northwind", "Verbatim"))
    assert len(context) == MAX_PROMPT_TOKENS + 1
    written = vocabulary.text(context[1:])
    assert written.startswith(" Northwind, Verbatim")
    assert written.endswith("Hello. Goodbye.")
    many = [f"name {number}" for number in range(300)]
    context = vocabulary.context(prompt, tuple(many))
    assert len(context) == MAX_PROMPT_TOKENS + 1
    assert (" " + ", ".join(many)).startswith(vocabulary.text(context[1:]))


def test_a_caller_cannot_write_the_models_own_tokens(vocabulary: Vocabulary) -> None:
    context = vocabulary.context("Hello.<|startoftranscript|><|de|>", ("<|endoftext|>Acme",))
    assert all(token < vocabulary.end_of_text for token in context[1:])
    assert vocabulary.text(context[1:]) == " Acme Hello."


@pytest.mark.parametrize(
    "text", [" Hello, Anna.", " Grüße aus Köln!", " 你好，世界。", " naïve 🙂 e\u0301"]
)
def test_the_bytes_of_scored_tokens_are_the_text(vocabulary: Vocabulary, text: str) -> None:
    tokens = ids(vocabulary, text)
    scores = vocabulary.scores(tokens, [0.5] * len(tokens))
    assert len(scores) == len(tokens)
    assert b"".join(score.token for score in scores) == text.encode()
    assert {score.logprob for score in scores} == {math.log(0.5)}


def test_every_token_has_the_bytes_that_the_tokenizer_writes_for_it(vocabulary: Vocabulary) -> None:
    for token in range(vocabulary.end_of_text):
        written = vocabulary._bytes(token).decode(errors="replace")
        assert written == vocabulary.text([token])


def test_no_token_has_text_before_white_space_so_no_delta_cuts_one(vocabulary: Vocabulary) -> None:
    for token in range(vocabulary.end_of_text):
        written = vocabulary.text([token])
        assert written == written.rstrip() or not written.strip()


@pytest.mark.parametrize(
    "kept", [slice(0, 1), slice(1, 2), slice(0, 2), slice(2, None), slice(1, None), slice(0, None)]
)
def test_half_a_character_alone_has_the_bytes_that_the_text_shows(
    vocabulary: Vocabulary, kept: slice
) -> None:
    tokens = [*ids(vocabulary, "🙂")[kept], *ids(vocabulary, "你")[:2], *ids(vocabulary, "a")]
    scores = vocabulary.scores(tokens, [0.5] * len(tokens))
    assert len(scores) == len(tokens)
    assert b"".join(score.token for score in scores).decode() == vocabulary.text(tokens)


def test_a_logprob_is_finite_and_never_above_zero(vocabulary: Vocabulary) -> None:
    tokens = ids(vocabulary, " Hello")
    for probability, logprob in ((0.0, -16.64), (1e-30, -16.64), (1.0, 0.0), (1.0000001, 0.0)):
        scores = vocabulary.scores(tokens, [probability] * len(tokens))
        assert [round(score.logprob, 2) for score in scores] == [logprob] * len(tokens)


def test_only_text_tokens_are_counted_as_text(vocabulary: Vocabulary) -> None:
    tokens = ids(vocabulary, "<|0.20|> Hello.<|1.20|><|1.50|> Goodbye.")
    segments = vocabulary.segments(tokens, 3.0)
    counts = [segment.text_token_count for segment in segments]
    assert counts == [len(vocabulary.text_tokens(segment)) for segment in segments]
    assert sum(counts) == len(tokens) - 3


def test_words_carry_their_punctuation_and_times(vocabulary: Vocabulary) -> None:
    tokens = [token for token in ids(vocabulary, " Hello, Anna.") if token < vocabulary.end_of_text]
    path = [(index, 10 * index) for index in range(len(tokens) + 1)]
    words = vocabulary.words(tokens, Alignment(path, [0.5] * len(tokens)), "en")
    assert [word.text for word in words] == [" Hello,", " Anna."]
    assert words[0].start == 0.0
    assert words[0].end <= words[1].start < words[1].end
    assert words[0].probability == pytest.approx(0.5)


def test_whispers_vocabulary_knows_which_words_have_a_capital_only_where_a_sentence_begins() -> (
    None
):
    folder = models_directory(read_settings()).find(BASE)
    assert folder is not None, "`make test` pulls it"
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocabulary = Vocabulary(tokenizer, is_multilingual=True)
    for words, is_lower in (
        ("And What Making Well, It's Aber Weil Et Pero \u041a\u043e\u0433\u0434\u0430", True),
        (
            "I I'm Paris English Haus Jahre TOP McDonald 7 \u041c\u043e\u0441\u043a\u0432\u0430",
            False,
        ),
    ):
        assert {word: vocabulary.is_usually_lower(word) for word in words.split()} == dict.fromkeys(
            words.split(), is_lower
        )
    assert not vocabulary.is_usually_lower("")


def test_no_tokens_no_words(vocabulary: Vocabulary) -> None:
    assert vocabulary.words([], Alignment([], []), "en") == []


def test_repetition_shows_in_the_compression_ratio() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("The order number is four two seven one.") < 1.5
    assert compression_ratio("thank you " * 40) > 2.4
