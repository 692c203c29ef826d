"""The whole application around a model that can be made to fail."""

from contextlib import AbstractContextManager

from starlette.testclient import TestClient

from app.engine.fake_model import SHORT_WINDOWS, FakeModel
from tests.support.client import events
from tests.support.recordings import load_sample, wav
from tests.support.served import fake_app, in_process

CALL = wav(load_sample("08_long_call.flac"))


def app_with(fails_at: int) -> AbstractContextManager[TestClient]:
    """The device fails on one window of several."""
    model = FakeModel(
        max_batch_size=1,
        profile=SHORT_WINDOWS,
        fails_at={fails_at},
        error=RuntimeError("/secret/device"),
    )
    return in_process(fake_app(model))


def ask(client: TestClient, **fields: str):  # type: ignore[no-untyped-def]
    return client.post(
        "/v1/audio/transcriptions",
        files={"file": ("call.wav", CALL)},
        data={"model": "whisper-1", "language": "en", **fields},
    )


def test_a_failure_in_the_middle_of_a_stream_is_an_event() -> None:
    with app_with(fails_at=3) as client:
        answer = ask(client, stream="true")
    assert answer.status_code == 200
    sent = events(answer.text)
    assert [each.get("type") for each in sent] == ["transcript.text.delta"] * 2 + [None]
    assert sent[-1]["error"]["type"] == "server_error"
    assert "/secret" not in answer.text


def test_a_failure_before_the_first_words_of_a_stream_has_a_status() -> None:
    with app_with(fails_at=1) as client:
        answer = ask(client, stream="true")
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert answer.headers["x-request-id"].startswith("req_")


def test_after_a_failure_the_next_request_is_served() -> None:
    with app_with(fails_at=1) as client:
        assert ask(client).status_code == 500
        assert ask(client).status_code == 200
