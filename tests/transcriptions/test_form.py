"""Forms as clients write them, without a server."""

import io
from typing import Any

import pytest
from starlette.datastructures import FormData, UploadFile

from app.domain import Chunking, Segment, SpeakerCount, Transcript
from app.errors import InvalidRequest, MissingParameter, SpeechError, UnsupportedValue
from app.openai.cues import CueSize
from app.openai.error_replies import reply
from app.openai.model_families import OPENAI_NAMES
from app.transcriptions.form import parse

FILE = UploadFile(io.BytesIO(b"sound"), filename="upload")


def form(*parts: tuple[str, str], model: str = "whisper-1") -> FormData:
    return FormData([*parts, ("model", model), ("file", FILE)])


def refusal(*parts: tuple[str, str], model: str = "whisper-1", task: Any = "transcribe") -> Any:
    """The error object that these parts are answered with."""
    with pytest.raises(SpeechError) as caught:
        parse(form(*parts, model=model), task)
    answer = reply(caught.value)
    assert answer.status == 400
    return answer.body["error"]


def test_fields_that_are_absent_have_openais_defaults() -> None:
    asked = parse(form(), "transcribe")
    assert asked.rendering.response_format == "json"
    assert asked.rendering.granularities == {"segment"}
    assert not asked.stream
    assert asked.order.options.temperature == 0.0
    assert asked.order.options.language is None
    assert asked.order.options.chunking is None


def test_cues_are_split_between_words_and_as_large_as_requested() -> None:
    asked = parse(form(("response_format", "srt")), "transcribe")
    assert asked.rendering.cue_size == CueSize(42, 2)
    assert asked.order.options.words
    sizes = (("max_line_width", "32"), ("max_line_count", "1"))
    asked = parse(form(("response_format", "vtt"), *sizes), "transcribe")
    assert asked.rendering.cue_size == CueSize(32, 1)
    transcript = Transcript("transcribe", "en", 4.0, (Segment(0.0, 4.0, " one" * 10, ()),))
    assert asked.rendering.body(transcript) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\none one one one one\n\n"
        "00:00:02.000 --> 00:00:04.000\none one one one one\n\n"
    )


@pytest.mark.parametrize(
    "parts",
    [
        [("keywords[]", "Acme"), ("keywords[]", "solar panel")],
        [("keywords", "Acme"), ("keywords", "solar panel")],
        [("keywords[0]", "Acme"), ("keywords[1]", "solar panel")],
        [("keywords[1]", "solar panel"), ("keywords[0]", "Acme")],
        [("keywords[10]", "solar panel"), ("keywords[9]", "Acme")],
        [("keywords", '["Acme", "solar panel"]')],
        [("keywords[]", '["Acme", "solar panel"]')],
        [("keywords[]", ""), ("keywords[]", "Acme"), ("keywords[]", "solar panel")],
    ],
)
def test_a_list_may_be_written_in_every_way(parts: list[tuple[str, str]]) -> None:
    assert parse(form(*parts), "transcribe").order.options.keywords == ("Acme", "solar panel")


@pytest.mark.parametrize(
    "parts",
    [
        [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.4"),
            ("chunking_strategy[prefix_padding_ms]", "250"),
            ("chunking_strategy[silence_duration_ms]", "700"),
        ],
        [
            (
                "chunking_strategy",
                ' {"type":"server_vad","threshold":0.4,"prefix_padding_ms":250,'
                '"silence_duration_ms":700}',
            )
        ],
    ],
)
def test_an_object_may_be_written_in_leaves_or_as_json(parts: list[tuple[str, str]]) -> None:
    assert parse(form(*parts), "transcribe").order.options.chunking == Chunking(0.4, 0.25, 0.7)


def test_server_vad_alone_has_openais_numbers() -> None:
    asked = parse(form(("chunking_strategy[type]", "server_vad")), "transcribe")
    assert asked.order.options.chunking == Chunking(0.5, 0.3, 0.2)


@pytest.mark.parametrize(
    "parts",
    [
        [("timestamp_granularities", "word,segment")],
        [("timestamp_granularities", "word, segment")],
        [("timestamp_granularities[]", "['word', 'segment']")],
        [("timestamp_granularities[]", '["word","segment"]')],
        [("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")],
    ],
)
def test_a_list_of_names_may_be_one_text(parts: list[tuple[str, str]]) -> None:
    asked = parse(form(("response_format", "verbose_json"), *parts), "transcribe")
    assert asked.rendering.granularities == {"word", "segment"}
    assert asked.order.options.words


@pytest.mark.parametrize(
    ("text", "code"),
    [("nb-NO", "no"), ("zh-TW", "zh"), ("iw", "he"), ("auto", None), ("undefined", None)],
)
def test_a_language_may_be_written_as_clients_do(text: str, code: str | None) -> None:
    asked = parse(form(("language", text)), "transcribe").order.options
    assert (asked.language, asked.languages) == (code, ())


