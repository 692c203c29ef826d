import json

import pytest

from app.domain import Segment, Transcript, Word
from app.families import family_of
from app.render.responses import compact, diarized_body, json_body, verbose_body

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


def test_diarized_json_has_a_line_and_a_segment_for_everything_that_is_said() -> None:
    spoken = (
        Segment(0.5, 1.25, " Hi.", (1,)),
        Segment(1.0, 2.0, " Hello.", (1,), channel=1),
        Segment(2.0, 3.0, " So.", (1,), channel=1),
    )
    call = Transcript("transcribe", "en", 3.5, spoken)
    body = diarized_body(call, family_of("gpt-4o-transcribe-diarize"), ["Ann", "Bob", "C", "D"])
    assert list(body) == ["task", "duration", "text", "segments", "usage"]
    assert body["text"] == "Ann: Hi.\nBob: Hello.\nBob: So."
    assert json.dumps(body["segments"][0]) == json.dumps(
        {
            "type": "transcript.text.segment",
            "id": "seg_001",
            "start": 0.5,
            "end": 1.25,
            "text": "Hi.",
            "speaker": "Ann",
        }
    )
    unnamed = diarized_body(call, family_of("whisper-1"))
    assert [each["speaker"] for each in unnamed["segments"]] == ["A", "B", "B"]
    assert [each["id"] for each in unnamed["segments"]] == ["seg_001", "seg_002", "seg_003"]


def test_diarized_silence_is_an_empty_text() -> None:
    body = diarized_body(Transcript("transcribe", "en", 2.0, ()), family_of("whisper-1"))
    assert (body["text"], body["segments"]) == ("", [])
