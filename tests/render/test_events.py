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


def test_a_speakers_segment_is_a_delta_with_its_id_and_then_the_segment() -> None:
    spoken = (Segment(0, 1, " Hi.", (1,)), Segment(1, 2, " Hello.", (1,), channel=1))
    diarized = events.Diarized(["Agent"])
    sent = b"".join(diarized.segment(each) for each in spoken)
    sent += diarized.done(Transcript("transcribe", "en", 2.0, spoken))
    bodies = [json.loads(line.removeprefix("data: ")) for line in sent.decode().split("\n\n")[:-1]]
    assert bodies[:4] == [
        {"type": "transcript.text.delta", "delta": "Agent: Hi.", "segment_id": "seg_001"},
        {
            "type": "transcript.text.segment",
            "id": "seg_001",
            "start": 0,
            "end": 1,
            "text": "Hi.",
            "speaker": "Agent",
        },
        {"type": "transcript.text.delta", "delta": "\nB: Hello.", "segment_id": "seg_002"},
        {
            "type": "transcript.text.segment",
            "id": "seg_002",
            "start": 1,
            "end": 2,
            "text": "Hello.",
            "speaker": "B",
        },
    ]
    assert bodies[4]["text"] == "Agent: Hi.\nB: Hello."
    assert bodies[4]["usage"]["type"] == "tokens"