def test_languages_are_candidates_without_those_that_name_none() -> None:
    parts = [("languages", "en,haitian creole"), ("languages[]", "auto"), ("languages[]", "nb")]
    assert parse(form(*parts), "transcribe").order.options.languages == ("en", "ht", "no")


@pytest.mark.parametrize("text", ["auto", "null", ""])
def test_a_strategy_of_none_leaves_the_windows_to_the_model(text: str) -> None:
    assert parse(form(("chunking_strategy", text)), "transcribe").order.options.chunking is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("True", True), ("TRUE", True), ("1", True), ("false", False), ("0", False)],
)
def test_booleans_come_in_any_case(text: str, expected: bool) -> None:
    assert parse(form(("stream", text)), "transcribe").stream is expected


def test_empty_parts_are_absent() -> None:
    empty = [
        (name, "")
        for name in (
            "language",
            "prompt",
            "response_format",
            "temperature",
            "stream",
            "timestamp_granularities[]",
            "include[]",
            "keywords",
            "chunking_strategy",
            "known_speaker_names[]",
        )
    ]
    assert parse(form(*empty), "transcribe") == parse(form(), "transcribe")


def test_a_missing_field_is_named() -> None:
    for data, field in (
        (FormData([("file", FILE)]), "model"),
        (FormData([("model", "whisper-1")]), "file"),
    ):
        with pytest.raises(MissingParameter) as caught:
            parse(data, "transcribe")
        assert caught.value.param == field


def test_a_file_that_is_text_is_no_file() -> None:
    with pytest.raises(InvalidRequest, match="must be a file upload") as caught:
        parse(FormData([("file", "@call.wav"), ("model", "whisper-1")]), "transcribe")
    assert caught.value.param == "file"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("response_format", "yaml"),
        ("language", "klingon"),
        ("temperature", "9"),
        ("temperature", "-0.1"),
        ("max_line_width", "9"),
        ("max_line_width", "4_2"),
        ("max_line_count", "0"),
        ("max_line_count", "99999999999"),
        ("temperature", "nan"),
        ("temperature", "warm" * 1000),
        ("stream", "maybe"),
        ("timestamp_granularities", "sentence"),
        ("timestamp_granularities", "[1"),
        ("include", "thoughts"),
        ("languages", "xx"),
        ("chunking_strategy", "manual"),
        ("chunking_strategy", '{"type":'),
    ],
)
def test_a_wrong_value_names_its_field(field: str, text: str) -> None:
    error = refusal((field, text))
    assert (error["param"], error["code"]) == (field, "invalid_value")
    assert len(error["message"]) < 300


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("type", "semantic_vad"),
        ("threshold", "1.5"),
        ("threshold", "loud"),
        ("prefix_padding_ms", "-1"),
        ("silence_duration_ms", "0.5"),
        ("eagerness", "high"),
    ],
)
def test_a_wrong_leaf_of_the_chunking_strategy_is_named(leaf: str, text: str) -> None:
    parts = {"type": "server_vad", leaf: text}
    error = refusal(*((f"chunking_strategy[{key}]", value) for key, value in parts.items()))
    assert error["param"] == f"chunking_strategy.{leaf}"
    assert error["code"] == "invalid_value"


def test_a_chunking_strategy_without_its_type_is_refused() -> None:
    assert refusal(("chunking_strategy[threshold]", "0.5"))["param"] == "chunking_strategy.type"


# The hosted API's refusals (docs/contract.md §1.6).


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15"])
@pytest.mark.parametrize("response_format", ["verbose_json", "srt", "vtt"])
def test_gpt_4o_has_no_times(model: str, response_format: str) -> None:
    assert refusal(("response_format", response_format), model=model) == {
        "message": f"response_format '{response_format}' is not compatible with model '{model}'. "
        "Use 'json' or 'text' instead.",
        "type": "invalid_request_error",
        "param": "response_format",
        "code": "unsupported_value",
    }


def test_diarisation_needs_a_chunking_strategy() -> None:
    assert refusal(model="gpt-4o-transcribe-diarize") == {
        "message": "chunking_strategy is required for diarization models",
        "type": "invalid_request_error",
        "param": "chunking_strategy",
        "code": "invalid_value",
    }


@pytest.mark.parametrize(
    ("field", "text"),
    [("prompt", "Hello."), ("include[]", "logprobs"), ("timestamp_granularities[]", "word")],
)
def test_diarisation_takes_no_prompt_no_logprobs_and_no_granularities(
    field: str, text: str
) -> None:
    error = refusal((field, text), ("chunking_strategy", "auto"), model="gpt-4o-transcribe-diarize")
    assert (error["param"], error["code"]) == (field.removesuffix("[]"), "unsupported_value")


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "starter"])
@pytest.mark.parametrize("response_format", ["json", "text"])
def test_granularities_are_ignored_where_a_format_has_no_times(
    model: str, response_format: str
) -> None:
    """Vercel's AI SDK sends them with every option."""
    asked = parse(
        form(
            ("timestamp_granularities[]", "word"),
            ("response_format", response_format),
            model=model,
        ),
        "transcribe",
    )
    assert asked.rendering.response_format == response_format
    assert not asked.order.options.words
    error = refusal(("timestamp_granularities[]", "letter"), model=model)
    assert error["param"] == "timestamp_granularities"


