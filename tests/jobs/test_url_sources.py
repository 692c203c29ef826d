"""Jobs whose recordings are at urls, and whose ends are told to a url of their own."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.engine.fake_model import FakeModel
from app.jobs import runner
from tests.jobs.served_jobs import JOBS, SUPPORT_KEY, ServedJobs, served_jobs
from tests.support.client import CLIP, FAKE_TEXT
from tests.support.waiting import wait_until
from tests.support.web_server import Answer, Received, WebServer

LINE = {"method": "POST", "url": "/v1/audio/transcriptions"}


class Host:
    """A host of recordings, and of a receiver of webhooks; it fails when it is told to."""

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.server = WebServer(self._answer)

    def _answer(self, request: Received) -> Answer:
        if request.method == "POST":
            return Answer(204)
        if request.path == "/missing.wav":
            return Answer(404, b"secret")
        if self.failures:
            return Answer(self.failures.pop(), b"secret")
        return Answer(body=CLIP.read_bytes())

    def url(self, path: str) -> str:
        return self.server.url + path

    def received(self, path: str) -> list[Received]:
        return [each for each in self.server.received if each.path == path]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    with host.server:
        yield host


@pytest.fixture(scope="module")
def jobs(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory, host: Host
) -> Iterator[ServedJobs]:
    rules = {
        "enabled": True,
        "schemes": ["http"],
        "ports": [host.server.port],
        "allow": ["127.0.0.1"],
    }
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(runner, "RETRY_BASE", 0.1)
        objects = tmp_path_factory.mktemp("objects")
        with served_jobs(new_database(), objects, fetch=rules) as running:
            yield running


def submit(jobs: ServedJobs, **fields: Any) -> dict[str, Any]:
    answer = jobs.send("POST", JOBS, json={"model": "whisper-1", **fields})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_a_recording_is_fetched_when_its_job_runs(jobs: ServedJobs, host: Host) -> None:
    url = host.url("/a.wav?signature=1")
    job = submit(jobs, url=url)
    ended = jobs.ended(job["id"])
    assert (ended["status"], ended["result"]["text"]) == ("completed", FAKE_TEXT)
    assert ended["input"] == job["input"] == {"type": "url", "url": url}
    assert ended["audio_seconds"] == pytest.approx(4.69, abs=0.01)
    by_form = jobs.send("POST", JOBS, data={"model": "whisper-1", "file_url": url})
    assert jobs.ended(by_form.json()["id"])["status"] == "completed"


def test_headers_are_sent_to_the_host_and_kept_secret_only_until_the_end(
    jobs: ServedJobs, host: Host
) -> None:
    model: FakeModel = jobs.model
    model.gate.clear()
    try:
        headers = {"Authorization": "Bearer very-secret"}
        job = submit(jobs, url=host.url("/private.wav"), url_headers=headers)
        wait_until(lambda: bool(host.received("/private.wav")))
        [[sealed]] = jobs.sql("SELECT url_headers FROM jobs WHERE id = %s", job["id"])
        assert sealed
        row = jobs.sql("SELECT jobs::text FROM jobs WHERE id = %s", job["id"])
        assert "very-secret" not in str(row) + json.dumps(job)
    finally:
        model.gate.set()
    assert "very-secret" not in json.dumps(jobs.ended(job["id"]))
    [request] = host.received("/private.wav")
    assert request.headers["authorization"] == "Bearer very-secret"
    assert jobs.sql("SELECT url_headers FROM jobs WHERE id = %s", job["id"]) == [(None,)]


def test_a_host_that_fails_is_asked_again_and_one_that_has_nothing_is_not(
    jobs: ServedJobs, host: Host
) -> None:
    host.failures = [503]
    ended = jobs.ended(submit(jobs, url=host.url("/later.wav"))["id"])
    assert (ended["status"], ended["attempts"]) == ("completed", 2)
    ended = jobs.ended(submit(jobs, url=host.url("/missing.wav"))["id"])
    assert (ended["status"], ended["attempts"]) == ("failed", 1)
    assert ended["error"]["param"] == "url"
    assert "status 404" in ended["error"]["message"]
    assert "secret" not in json.dumps(ended)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "s3://bucket/a.wav"}, "url"),
        ({"url": "https://a.example/\0"}, "url"),
        ({"url": "{host}", "file": "file-1"}, "url"),
        ({"url": "{host}", "url_headers": {"Host": "a"}}, "url_headers"),
        ({"url": "{host}", "url_headers": {"A": "b\r\nc: d"}}, "url_headers"),
        ({"url": "{host}", "url_headers": {"a b": "c"}}, "url_headers"),
        ({"url": "{host}", "url_headers": {"A": 5}}, "url_headers"),
        ({"url": "{host}", "url_headers": "text"}, "url_headers"),
        ({"url_headers": {"A": "b"}}, "url_headers"),
        ({"url": "{host}", "webhook_url": "https://10.0.0.1/"}, "webhook_url"),
        ({"url": "{host}", "webhook_url": "{host}"}, "webhook_url"),
        ({}, "file"),
    ],
)
def test_what_could_never_be_fetched_or_told_is_no_job(
    jobs: ServedJobs, host: Host, fields: dict[str, Any], param: str
) -> None:
    body = {
        name: host.url("/a.wav") if value == "{host}" else value for name, value in fields.items()
    }
    answer = jobs.send("POST", JOBS, SUPPORT_KEY, json={"model": "whisper-1", **body})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_the_end_of_a_job_is_told_to_its_own_url(jobs: ServedJobs, host: Host) -> None:
    default: Any = jobs.client.webhooks.rotate_secret("default")
    assert jobs.client.webhooks.list().data == []
    job = submit(jobs, url=host.url("/a.wav"), webhook_url=host.url("/told"))
    jobs.ended(submit(jobs, url=host.url("/a.wav"))["id"])  # this one is told to nobody
    wait_until(lambda: bool(host.received("/told")))
    [request] = host.received("/told")
    secret = default.signing_secret
    event: Any = jobs.client.webhooks.unwrap(request.body, request.headers, secret=secret)
    assert (event.type, event.data.id) == ("audio.job.completed", job["id"])
    path = "/v1/webhook_endpoints/default/deliveries"
    wait_until(lambda: jobs.get(path)["data"][0]["delivered_at"] is not None)
    assert len(jobs.get(path)["data"]) == 1


def test_lines_of_batches_have_urls_too(jobs: ServedJobs, host: Host) -> None:
    arguments: Any = {"endpoint": LINE["url"], "completion_window": "24h"}

    def ended(*bodies: dict[str, str]) -> Any:
        lines = [
            {"custom_id": str(number), **LINE, "body": {"model": "whisper-1", **body}}
            for number, body in enumerate(bodies)
        ]
        batch = jobs.client.batches.create(input_file_id=jobs.batch_file(*lines), **arguments)

        def is_over() -> bool:
            return jobs.client.batches.retrieve(batch.id).status in ("completed", "failed")

        wait_until(is_over)
        return jobs.client.batches.retrieve(batch.id)

    batch = ended({"url": host.url("/a.wav")}, {"file_url": host.url("/missing.wav")})
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
    [line] = jobs.client.files.content(batch.output_file_id).text.splitlines()
    assert json.loads(line)["response"]["body"]["text"] == FAKE_TEXT
    batch = ended({"url": "https://10.0.0.1/a.wav"}, {"url": host.url("/a.wav"), "file": "file-1"})
    assert batch.status == "failed"
    assert [(each.code, each.line) for each in batch.errors.data] == [
        ("invalid_url", 1),
        ("missing_required_parameter", 2),
    ]
