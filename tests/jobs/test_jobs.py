"""Jobs over HTTP, as callers see them; the model is a fake, database and objects are real."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.fake_model import FakeModel
from app.jobs.store import JobStore
from tests.jobs.served_jobs import JOBS, SUPPORT_KEY, ServedJobs, served_jobs
from tests.openai.document import check
from tests.support.api_keys import SALES_KEY, bearer
from tests.support.client import CLIP, FAKE_TEXT, post_recording
from tests.support.served import fake_app, served
from tests.support.waiting import wait_until


def test_a_job_is_told_as_events_until_it_ends(jobs: ServedJobs) -> None:
    told: list[dict[str, Any]] = []
    jobs.model.gate.clear()
    try:
        id = jobs.submit()["id"]
        headers = bearer(SALES_KEY)
        url = f"{jobs.url}{JOBS}/{id}/events"
        assert httpx.get(url, headers=bearer(SUPPORT_KEY)).status_code == 404
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))
                    jobs.model.gate.set()
        assert answer.headers["content-type"].startswith("text/event-stream")
    finally:
        jobs.model.gate.set()
    assert told[0]["type"] in ("audio.job.queued", "audio.job.in_progress")
    assert told[-1]["type"] == "audio.job.completed"
    assert told[-1]["job"]["result"]["text"] == FAKE_TEXT


def test_a_recording_is_transcribed_after_the_answer(jobs: ServedJobs) -> None:
    answer = jobs.post(metadata=json.dumps({"call": "17"}))
    job = answer.json()
    assert (answer.status_code, job["status"], job["attempts"]) == (202, "queued", 0)
    assert job["input"]["filename"] == CLIP.name
    assert answer.headers["location"] == f"{JOBS}/{job['id']}"
    ended = jobs.ended(job["id"])
    assert ended["status"] == "completed", ended
    assert ended["result"] == {"text": FAKE_TEXT, "content": f"{JOBS}/{job['id']}/content"}
    assert ended["audio_seconds"] == pytest.approx(4.69, abs=0.01)
    assert (ended["attempts"], ended["metadata"], ended["error"]) == (1, {"call": "17"}, None)
    events = jobs.sql("SELECT type FROM events WHERE object_id = %s", job["id"])
    assert events == [("audio.job.completed",)]


def test_answers_are_as_documented(jobs: ServedJobs) -> None:
    created = jobs.post()
    check(created, JOBS)
    id = created.json()["id"]
    jobs.ended(id)
    for path in ("", f"/{id}", "/summary", f"/{id}/content"):
        documented = JOBS + path.replace(id, "{id}")
        check(jobs.send("GET", JOBS + path), documented, "get")
    check(jobs.send("POST", f"{JOBS}/{id}/cancel"), f"{JOBS}/{{id}}/cancel")
    check(jobs.send("DELETE", f"{JOBS}?status=failed"), JOBS, "delete")
    check(jobs.send("DELETE", f"{JOBS}/{id}"), f"{JOBS}/{{id}}", "delete")
    check(jobs.send("GET", f"{JOBS}/{id}"), f"{JOBS}/{{id}}", "get")
    file = jobs.client.files.create(file=CLIP, purpose="user_data").id
    for path in ("/v1/files", f"/v1/files/{file}", "/v1/batches"):
        check(jobs.send("GET", path), path.replace(file, "{id}"), "get")
    check(jobs.send("DELETE", f"/v1/files/{file}"), "/v1/files/{id}", "delete")
    body = {"input_file_id": jobs.batch_file("{}"), "endpoint": "/v1/audio/transcriptions"}
    batch = jobs.send("POST", "/v1/batches", json=body)
    check(batch, "/v1/batches")
    path = f"/v1/batches/{batch.json()['id']}"
    check(jobs.send("GET", path), "/v1/batches/{id}", "get")
    wait_until(lambda: jobs.get(path)["status"] in ("completed", "failed"))  # and writes no more


def test_a_file_that_was_uploaded_before_can_be_named_in_json(jobs: ServedJobs) -> None:
    file = jobs.client.files.create(file=CLIP, purpose="user_data")
    body = {"file": file.id, "model": "whisper-1", "temperature": 0.5, "task": "translate"}
    answer = jobs.send("POST", JOBS, json=body)
    assert answer.status_code == 202, answer.text
    job = jobs.ended(answer.json()["id"])
    assert (job["status"], job["task"]) == ("completed", "translate")
    assert job["input"] == {"type": "file", "file_id": file.id, "filename": CLIP.name}
    assert jobs.model.decode_options[-1].temperature == 0.5


def test_any_format_is_rendered_later(jobs: ServedJobs) -> None:
    id = jobs.submit(response_format="text")["id"]
    jobs.ended(id)
    assert jobs.content(id).text == f"{FAKE_TEXT}\n"
    assert jobs.content(id, "response_format=json").json()["text"] == FAKE_TEXT
    verbose = jobs.content(id, "response_format=verbose_json&timestamp_granularities[]=word")
    assert verbose.json()["duration"] == pytest.approx(4.69, abs=0.01)
    assert "words" in verbose.json()
    assert jobs.content(id, "response_format=srt").text.startswith("1\n00:00:0")
    assert jobs.content(id, "response_format=vtt").text.startswith("WEBVTT")
    wrong = jobs.content(id, "response_format=docx")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "response_format")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"stream": "true"}, "stream"),
        ({"completion_window": "9000h"}, "completion_window"),
        ({"priority": "high"}, "priority"),
        ({"task": "summarise"}, "task"),
        ({"metadata": json.dumps({"a": "\0"})}, "metadata"),
        ({"metadata": json.dumps({str(n): "x" for n in range(17)})}, "metadata"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"prompt": "x" * 40_000, "what": "x" * 30_000}, "prompt"),
        ({"model": "no-such"}, "model"),
    ],
)
def test_a_wrong_field_is_named_and_leaves_no_object(
    jobs: ServedJobs, fields: dict[str, Any], param: str
) -> None:
    before = jobs.stored()
    answer = post_recording(jobs.url, CLIP, JOBS, key=SALES_KEY, **fields)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"] == param
    assert jobs.stored() <= before


def test_what_is_no_recording_fails_with_the_words_of_the_synchronous_route(
    jobs: ServedJobs,
) -> None:
    recording = ("a.wav", b"RIFF\x00\x01\x02 no sound at all" * 20)
    job = post_recording(jobs.url, recording, JOBS, key="x").json()
    assert job["error"]["code"] == "invalid_api_key"
    answers = [
        post_recording(jobs.url, recording, path, key=SALES_KEY)
        for path in (JOBS, "/v1/audio/transcriptions")
    ]
    ended = jobs.ended(answers[0].json()["id"])
    assert (ended["status"], ended["attempts"], ended["result"]) == ("failed", 1, None)
    assert ended["error"] == answers[1].json()["error"]
    assert jobs.content(ended["id"]).status_code == 409


def test_an_empty_file_and_a_missing_one_are_refused(jobs: ServedJobs) -> None:
    empty = post_recording(jobs.url, ("a.wav", b""), JOBS, key=SALES_KEY)
    assert (empty.status_code, empty.json()["error"]["param"]) == (400, "file")
    missing = jobs.send("POST", JOBS, json={"model": "whisper-1"})
    assert missing.json()["error"]["code"] == "missing_required_parameter"
    unknown = jobs.send("POST", JOBS, json={"model": "whisper-1", "file": "file-no"})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "file")
    long = jobs.send("POST", JOBS, json={"model": "whisper-1", "prompt": "x" * 70_000})
    assert long.status_code == 413


def test_an_idempotency_key_makes_one_job_of_equal_requests(jobs: ServedJobs) -> None:
    before = jobs.stored()
    headers = {"idempotency-key": "call 17"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: jobs.post(headers=headers), range(4)))
    assert sorted(each.status_code for each in answers) == [200, 200, 200, 202]
    assert len({each.json()["id"] for each in answers}) == 1
    assert len({key for key in jobs.stored() - before if key.startswith("uploads/")}) == 1
    other = jobs.post(headers=headers, language="de")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert jobs.post(SUPPORT_KEY, headers=headers).status_code == 202


def test_jobs_belong_to_the_key_that_made_them(jobs: ServedJobs) -> None:
    id = jobs.submit()["id"]
    jobs.ended(id)
    for method, path in (
        ("GET", ""),
        ("GET", "/content"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    ):
        answer = jobs.send(method, f"{JOBS}/{id}{path}", SUPPORT_KEY)
        assert answer.status_code == 404, (method, path)
    body = {"file": jobs.get(f"{JOBS}/{id}")["input"]["file_id"], "model": "whisper-1"}
    assert jobs.send("POST", JOBS, SUPPORT_KEY, json=body).status_code == 404
    assert id not in [each["id"] for each in jobs.get(JOBS, SUPPORT_KEY)["data"]]


def test_lists_have_pages_and_filters(jobs: ServedJobs) -> None:
    ids = [jobs.submit(metadata=json.dumps({"page": str(n)}))["id"] for n in range(3)]
    for id in ids:
        jobs.ended(id)
    first = jobs.get(f"{JOBS}?limit=2")
    assert [each["id"] for each in first["data"]] == [ids[2], ids[1]]
    assert first["has_more"]
    second = jobs.get(f"{JOBS}?limit=1&after={first['last_id']}")
    assert second["data"][0]["id"] == ids[0]
    found = jobs.get(f"{JOBS}?metadata[page]=1&status=completed")
    assert [each["id"] for each in found["data"]] == [ids[1]]
    large = ("limit=000000001000", "limit=000000001" + "0" * 5000)
    for query in ("limit=0", "limit=x", *large, "order=up", "status=lost"):
        assert jobs.send("GET", f"{JOBS}?{query}").status_code == 400
    assert jobs.send("GET", f"{JOBS}?after=job-no").status_code == 404
    assert jobs.send("GET", f"{JOBS}?batch_id=%00").status_code == 400
    assert jobs.send("GET", f"{JOBS}/%00").status_code == 400


def test_waiting_jobs_are_counted_cancelled_and_cleared(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = FakeModel()
    objects = tmp_path_factory.mktemp("objects")
    with served_jobs(new_database(), objects, model, concurrency=1) as jobs:
        model.gate.clear()
        ids = [jobs.submit()["id"] for _ in range(5)]
        wait_until(model.started.is_set)
        assert jobs.get(f"{JOBS}/{ids[3]}")["queue"]["position"] == 2
        summary = jobs.get(f"{JOBS}/summary")
        assert (summary["counts"]["in_progress"], summary["counts"]["queued"]) == (1, 4)
        assert summary["queued_audio_seconds"] > 0

        in_use = jobs.get(f"{JOBS}/{ids[0]}")["input"]["file_id"]
        assert jobs.send("DELETE", f"/v1/files/{in_use}").status_code == 404, "of a job"
        assert jobs.send("POST", f"{JOBS}/{ids[1]}/cancel").json()["status"] == "cancelled"
        cleared = jobs.send("DELETE", f"{JOBS}?status=queued").json()
        assert cleared == {"object": "audio.job.list", "cancelled": 3, "deleted": 0}
        # The one that runs stops, though the device is still busy with its window.
        assert jobs.send("POST", f"{JOBS}/{ids[0]}/cancel").json()["status"] == "cancelled"
        last = jobs.submit()["id"]
        model.gate.set()
        assert jobs.ended(last)["status"] == "completed"

        assert jobs.send("DELETE", f"{JOBS}?status=cancelled").json()["deleted"] == 5
        assert jobs.send("DELETE", f"{JOBS}/{last}").json()["deleted"] is True
        assert jobs.send("GET", f"{JOBS}/{last}").status_code == 404
        wait_until(lambda: jobs.stored() == set())
        types = jobs.sql("SELECT type, count(*) FROM events GROUP BY type ORDER BY type")
        assert types == [("audio.job.cancelled", 5), ("audio.job.completed", 1)]


def test_a_caller_may_not_fill_the_queue(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    objects = tmp_path_factory.mktemp("objects")
    with served_jobs(new_database(), objects, max_queued_seconds=20, role="api") as jobs:
        assert [jobs.post().status_code for _ in range(3)] == [202, 202, 429]
        refused = jobs.post()
        assert refused.headers["retry-after"] == "60"
        assert [jobs.post(SUPPORT_KEY).status_code for _ in range(3)] == [202] * 3, "its key's own"
        assert len(jobs.stored()) == 5


def test_a_process_that_runs_no_jobs_keeps_house(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    """While nothing waits there may be no workers."""
    with served_jobs(new_database(), tmp_path, role="api") as jobs:
        id = jobs.submit()["id"]
        jobs.sql("UPDATE jobs SET status = 'in_progress', beat_at = now() - interval '1 hour'")
        wait_until(lambda: jobs.get(f"{JOBS}/{id}")["status"] == "queued")


def test_a_part_that_fails_unforeseen_runs_again_and_the_others_go_on(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    async def failing(store: JobStore) -> None:
        runs.append("figures")
        raise ZeroDivisionError

    monkeypatch.setattr("app.jobs.jobs.keep_figures", failing)
    monkeypatch.setattr("app.jobs.jobs.RESTART_SECONDS", 0.1)
    with served_jobs(new_database(), tmp_path) as jobs:
        assert jobs.ended(jobs.submit()["id"])["status"] == "completed"
        wait_until(lambda: len(runs) > 1)


def test_without_a_database_jobs_are_refused_and_requests_served(tmp_path: Path) -> None:
    nowhere = f"postgresql://postgres@/postgres?host={tmp_path}"
    settings = {"enabled": True, "database": nowhere, "objects": tmp_path.as_uri()}
    with served(fake_app(FakeModel(), jobs=settings)) as url:
        refused = post_recording(url, CLIP, JOBS)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert post_recording(url).json()["text"] == FAKE_TEXT
    assert not [path for path in tmp_path.rglob("uploads/*") if path.is_file()]


def test_without_jobs_there_are_no_routes() -> None:
    paths = {getattr(route, "path", "") for route in fake_app(FakeModel()).routes}
    assert not paths & {JOBS, "/v1/files", "/v1/batches"}
