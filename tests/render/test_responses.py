import json

import pytest

from app.domain import Segment, Transcript, Word
from app.families import family_of
from app.render.responses import compact, json_body, verbose_body

TRANSCRIPT = Transcript(
    task="transcribe",
    language="en",
    duration=8.47,
    segments=(
        Segment(
            0.5,
            3.32,
            " Grüße, A b.",
            (50364, 440, 50530),
            (
                Word(0.5, 1.25, " Grüße,", 0.9),
                Word(1.25, 3.0, " A", 0.8),
                Word(3.0, 3.32, " b.", 1),
            ),
            "en",
            0.0,
            -0.286,
            1.236,
            0.0098,
            0.25,
        ),
        Segment(4.0, 5.0, " C.", (50564, 441, 50614), window_start=4.0),
    ),
    prompt_token_count=3,
)


def test_json_is_compact_and_keeps_letters_readable() -> None:
    assert compact(json_body(TRANSCRIPT, family_of("whisper-1"))) == (
        '{"text":"Grüße, A b. C.","usage":{"type":"duration","seconds":9}}'
    )


def test_the_gpt_family_counts_tokens() -> None:
    assert json_body(TRANSCRIPT, family_of("gpt-4o-transcribe"))["usage"] == {
        "type": "tokens",
        "input_tokens": 88,
        "input_token_details": {"text_tokens": 3, "audio_tokens": 85},
        "output_tokens": 6,
        "total_tokens": 94,
    }


def test_verbose_json_has_openais_keys_in_openais_order() -> None:
    body = verbose_body(TRANSCRIPT, frozenset({"segment", "word"}))
    assert list(body) == ["task", "language", "duration", "text", "words", "segments", "usage"]
    assert body["language"] == "english"
    assert body["words"] == [
        {"word": "Grüße", "start": 0.5, "end": 1.25},
        {"word": "A", "start": 1.25, "end": 3.0},
        {"word": "b", "start": 3.0, "end": 3.32},
    ]
    assert json.dumps(body["segments"][0]) == json.dumps(
        {
            "id": 0,
            "seek": 25,
            "start": 0.5,
            "end": 3.32,
            "text": " Grüße, A b.",
            "tokens": [50364, 440, 50530],
            "temperature": 0.0,
            "avg_logprob": -0.286,
            "compression_ratio": 1.236,
            "no_speech_prob": 0.0098,
        }
    )
    assert [segment["id"] for segment in body["segments"]] == [0, 1]


@pytest.mark.parametrize(
    ("granularity", "present", "absent"),
    [("word", "words", "segments"), ("segment", "segments", "words")],
)
def test_one_granularity_alone_leaves_the_other_out(
    granularity: str, present: str, absent: str
) -> None:
    body = verbose_body(TRANSCRIPT, frozenset({granularity}))  # type: ignore[arg-type]
    assert present in body
    assert absent not in body


def test_a_translation_is_in_english_and_carries_no_usage() -> None:
    german = Transcript("translate", "de", 2.0, TRANSCRIPT.segments)
    assert json_body(german, family_of("whisper-1")) == {"text": "Grüße, A b. C."}
    body = verbose_body(german, frozenset({"segment"}))
    assert (body["task"], body["language"]) == ("translate", "english")
    assert "usage" not in body


def test_a_word_that_is_only_punctuation_is_kept() -> None:
    dash = Transcript("transcribe", "en", 1.0, (Segment(0, 1, " ?", (), (Word(0, 1, " ?", 1.0),)),))
    assert verbose_body(dash, frozenset({"word"}))["words"][0]["word"] == "?"
