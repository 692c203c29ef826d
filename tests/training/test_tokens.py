import json
from random import Random

import pytest
from faster_whisper.tokenizer import Tokenizer
from tokenizers import Tokenizer as Pieces

from tests.training import synthetic
from training import text

TOKENS = synthetic.tokens()


@pytest.mark.parametrize(
    "spoken",
    ["Hello, this is Anna.", "Ich möchte fünf Tische.", "C'est très cher, où est-il?", "♪ £5 ♪"],
)
def test_text_survives_the_tokenizer(spoken: str) -> None:
    ids = [token for chunk in spoken.split() for token in TOKENS.encode_word(chunk)]
    assert TOKENS.decode(ids) == " " + spoken
    assert max(ids) < TOKENS.end


def test_words_by_themselves_give_the_tokens_of_the_sentence() -> None:
    whole = Pieces.from_str(TOKENS.content)
    dice = Random(3)
    for language in text.LANGUAGES:
        for _ in range(100):
            spoken = text.mixture(language, dice).text
            pieces = [token for chunk in spoken.split() for token in TOKENS.encode_word(chunk)]
            assert pieces == whole.encode(" " + spoken).ids


def test_special_tokens_stand_as_ctranslate2_expects() -> None:
    names = TOKENS.names
    start = TOKENS.special("startoftranscript")
    assert names[TOKENS.end - 1 : TOKENS.end + 2] == ["", "<|endoftext|>", "<|startoftranscript|>"]
    assert TOKENS.special("nospeech") - start - 5 == 99
    assert names[-1501:][:2] == ["<|0.00|>", "<|0.02|>"]
    assert names[-1] == "<|30.00|>"
    assert len(set(names)) == len(names)


def test_times_are_rounded_and_stay_within_thirty_seconds() -> None:
    assert TOKENS.names[TOKENS.time(1.509)] == "<|1.50|>"
    assert TOKENS.names[TOKENS.time(99)] == "<|30.00|>"
    assert TOKENS.names[TOKENS.time(-1)] == "<|0.00|>"


def test_no_word_begins_with_a_piece_that_faster_whisper_suppresses() -> None:
    whisper = Tokenizer(Pieces.from_str(TOKENS.content), True, "transcribe", "en")
    suppressed = set(whisper.non_speech_tokens)
    for language in text.LANGUAGES:
        for word in text.vocabulary(language):
            assert not suppressed & set(TOKENS.encode_word(word)), word


def test_languages_are_those_of_whisper() -> None:
    whisper = Tokenizer(Pieces.from_str(TOKENS.content), True, "transcribe", "de")
    assert whisper.sot_sequence[1] == TOKENS.special("de")
    added = json.loads(TOKENS.content)["added_tokens"]
    assert len(added) == 2 + 99 + 6 + 1501
