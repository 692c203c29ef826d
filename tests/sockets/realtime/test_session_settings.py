"""Configurations of realtime sessions, without a socket."""

import numpy as np
import pytest

from app.errors import InvalidRequest
from app.openai.request_errors import MAX_REASON_CHARACTERS
from app.pipeline.live.events import TurnDetection
from app.sockets.realtime.session_settings import SessionSettings


def with_input(**inputs: object) -> SessionSettings:
    return SessionSettings().updated({"audio": {"input": inputs}})


def test_defaults_are_those_of_openai_and_of_the_core() -> None:
    options = SessionSettings().live_options()
    assert options.turns == TurnDetection()
    assert options.partials
    assert options.options.language is None


def test_server_vad_is_given_in_milliseconds() -> None:
    session = with_input(
        turn_detection={
            "type": "server_vad",
            "threshold": 1,
            "prefix_padding_ms": 250,
            "silence_duration_ms": 750,
            "idle_timeout_ms": 30_000,
            "create_response": False,
        }
    )
    assert session.live_options().turns == TurnDetection(1.0, 0.25, 0.75, 30.0)


@pytest.mark.parametrize(
    ("eagerness", "seconds"), [("low", 8.0), ("medium", 4.0), ("high", 2.0), ("auto", 4.0)]
)
def test_eagerness_is_how_long_an_unfinished_sentence_may_pause(
    eagerness: str, seconds: float
) -> None:
    turns = with_input(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
    assert turns.live_options().turns == TurnDetection(patience_seconds=seconds)


@pytest.mark.parametrize(
    ("delay", "partials"),
    [("minimal", True), ("low", True), ("medium", True), ("high", False), ("xhigh", False)],
)
def test_a_high_delay_needs_no_text_before_the_end_of_a_turn(delay: str, partials: bool) -> None:
    assert with_input(transcription={"delay": delay}).live_options().partials is partials


def test_another_kind_of_turn_detection_begins_with_its_defaults() -> None:
    first = with_input(turn_detection={"type": "server_vad", "threshold": 0.9})
    changed = first.updated({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    back = changed.updated({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert back.live_options().turns == TurnDetection()
    same = first.updated({"audio": {"input": {"turn_detection": {"prefix_padding_ms": 0}}}})
    assert same.live_options().turns == TurnDetection(threshold=0.9, prefix_padding_seconds=0.0)


def test_changes_make_the_same_session_again() -> None:
    session = with_input(
        format={"type": "audio/pcma"},
        transcription=None,
        turn_detection={"type": "semantic_vad"},
    ).updated({"include": ["item.input_audio_transcription.logprobs"]})
    assert SessionSettings().updated(session.changes()) == session
    assert SessionSettings().changes() == {}


def test_a_model_that_detects_no_turns_leaves_them_to_the_client() -> None:
    """As OpenAI's does: LiveKit finds the turns itself, and commits."""

    def turns(settings: SessionSettings) -> TurnDetection | None:
        return settings.live_options().turns

    quiet = {"model": "gpt-realtime-whisper"}
    session = with_input(transcription=quiet)
    assert turns(session) is None
    assert session.body("sess_1", 0)["audio"]["input"]["turn_detection"] is None
    # As long as the client says nothing of them.
    assert turns(session.updated({"include": None})) is None
    chosen = with_input(transcription=quiet, turn_detection={"type": "server_vad"})
    assert turns(chosen) == TurnDetection()
    assert turns(session.updated({"audio": {"input": {"transcription": {}}}})) is None
    back = session.updated({"audio": {"input": {"transcription": {"model": "whisper-1"}}}})
    assert turns(back) == TurnDetection()
    for each in (session, chosen, back):
        assert SessionSettings().updated(each.changes()) == each
    silent = with_input(turn_detection=None)
    assert SessionSettings().updated(silent.changes()) == silent


def test_null_is_the_default_where_it_cannot_mean_off() -> None:
    session = with_input(
        format={"type": "audio/pcmu"},
        transcription={"prompt": "Names.", "keywords": ["Ann"], "language": "de"},
    )
    back = session.updated(
        {"audio": {"input": {"format": None, "transcription": {"prompt": None, "language": None}}}}
    )
    assert back == with_input(transcription={"keywords": ["Ann"]})


def test_languages_may_be_written_as_in_a_request() -> None:
    session = with_input(transcription={"languages": ["en-US", "german"]})
    assert session.live_options().options.languages == ("en", "de")


@pytest.mark.parametrize("text", ["", "auto", "null", "undefined"])
def test_a_language_may_be_one_that_is_detected(text: str) -> None:
    chosen = with_input(transcription={"language": "nb-NO", "languages": [text, "iw"]})
    assert chosen.live_options().options.language == "no"
    assert chosen.live_options().options.languages == ("he",)
    back = chosen.updated({"audio": {"input": {"transcription": {"language": text}}}})
    assert back.live_options().options.language is None
    assert "language" not in back.body("sess_1", 0)["audio"]["input"]["transcription"]


def test_whole_numbers_may_have_a_fraction_of_zero() -> None:
    session = with_input(
        format={"type": "audio/pcm", "rate": 24000.0},
        turn_detection={
            "type": "server_vad",
            "prefix_padding_ms": 250.0,
            "silence_duration_ms": 500.0,
            "idle_timeout_ms": 5000.0,
        },
    )
    assert session.live_options().turns == TurnDetection(0.5, 0.25, 0.5, 5.0)
    assert session.body("sess_1", 0)["audio"]["input"]["format"]["rate"] == 24000
    for wrong in (500.5, float("inf"), "500"):
        with pytest.raises(InvalidRequest) as caught:
            with_input(turn_detection={"type": "server_vad", "silence_duration_ms": wrong})
        assert caught.value.param == "session.audio.input.turn_detection.silence_duration_ms"


@pytest.mark.parametrize(
    ("kind", "silence", "seconds"),
    [("audio/pcm", bytes(4_800), 0.1), ("audio/pcmu", b"\xff" * 800, 0.1)],
)
def test_bytes_become_samples_in_the_format_of_the_session(
    kind: str, silence: bytes, seconds: float
) -> None:
    decoder = with_input(format={"type": kind}).decoder()
    samples = np.concatenate([decoder.push(silence), decoder.flush()])
    assert abs(len(samples) / 16_000 - seconds) < 0.001
    assert np.abs(samples).max() < 0.001


def test_megabytes_that_are_wrong_are_not_sent_back() -> None:
    with pytest.raises(InvalidRequest) as caught:
        with_input(format={"type": "x" * 1_000_000})
    assert len(str(caught.value)) < MAX_REASON_CHARACTERS + 100
    with pytest.raises(InvalidRequest):
        with_input(transcription={"keywords": ["x" * 5_000]})
