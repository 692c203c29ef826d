import json
from typing import Any

import pytest

from app.domain import Segment, TokenScore, Transcript, Word
from app.errors import EngineFailed
from app.openai import sse
from app.openai.model_families import family_of


def scored(*tokens: bytes) -> Segment:
    """A segment of these tokens; each has a score of its own."""
    scores = tuple(TokenScore(token, -len(token) / 8) for token in tokens)
    return Segment(0, 1, b"".join(tokens).decode(), (), token_scores=scores)


def body(event: bytes) -> dict[str, Any]:
    return dict(json.loads(event.removeprefix(b"data: ")))


SPOKEN = [
    [scored(b" Good"), scored(b" morning", b".")],
    [scored(b" Good", b" "), scored(b"morning", b".")],
    [scored(b""), scored(b" "), scored(b" ", b"a"), scored(b" ", b" "), scored(b" b", b" ")],
    [scored(b" Gr", b"\xc3", b"\xbc", b"\xc3\x9fe"), scored(b"\xe3\x80", b"\x80", b"")],
    [scored("你".encode(), "好".encode()), scored("世界".encode())],
    [],
]


@pytest.mark.parametrize("segments", SPOKEN)
def test_deltas_put_together_are_the_text(segments: list[Segment]) -> None:
    deltas = sse.Deltas(family_of("whisper-1"), with_scores=False)
    sent = [body(deltas.segment(each)) for each in segments]
    transcript = Transcript("transcribe", "en", 1.0, tuple(segments))
    assert "".join(each["delta"] for each in sent) == transcript.text
    assert not any("logprobs" in each for each in sent)


@pytest.mark.parametrize("segments", SPOKEN)
def test_each_delta_has_the_scores_of_its_own_text_and_the_end_has_all(
    segments: list[Segment],
) -> None:
    deltas = sse.Deltas(family_of("whisper-1"), with_scores=True)
    sent = [body(deltas.segment(each)) for each in segments]
    for each in sent:
        joined = b"".join(bytes(item["bytes"]) for item in each["logprobs"])
        assert joined.decode() == each["delta"]
    done = body(deltas.done(Transcript("transcribe", "en", 1.0, tuple(segments))))
    assert done["logprobs"] == [item for each in sent for item in each["logprobs"]]
    assert all(item["bytes"] for item in done["logprobs"]), "an empty token is no token"


def test_an_event_is_one_data_line() -> None:
    deltas = sse.Deltas(family_of("whisper-1"), with_scores=False)
    assert deltas.segment(Segment(0, 1, " a\nb", ())) == (
        b'data: {"type":"transcript.text.delta","delta":"a\\nb"}\n\n'
    )


def test_the_last_event_has_the_text_and_token_usage_whatever_the_model() -> None:
    segment = Segment(0, 1, " Hi.", (9, 1, 2, 9), language="en", text_token_count=2)
    transcript = Transcript("transcribe", "en", 1.0, (segment,))
    done = body(sse.Deltas(family_of("whisper-1"), with_scores=False).done(transcript))
    assert list(done) == ["type", "text", "usage"]
    assert (done["type"], done["text"]) == ("transcript.text.done", "Hi.")
    assert (done["usage"]["type"], done["usage"]["output_tokens"]) == ("tokens", 2)
    listing = body(sse.Deltas(family_of("gpt-transcribe"), with_scores=True).done(transcript))
    assert list(listing) == ["type", "text", "languages", "logprobs", "usage"]
    assert listing["languages"] == [{"code": "en"}]


def test_with_times_each_delta_has_those_of_its_segment_and_its_words() -> None:
    words = (Word(0.4, 0.72, " Good", 0.9), Word(0.72, 1.2504, " morning.", 0.9))
    segment = Segment(0.4, 1.2504, " Good morning.", (), words, language="en")
    deltas = sse.Deltas(family_of("starter"), with_scores=False, with_times=True, with_words=True)
    assert body(deltas.segment(segment)) == {
        "type": "transcript.text.delta",
        "delta": "Good morning.",
        "start": 0.4,
        "end": 1.25,
        "words": [
            {"word": "Good", "start": 0.4, "end": 0.72},
            {"word": "morning", "start": 0.72, "end": 1.25},
        ],
    }
    done = body(deltas.done(Transcript("transcribe", "en", 1.5, (segment,))))
    assert list(done) == ["type", "text", "language", "duration", "usage"]
    assert (done["language"], done["duration"]) == ("english", 1.5)


def test_a_failure_is_openais_error_object() -> None:
    assert body(sse.failure(EngineFailed("It broke."))) == {
        "error": {"message": "It broke.", "type": "server_error", "param": None, "code": None}
    }


def test_a_speakers_segment_is_a_delta_with_its_id_and_then_the_segment() -> None:
    spoken = (Segment(0, 1, " Hi.", (1,)), Segment(1, 2, " Hello.", (1,), speaker=1))
    diarized = sse.Diarized(["Agent"])
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
        {"type": "transcript.text.delta", "delta": "\nA: Hello.", "segment_id": "seg_002"},
        {
            "type": "transcript.text.segment",
            "id": "seg_002",
            "start": 1,
            "end": 2,
            "text": "Hello.",
            "speaker": "A",
        },
    ]
    assert bodies[4]["text"] == "Agent: Hi.\nA: Hello."
    assert bodies[4]["usage"]["type"] == "tokens"
