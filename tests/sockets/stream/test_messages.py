from typing import Any

from app.domain import Segment, Transcript, Word
from app.errors import EngineFailed
from app.pipeline.live.events import (
    Committed,
    Completed,
    Failed,
    Partial,
    SpeechStarted,
    SpeechStopped,
)
from app.sockets.stream.messages import Messages


def transcript(*texts: str, language: str = "en") -> Transcript:
    """A segment of a second for each text, from the fifth second on."""
    segments = tuple(
        Segment(
            5.0 + number,
            6.0 + number,
            text,
            (),
            words=(Word(5.0 + number, 5.5 + number, text, 0.9),),
            language=language,
        )
        for number, text in enumerate(texts)
    )
    return Transcript("transcribe", language, 4.0, segments)


def said(messages: Messages, *events: Any) -> list[Any]:
    return [body for event in events if (body := messages.of(event)) is not None]


def test_a_turn_has_messages_from_its_start_to_its_final_line() -> None:
    messages = Messages(words=True)
    assert said(
        messages,
        SpeechStarted("a", 4.8),
        Partial("a", "", "Tank"),
        Partial("a", "Thank", " you"),
        SpeechStopped("a", 6.5),
        Committed("a", None),
        Partial("a", " you."),
        Completed("a", transcript(" Thank you.")),
    ) == [
        {"type": "speech_started", "id": "a", "start": 4.8},
        {"type": "partial", "id": "a", "text": "Tank", "stable": "", "start": 4.8},
        {"type": "partial", "id": "a", "text": "Thank you", "stable": "Thank", "start": 4.8},
        {"type": "speech_stopped", "id": "a", "end": 6.5},
        {"type": "partial", "id": "a", "text": "Thank you.", "stable": "Thank you.", "start": 4.8},
        {
            "type": "final",
            "id": "a",
            "text": "Thank you.",
            "start": 5.0,
            "end": 6.0,
            "language": "en",
            "words": [{"word": "Thank you", "start": 5.0, "end": 5.5}],
        },
    ]


def test_texts_are_joined_as_their_language_has_it() -> None:
    english, chinese = Messages(words=False), Messages(words=False)
    said(english, Completed("a", transcript(" One.")), Completed("b", transcript(" Two.")))
    said(chinese, Completed("a", transcript("一。")), Completed("b", transcript("二。")))
    assert (english.text, chinese.text) == (" One. Two.", "一。二。")


def test_a_noise_is_no_line_unless_something_was_shown_of_it() -> None:
    messages = Messages(words=False)
    assert said(messages, SpeechStarted("a", 1.0), Completed("a", transcript()))[1:] == []
    (_, shown, gone) = said(
        messages, SpeechStarted("b", 2.0), Partial("b", "", "Hm"), Completed("b", transcript())
    )
    assert shown["text"] == "Hm"
    assert gone == {
        "type": "final",
        "id": "b",
        "text": "",
        "start": 2.0,
        "end": 6.0,
        "language": "en",
    }


def test_a_turn_that_fails_is_named() -> None:
    messages = Messages(words=False)
    *_, failed = said(
        messages,
        SpeechStarted("a", 1.0),
        Partial("a", "Hello"),
        Failed("a", EngineFailed("The model could not hear this.")),
    )
    assert (failed["type"], failed["id"]) == ("error", "a")
    assert failed["error"]["message"] == "The model could not hear this."
    assert messages.text == ""
