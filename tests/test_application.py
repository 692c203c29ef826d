"""The whole application around a model that can be made to fail."""

import json

from starlette.testclient import TestClient

from tests.support.fakes import FakeModel
from tests.support.recordings import load_sample, wav
from tests.support.served import fake_app

CALL = wav(load_sample("08_long_call.flac"))


class Counting(FakeModel):
    """Numbers the windows in the order they are decoded, and fails on one of them."""

    fails_at = 0
    count = 0

    def decode(self, jobs, options):  # type: ignore[no-untyped-def]
        self.count += 1
        if self.count == self.fails_at:
            raise RuntimeError("/secret/device")
        return super().decode(jobs, options)


def app_with(fails_at: int) -> TestClient:
    model = Counting(max_batch_size=1)
    model.fails_at = fails_at
    model.profile = model.profile.model_copy(update={"window_seconds": 8.0, "max_gap_seconds": 0.3})
    return TestClient(fake_app(model))


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
    events = [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n") if each]
    assert [each.get("type") for each in events] == ["transcript.text.delta"] * 2 + [None]
    assert events[-1]["error"]["type"] == "server_error"
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
