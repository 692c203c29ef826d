import json

import pytest

from app.domain import Segment, Transcript
from app.errors import EngineFailed
from app.render import events


@pytest.mark.parametrize(
    "texts",
    [
        [" Good", " morning."],
        [" Good ", "morning."],
        ["", " ", " a", "  ", " b "],
        ["你好", "世界"],
        [],
    ],
)
def test_deltas_put_together_are_the_text(texts: list[str]) -> None:
    deltas = events.Deltas()
    segments = tuple(Segment(0, 1, text, ()) for text in texts)
    sent = "".join(deltas.take(text) for text in texts)
    assert sent == Transcript("transcribe", "en", 1.0, segments).text


def test_an_event_is_one_data_line() -> None:
    assert events.text_delta("a\nb") == (
        b'data: {"type":"transcript.text.delta","delta":"a\\nb"}\n\n'
    )


def test_the_last_event_has_the_text_and_token_usage() -> None:
    done = events.text_done(Transcript("transcribe", "en", 1.0, (Segment(0, 1, " Hi.", (1, 2)),)))
    body = json.loads(done.removeprefix(b"data: "))
    assert body["type"] == "transcript.text.done"
    assert body["text"] == "Hi."
    assert body["usage"]["type"] == "tokens"


def test_a_failure_is_openais_error_object() -> None:
    body = json.loads(events.failure(EngineFailed("It broke.")).removeprefix(b"data: "))
    assert body == {
        "error": {"message": "It broke.", "type": "server_error", "param": None, "code": None}
    }
