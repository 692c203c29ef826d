import json

import pytest

from app.domain import Segment, TokenScore, Transcript, Word
from app.openai.model_families import family_of
from app.openai.responses import compact, diarized_body, json_body, verbose_body

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
            token_scores=(
                TokenScore(b" Gr", -0.5),
                TokenScore(b"\xc3", -0.25),
                TokenScore(b"\xbc\xc3\x9fe", 0.0),
                TokenScore(b", A b.", -1.5),
            ),
            text_token_count=4,
        ),
        Segment(
            4.0,
            5.0,
            " C.",
            (50564, 441, 50614),
            language="de",
            window_start=4.0,
            token_scores=(TokenScore(b" C.", -0.125),),
            text_token_count=1,
        ),
    ),
    prompt_token_count=3,
)


def test_json_is_compact_and_keeps_letters_readable() -> None:
    assert compact(json_body(TRANSCRIPT, family_of("whisper-1"), with_scores=False)) == (
        '{"text":"Grüße, A b. C.","usage":{"type":"duration","seconds":9}}'
    )


def test_the_gpt_family_counts_tokens_of_text_and_not_of_time() -> None:
    assert json_body(TRANSCRIPT, family_of("gpt-4o-transcribe"), with_scores=False)["usage"] == {
        "type": "tokens",
        "input_tokens": 88,
        "input_token_details": {"text_tokens": 3, "audio_tokens": 85},
        "output_tokens": 5,
        "total_tokens": 93,
    }


def test_gpt_transcribe_lists_languages_in_the_order_of_their_first_segments() -> None:
    body = json_body(TRANSCRIPT, family_of("gpt-transcribe"), with_scores=True)
    assert list(body) == ["text", "languages", "logprobs", "usage"]
    assert body["languages"] == [{"code": "en"}, {"code": "de"}]
    silence = Transcript("transcribe", "en", 1.0, ())
    silent = json_body(silence, family_of("gpt-transcribe"), with_scores=True)
    assert (silent["languages"], silent["logprobs"]) == ([], [])


def test_logprobs_are_those_of_the_text_and_show_half_a_character_as_such() -> None:
    body = json_body(TRANSCRIPT, family_of("gpt-4o-transcribe"), with_scores=True)
    assert compact(body["logprobs"][:2]) == (
        '[{"token":"Gr","logprob":-0.5,"bytes":[71,114]},'
        '{"token":"\ufffd","logprob":-0.25,"bytes":[195]}]'
    )
    assert [each["token"] for each in body["logprobs"][2:]] == ["\ufffdße", ", A b.", " C."]
    assert (
        bytes(byte for each in body["logprobs"] for byte in each["bytes"]).decode()
        == (body["text"])
    )


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
            "language": "english",
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
    assert json_body(german, family_of("gpt-transcribe"), with_scores=False) == {
        "text": "Grüße, A b. C."
    }
    body = verbose_body(german, frozenset({"segment"}))
    assert (body["task"], body["language"]) == ("translate", "english")
    assert "usage" not in body


def test_a_word_that_is_only_punctuation_is_kept() -> None:
    dash = Transcript("transcribe", "en", 1.0, (Segment(0, 1, " ?", (), (Word(0, 1, " ?", 1.0),)),))
    assert verbose_body(dash, frozenset({"word"}))["words"][0]["word"] == "?"


def test_diarized_json_has_a_line_of_text_for_each_segment() -> None:
    spoken = (
        Segment(0.5, 1.25, " Hi.", (1,)),
        Segment(1.0, 2.0, " Hello.", (1,), speaker=1),
        Segment(2.0, 3.0, " So.", (1,), speaker=1),
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