@pytest.mark.parametrize("response_format", ["text", "verbose_json"])
def test_logprobs_need_json(response_format: str) -> None:
    error = refusal(("include[]", "logprobs"), ("response_format", response_format))
    assert (error["param"], error["code"]) == ("include", "unsupported_value")


def test_whisper_1_does_not_diarise_but_our_own_names_do() -> None:
    assert refusal(("response_format", "diarized_json"))["param"] == "response_format"
    asked = parse(form(("response_format", "diarized_json"), model="starter"), "transcribe")
    assert asked.order.options.split_channels


@pytest.mark.parametrize("model", ["starter", *OPENAI_NAMES])
def test_a_translation_is_never_diarised(model: str) -> None:
    error = refusal(
        ("response_format", "diarized_json"),
        ("chunking_strategy", "auto"),
        model=model,
        task="translate",
    )
    assert (error["param"], error["code"]) == ("response_format", "unsupported_value")


SPEAKERS = [("response_format", "diarized_json"), ("known_speaker_names[]", "agent")]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([("known_speaker_names[]", name) for name in "abcdefghijklmnop"], "known_speaker_names"),
        ([("known_speaker_names[]", "agent")], "known_speaker_names"),
        ([("known_speaker_references[]", "data:")] * 2, "known_speaker_references"),
    ],
)
def test_speakers_have_distinct_names_and_each_reference_has_one(
    parts: list[tuple[str, str]], field: str
) -> None:
    assert refusal(*SPEAKERS, *parts, model="starter")["param"] == field


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], SpeakerCount(1, 8)),
        ([("num_speakers", "2")], SpeakerCount(2, 2)),
        ([("max_speakers", "2")], SpeakerCount(1, 2)),
        ([("num_speakers", "3")], SpeakerCount(3, 3, within_channels=True)),
        ([("min_speakers", "3")], SpeakerCount(3, 8, within_channels=True)),
        ([("max_speakers", "3")], SpeakerCount(1, 3, within_channels=True)),
        ([("min_speakers", "10")], SpeakerCount(10, 10, within_channels=True)),
        (
            [("min_speakers", "2"), ("max_speakers", "5")],
            SpeakerCount(2, 5, within_channels=True),
        ),
        ([("known_speaker_names", "Ann"), ("known_speaker_names", "Bo")], SpeakerCount(1, 8)),
        (
            [("known_speaker_names", "Ann"), ("known_speaker_references", "data:")],
            SpeakerCount(1, 8, within_channels=True),
        ),
    ],
)
@pytest.mark.parametrize(
    "asked", [("response_format", "diarized_json"), ("diarize", "true")], ids=["format", "field"]
)
def test_what_is_known_of_the_number_of_speakers_is_read(
    parts: list[tuple[str, str]], expected: SpeakerCount, asked: tuple[str, str]
) -> None:
    fields = {"response_format": "vtt"} | dict([asked]) | dict(parts)
    options = parse(form(*fields.items(), model="starter"), "transcribe").order.options
    assert (options.speakers, options.split_channels) == (expected, True)


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([("num_speakers", "2"), ("max_speakers", "3")], "num_speakers"),
        ([("min_speakers", "4"), ("max_speakers", "3")], "min_speakers"),
        ([("num_speakers", "0")], "num_speakers"),
        ([("max_speakers", "21")], "max_speakers"),
        ([("max_speakers", "two")], "max_speakers"),
        ([("diarize", "yes, please")], "diarize"),
        ([("diarize", "true"), ("response_format", "json")], "diarize"),
        ([("response_format", "json"), ("num_speakers", "2")], "num_speakers"),
    ],
)
def test_a_number_of_speakers_that_cannot_be_is_refused(
    parts: list[tuple[str, str]], field: str
) -> None:
    fields = {"response_format": "diarized_json"} | dict(parts)
    assert refusal(*fields.items(), model="starter")["param"] == field


def test_speakers_belong_to_diarisation() -> None:
    with pytest.raises(UnsupportedValue) as caught:
        parse(form(("known_speaker_names[]", "agent")), "transcribe")
    assert caught.value.param == "known_speaker_names"
    both = [
        ("known_speaker_names[]", "agent"),
        ("known_speaker_references[]", "data:audio/wav;base64,"),
        ("chunking_strategy", "auto"),
    ]
    asked = parse(form(*both, model="gpt-4o-transcribe-diarize"), "transcribe")
    assert asked.rendering.speaker_names == ("agent",)
    assert len(asked.order.speaker_references) == 1
