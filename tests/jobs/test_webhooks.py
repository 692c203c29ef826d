"""Webhooks by OpenAI's own client: endpoints, and real deliveries to a receiver on this machine."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from app.jobs import deliveries, delivery_table
from tests.jobs.served_jobs import SUPPORT_KEY, ServedJobs, served_jobs
from tests.support.api_keys import SALES_KEY
from tests.support.client import CLIP, FAKE_TEXT
from tests.support.live_server import ROOT
from tests.support.programs import require
from tests.support.waiting import wait_until
from tests.support.web_server import Answer, Received, WebServer, redirect

ENDPOINTS = "/v1/webhook_endpoints"
NODE = ROOT / "tests" / "conformance" / "node" / "webhooks.mjs"
JOB_EVENTS: Any = ["audio.job.completed", "audio.job.failed"]


class Receiver:
    """A program that receives webhooks: a path for each endpoint, with the statuses it answers
    before it answers 200."""

    def __init__(self) -> None:
        self.statuses: dict[str, list[int]] = {}
        self.server = WebServer(self._answer)

    def _answer(self, request: Received) -> Answer:
        left = self.statuses.get(request.path, [])
        status = left.pop(0) if left else 200
        return redirect("/elsewhere", status) if 300 <= status < 400 else Answer(status, b"secret")

    def url(self, path: str) -> str:
        return self.server.url + path

    def received(self, path: str, count: int = 1) -> list[Received]:
        """What came to the path, once there are so many."""
        wait_until(lambda: len(self._at(path)) >= count, 30)
        return self._at(path)

    def _at(self, path: str) -> list[Received]:
        return [each for each in self.server.received if each.path == path]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.server.__enter__()
    yield receiver
    receiver.server.__exit__(None, None, None)


@pytest.fixture(scope="module")
def jobs(
    new_database: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
) -> Iterator[ServedJobs]:
    """A server that is quick to retry, and may post to the receiver."""
    rules = {"schemes": ["http"], "ports": [receiver.server.port], "allow": ["127.0.0.1"]}
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(delivery_table, "RETRY_SECONDS", (0.05,) * 3)
        patches.setattr(deliveries, "LOOK_SECONDS", 0.1)
        objects = tmp_path_factory.mktemp("objects")
        with served_jobs(new_database(), objects, fetch=rules) as running:
            yield running


def create(jobs: ServedJobs, url: str, *types: str) -> Any:
    events: Any = types or JOB_EVENTS
    return jobs.client.webhooks.create(name="calls", url=url, event_types=events)


def unwrapped(request: Received, secret: str) -> Any:
    with OpenAI(api_key="any") as client:
        return client.webhooks.unwrap(request.body, request.headers, secret=secret)


def listed(jobs: ServedJobs, endpoint: str, count: int = 1) -> list[dict[str, Any]]:
    """Deliveries, once so many have ended."""

    def found() -> list[dict[str, Any]]:
        data = jobs.get(f"{ENDPOINTS}/{endpoint}/deliveries")["data"]
        return [each for each in data if each["next_attempt_at"] is None]

    wait_until(lambda: len(found()) >= count, 30)
    return found()


def test_the_client_makes_lists_changes_and_deletes_endpoints(
    jobs: ServedJobs, receiver: Receiver
) -> None:
    client = jobs.client
    created = create(jobs, receiver.url("/a"))
    assert created.signing_secret.startswith("whsec_")
    assert created.signing_secret_hint == f"whsec_...{created.signing_secret[-4:]}"
    found = client.webhooks.retrieve(created.id)
    assert "signing_secret" not in found.to_dict()
    assert (found.object, found.name, found.url) == ("webhook_endpoint", "calls", created.url)
    assert found.event_types == JOB_EVENTS
    assert found.updated_at == found.created_at
    other = create(jobs, receiver.url("/b"), "batch.completed", "batch.completed")
    assert other.event_types == ["batch.completed"]
    page = client.webhooks.list(limit=1)
    assert [each.id for each in page.data] == [other.id]  # the newest first
    assert [each.id for each in page.get_next_page().data] == [created.id]
    changed = client.webhooks.update(created.id, name="all calls", event_types=["batch.failed"])
    assert (changed.name, changed.url) == ("all calls", created.url)
    assert changed.event_types == ["batch.failed"]
    assert set(client.webhooks.event_types.list().data) > {"batch.completed", *JOB_EVENTS}
    for id in (created.id, other.id):
        deleted = client.webhooks.delete(id)
        assert (deleted.id, deleted.object, deleted.deleted) == (
            id,
            "webhook_endpoint.deleted",
            True,
        )
        with pytest.raises(openai.NotFoundError):
            client.webhooks.retrieve(id)


def test_an_endpoint_is_its_owners_alone(jobs: ServedJobs, receiver: Receiver) -> None:
    id = create(jobs, receiver.url("/mine")).id
    for method, path, body in (
        ("GET", id, None),
        ("POST", id, {"name": "x"}),
        ("DELETE", id, None),
        ("POST", f"{id}/test", {"event_type": "batch.completed"}),
        ("POST", f"{id}/rotate_secret", {}),
        ("GET", f"{id}/deliveries", None),
    ):
        answer = jobs.send(method, f"{ENDPOINTS}/{path}", SUPPORT_KEY, json=body)
        assert (answer.status_code, method, path) == (404, method, path)
    assert jobs.get(ENDPOINTS, SUPPORT_KEY)["data"] == []
    job = jobs.submit(SUPPORT_KEY)
    jobs.ended(job["id"], SUPPORT_KEY)
    mine = jobs.submit()["id"]
    [request] = receiver.received("/mine")
    assert json.loads(request.body)["data"] == {"id": mine}
    jobs.client.webhooks.delete(id)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": 5}, "url"),
        ({"url": None}, "url"),
        ({"name": ""}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["response.completed"]}, "event_types.0"),
        ({"event_types": "batch.completed"}, "event_types"),
    ],
)
def test_an_endpoint_that_cannot_work_gets_a_400(
    jobs: ServedJobs, receiver: Receiver, changes: dict[str, Any], param: str
) -> None:
    body = {"name": "n", "url": receiver.url("/x"), "event_types": JOB_EVENTS, **changes}
    answer = jobs.send("POST", ENDPOINTS, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_an_ended_job_is_told_signed_and_thin(jobs: ServedJobs, receiver: Receiver) -> None:
    endpoint = create(jobs, receiver.url("/told"))
    create(jobs, receiver.url("/batches"), "batch.completed")
    job = jobs.submit()
    [request] = receiver.received("/told")
    event = unwrapped(request, endpoint.signing_secret)
    assert (event.type, event.data.id) == ("audio.job.completed", job["id"])
    body = json.loads(request.body)
    assert set(body) == {"id", "object", "type", "created_at", "data"}
    assert body["data"] == {"id": job["id"]}
    assert FAKE_TEXT not in request.body.decode()
    assert request.headers["webhook-id"] == body["id"]
    assert request.method == "POST"
    for name, value in (("id", "evt_x"), ("timestamp", "1"), ("signature", "v1,AAAA")):
        changed = Received("", "", {**request.headers, f"webhook-{name}": value}, request.body)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            unwrapped(changed, endpoint.signing_secret)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(
            Received("", "", request.headers, request.body.replace(b"completed", b"failed")),
            endpoint.signing_secret,
        )
    [delivery] = listed(jobs, endpoint.id)
    assert (delivery["event_id"], delivery["attempts"]) == (body["id"], 1)
    assert delivery["last_status"] == 200
    assert delivery["delivered_at"] is not None
    assert receiver._at("/batches") == []
    secrets = jobs.sql("SELECT secret FROM webhook_endpoints")
    assert endpoint.signing_secret[6:] not in str(secrets)


@contextmanager
def node_program() -> Iterator[Callable[[object], Any]]:
    """Sends a value to webhooks.mjs, and returns its answer."""
    with subprocess.Popen(
        [require("node"), str(NODE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:

        def ask(value: object) -> Any:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(json.dumps(value) + "\n")
            program.stdin.flush()
            return json.loads(program.stdout.readline())

        try:
            yield ask
        finally:
            program.kill()


def test_a_batch_is_told_as_the_clients_know_it(jobs: ServedJobs, receiver: Receiver) -> None:
    endpoint = create(jobs, receiver.url("/batch"), "batch.completed", "batch.failed")
    with node_program() as ask:
        url = receiver.url("/node")
        told = ask({"baseURL": f"{jobs.url}/v1", "key": SALES_KEY, "url": url})
        id = told["made"]["id"]
        assert (told["made"]["url"], told["made"]["event_types"]) == (url, ["batch.completed"])
        assert told["changed"]["name"] == told["found"]["name"] == "all nights"
        assert {id, endpoint.id} <= set(told["listed"])
        batch = batch_with_one_line(jobs)
        [request] = receiver.received("/batch")
        event = unwrapped(request, endpoint.signing_secret)
        assert (event.type, event.data.id) == ("batch.completed", batch)
        assert type(event).__name__ == "BatchCompletedWebhookEvent"
        [request] = receiver.received("/node")
        told = ask({"body": request.body.decode(), "headers": dict(request.headers)})
    events = [json.loads(request.body)] * 2
    assert told["events"] == events, "by the secret before its rotation, and by that after it"
    assert events[0]["data"] == {"id": batch}
    assert told["forged"] == "InvalidWebhookSignatureError"
    assert (told["tested"]["status_code"], told["deleted"]) == (200, True)


def batch_with_one_line(jobs: ServedJobs) -> str:
    file = jobs.client.files.create(file=CLIP, purpose="user_data").id
    line = {"custom_id": "1", "method": "POST", "url": "/v1/audio/transcriptions"}
    input_file = jobs.batch_file({**line, "body": {"file": file, "model": "whisper-1"}})
    arguments: Any = {"endpoint": "/v1/audio/transcriptions", "completion_window": "24h"}
    batch = jobs.client.batches.create(input_file_id=input_file, **arguments)
    return batch.id


def test_a_receiver_that_fails_gets_the_same_event_again(
    jobs: ServedJobs, receiver: Receiver
) -> None:
    endpoint = create(jobs, receiver.url("/failing"))
    receiver.statuses["/failing"] = [503, 302]
    jobs.submit()
    requests = receiver.received("/failing", 3)
    assert len({each.headers["webhook-id"] for each in requests}) == 1
    assert len({each.body for each in requests}) == 1
    for each in requests:
        unwrapped(each, endpoint.signing_secret)
    [delivery] = listed(jobs, endpoint.id)
    assert (delivery["attempts"], delivery["last_status"]) == (3, 200)
    assert receiver._at("/elsewhere") == []  # no redirect is followed
    # One that never gets well is given up.
    receiver.statuses["/failing"] = [500] * 100
    jobs.submit()
    last, *_ = listed(jobs, endpoint.id, 2)
    assert (last["attempts"], last["last_status"], last["delivered_at"]) == (4, 500, None)
    jobs.client.webhooks.delete(endpoint.id)


def test_a_receiver_that_was_down_is_told_when_it_is_up(
    jobs: ServedJobs, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_table, "RETRY_SECONDS", (0.2,) * 200)
    endpoint = create(jobs, receiver.url("/down"))
    port = receiver.server.port
    receiver.server.__exit__(None, None, None)
    job = jobs.submit()["id"]
    jobs.ended(job)
    found: list[dict[str, Any]] = []

    def is_retried() -> bool:
        found[:] = jobs.get(f"{ENDPOINTS}/{endpoint.id}/deliveries")["data"]
        return bool(found[0]["attempts"] >= 2)

    wait_until(is_retried)
    assert found[0]["last_status"] is None
    before = receiver.server.received
    receiver.server = WebServer(receiver._answer, port=port)
    receiver.server.received = before
    receiver.server.__enter__()
    event = unwrapped(receiver.received("/down")[0], endpoint.signing_secret)
    assert event.data.id == job
    jobs.client.webhooks.delete(endpoint.id)


def test_a_receiver_that_is_gone_is_told_nothing_until_the_endpoint_is_changed(
    jobs: ServedJobs, receiver: Receiver
) -> None:
    endpoint = create(jobs, receiver.url("/gone"))
    receiver.statuses["/gone"] = [410]
    jobs.submit()
    [delivery] = listed(jobs, endpoint.id)
    assert (delivery["attempts"], delivery["last_status"]) == (1, 410)
    assert jobs.get(f"{ENDPOINTS}/{endpoint.id}")["disabled_at"] is not None
    jobs.ended(jobs.submit()["id"])
    assert len(receiver._at("/gone")) == 1
    jobs.client.webhooks.update(endpoint.id, name="calls")
    assert jobs.get(f"{ENDPOINTS}/{endpoint.id}")["disabled_at"] is None
    jobs.submit()
    assert len(receiver.received("/gone", 2)) == 2
    jobs.client.webhooks.delete(endpoint.id)


def test_for_a_day_after_a_rotation_both_secrets_sign(jobs: ServedJobs, receiver: Receiver) -> None:
    old = create(jobs, receiver.url("/rotated"))
    webhooks = jobs.client.webhooks
    new = webhooks.rotate_secret(old.id, keep_old_secret_active_for_24_hours=True)
    assert new.signing_secret != old.signing_secret
    jobs.submit()
    [request] = receiver.received("/rotated")
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (old.signing_secret, new.signing_secret):
        unwrapped(request, secret)
    until = "SELECT old_secret_until - now() > interval '23 hours' FROM webhook_endpoints"
    assert jobs.sql(f"{until} WHERE id = %s", old.id) == [(True,)]
    ended = "UPDATE webhook_endpoints SET old_secret_until = now() WHERE id = %s"
    jobs.sql(ended, old.id)
    jobs.submit()
    _, request = receiver.received("/rotated", 2)
    unwrapped(request, new.signing_secret)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(request, old.signing_secret)
    newest = webhooks.rotate_secret(old.id)
    tested = webhooks.test(old.id, event_type="batch.completed")
    assert (tested.status_code, tested.event_type, tested.success) == (
        200,
        "batch.completed",
        True,
    )
    *_, request = receiver.received("/rotated", 3)
    event = unwrapped(request, newest.signing_secret)
    assert (event.type, event.data.id) == ("batch.completed", "batch_test")
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(request, new.signing_secret)
    webhooks.delete(old.id)


def test_a_test_tells_the_status_and_nothing_else(jobs: ServedJobs, receiver: Receiver) -> None:
    endpoint = create(jobs, receiver.url("/tested"))
    receiver.statuses["/tested"] = [418]
    answer = jobs.send(
        "POST", f"{ENDPOINTS}/{endpoint.id}/test", json={"event_type": "audio.job.failed"}
    )
    assert answer.json()["status_code"] == 418
    assert "secret" not in answer.text
    jobs.client.webhooks.delete(endpoint.id)


def test_without_a_key_no_secret_is_kept(new_database: Callable[[], str], tmp_path: Path) -> None:
    with served_jobs(new_database(), tmp_path, signing_key=None) as jobs:
        body = {"name": "n", "url": "https://example.com/", "event_types": JOB_EVENTS}
        answer = jobs.send("POST", ENDPOINTS, json=body)
        assert answer.status_code == 400
        assert "VERBATIM_ACCESS__SIGNING_KEY" in answer.json()["error"]["message"]
