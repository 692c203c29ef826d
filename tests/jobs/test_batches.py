"""Batches and files through OpenAI's own client; the model is a fake, the rest is real."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Batch
from psycopg.rows import DictRow

from app.jobs.batch_expansion import BatchExpander
from app.jobs.batch_lines import Line
from app.jobs.objects import Objects, StoreUnavailable
from tests.jobs.served_jobs import JOBS, SUPPORT_KEY, SUPPORT_SECONDS, ServedJobs
from tests.support.client import CLIP, FAKE_TEXT
from tests.support.waiting import wait_until

TRANSCRIPTIONS = "/v1/audio/transcriptions"


def line(custom_id: str, file: str, **body: Any) -> dict[str, Any]:
    fields = {"model": "whisper-1", "file": file, **body}
    return {"custom_id": custom_id, "method": "POST", "url": TRANSCRIPTIONS, "body": fields}


def started(jobs: ServedJobs, input_file: str, **options: Any) -> Batch:
    return jobs.client.batches.create(
        input_file_id=input_file,
        endpoint=TRANSCRIPTIONS,  # type: ignore[arg-type]
        completion_window="24h",
        **options,
    )


def ended(jobs: ServedJobs, batch: Batch) -> Batch:
    def is_over() -> bool:
        status = jobs.client.batches.retrieve(batch.id).status
        return status in ("completed", "failed", "cancelled", "expired")

    wait_until(is_over)
    return jobs.client.batches.retrieve(batch.id)


def lines_of(jobs: ServedJobs, file: str | None) -> list[dict[str, Any]]:
    assert file is not None
    return [json.loads(each) for each in jobs.client.files.content(file).text.splitlines()]


@pytest.fixture
def recording(jobs: ServedJobs) -> str:
    return jobs.client.files.create(file=CLIP, purpose="user_data").id


def test_files_are_kept_listed_and_deleted(
    jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = jobs.client
    made = client.files.create(
        file=("my notes.wav", CLIP.read_bytes()),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (made.bytes, made.filename) == (CLIP.stat().st_size, "my notes.wav")
    assert made.expires_at == made.created_at + 3600
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).content == CLIP.read_bytes()
    assert made.id in [each.id for each in client.files.list(purpose="user_data")]
    assert made.id not in [each.id for each in client.files.list(purpose="batch")]
    assert jobs.send("GET", f"/v1/files/{made.id}/content", SUPPORT_KEY).status_code == 404
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    assert not any(made.id in key for key in jobs.stored())
    # Without an answer of the store the row is gone, and the object is swept.
    other = client.files.create(file=CLIP, purpose="user_data").id

    async def failing(*_: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patches:
        patches.setattr(Objects, "delete", failing)
        assert client.files.delete(other).deleted
    (jobs.objects / "uploads" / other).unlink()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "purpose"),
        ({"purpose": "fine-tune"}, "purpose"),
        ({"purpose": "user_data", "expires_after[seconds]": "5"}, "expires_after"),
        # Bounds are of the number, not of its first digits, and Python reads 4,300 at most.
        ({"purpose": "user_data", "expires_after[seconds]": "000003600000"}, "expires_after"),
        ({"purpose": "user_data", "expires_after[seconds]": "9" * 5000}, "expires_after"),
    ],
)
def test_a_wrong_field_of_a_file_is_named(
    jobs: ServedJobs, fields: dict[str, str], param: str
) -> None:
    before = jobs.stored()
    answer = jobs.send("POST", "/v1/files", data=fields, files={"file": b"x" * 10})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert jobs.stored() <= before


def test_a_batch_puts_out_its_lines_in_order(jobs: ServedJobs, recording: str) -> None:
    noise = jobs.client.files.create(file=("a.wav", b"no sound" * 50), purpose="user_data").id
    formats = ["json", "text", "verbose_json", "srt", "vtt"] * 4
    lines = [line(f"line {n}", recording, response_format=f) for n, f in enumerate(formats)]
    lines[7] = line("noise", noise)
    batch = started(jobs, jobs.batch_file(*lines), metadata={"night": "1"})
    assert (batch.status, batch.metadata) == ("validating", {"night": "1"})
    done = ended(jobs, batch)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {"total": 20, "completed": 19, "failed": 1}
    output = lines_of(jobs, done.output_file_id)
    expected = [each["custom_id"] for each in lines if each["custom_id"] != "noise"]
    assert [each["custom_id"] for each in output] == expected
    assert output[0]["response"]["body"]["text"] == FAKE_TEXT
    assert output[1]["response"]["body"] == f"{FAKE_TEXT}\n"
    assert output[2]["response"]["body"]["segments"][0]["text"] == f" {FAKE_TEXT}"
    [failed] = lines_of(jobs, done.error_file_id)
    assert failed["custom_id"] == "noise"
    assert failed["response"]["status_code"] == 400
    assert failed["response"]["body"]["error"]["code"] == "invalid_value"
    # Lines are jobs like others.
    listed = jobs.get(f"{JOBS}?batch_id={batch.id}&limit=100")["data"]
    assert {each["custom_id"] for each in listed} == {each["custom_id"] for each in lines}
    types = jobs.sql("SELECT type FROM events WHERE object_id = %s", batch.id)
    assert types == [("batch.completed",)]
    assert done.id in [each.id for each in jobs.client.batches.list(limit=100)]
    with pytest.raises(openai.ConflictError):
        jobs.client.batches.cancel(batch.id)


def test_wrong_lines_fail_the_batch_before_anything_is_transcribed(
    jobs: ServedJobs, recording: str
) -> None:
    good = line("good", recording)
    lines: list[tuple[dict[str, Any] | str, str, str | None]] = [
        ("{", "invalid_json_line", None),
        ("[]", "invalid_json_line", None),
        ({**good, "custom_id": ""}, "missing_required_parameter", "custom_id"),
        (good, "duplicate_custom_id", "custom_id"),
        ({**good, "custom_id": "1", "method": "GET"}, "invalid_method", "method"),
        ({**good, "custom_id": "2", "url": "/v1/responses"}, "mismatched_endpoint", "url"),
        (line("3", "file-no"), "invalid_file", "body.file"),
        (line("4", recording, response_format="docx"), "invalid_value", "body.response_format"),
        (line("5", recording, model="no-such"), "model_not_found", "body.model"),
        (line("6", recording, stream=True), "unsupported_value", "body.stream"),
        ({"custom_id": "7", "method": "POST", "url": TRANSCRIPTIONS}, "missing_required_parameter",
         "body"),
        (line("8", ""), "missing_required_parameter", "body.file"),
    ]  # fmt: skip
    decoded = len(jobs.model.decoded)
    batch = ended(jobs, started(jobs, jobs.batch_file(good, *(each for each, _, _ in lines))))
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    found = [(each.line, each.code, each.param) for each in batch.errors.data]
    wanted = [(number, code, param) for number, (_, code, param) in enumerate(lines, 2)]
    assert sorted(found, key=lambda each: each[0] or 0) == wanted
    assert len(jobs.model.decoded) == decoded
    assert jobs.get(f"{JOBS}?batch_id={batch.id}")["data"] == []
    empty = ended(jobs, started(jobs, jobs.batch_file("", " ")))
    assert empty.errors is not None
    assert empty.errors.data is not None
    assert [each.code for each in empty.errors.data] == ["empty_file"]
    rows = ended(jobs, started(jobs, jobs.batch_file("\n" * 150_000)))
    assert rows.errors is not None
    assert rows.errors.data is not None
    assert [each.code for each in rows.errors.data] == ["too_many_requests_in_file"]


def test_a_batch_that_is_more_than_its_key_may_have_waiting_fails(jobs: ServedJobs) -> None:
    with OpenAI(base_url=f"{jobs.url}/v1", api_key=SUPPORT_KEY) as client:
        owner = replace(jobs)
        owner.client = client
        recording = client.files.create(file=CLIP, purpose="user_data").id
        batches = [
            started(owner, owner.batch_file(*(line(str(n), recording) for n in range(lines))))
            for lines in (7, 2)
        ]
        refused, done = (ended(owner, batch) for batch in batches)
    assert refused.errors is not None
    assert refused.errors.data is not None
    [error] = refused.errors.data
    assert (error.code, error.line) == ("queue_limit_exceeded", None)
    assert str(SUPPORT_SECONDS) in str(error.message)
    assert done.status == "completed"


def test_a_batch_that_is_cancelled_while_it_expands_has_all_lines(
    jobs: ServedJobs, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 600 lines, 500 have jobs."""
    add = BatchExpander._add

    async def held(expander: BatchExpander, batch: DictRow, lines: list[Line]) -> bool:
        while lines[0].number > 500 and not jobs.model.gate.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await add(expander, batch, lines)

    monkeypatch.setattr(BatchExpander, "_add", held)
    jobs.model.gate.clear()
    jobs.model.started.clear()
    try:
        input_file = jobs.batch_file(*(line(f"{n}", recording) for n in range(600)))
        batch = started(jobs, input_file)
        wait_until(jobs.model.started.is_set)
        with pytest.raises(openai.ConflictError):
            jobs.client.files.delete(recording)
        with pytest.raises(openai.ConflictError):
            jobs.client.files.delete(input_file)
        [(id,)] = jobs.sql("SELECT id FROM jobs WHERE batch_id = %s AND line = 300", batch.id)
        assert jobs.send("DELETE", f"{JOBS}/{id}").status_code == 409
        assert jobs.client.batches.cancel(batch.id).status == "cancelling"
    finally:
        jobs.model.gate.set()
    done = ended(jobs, batch)
    assert done.status == "cancelled"
    errors = lines_of(jobs, done.error_file_id)
    done_lines = 0 if done.output_file_id is None else len(lines_of(jobs, done.output_file_id))
    assert jobs.sql("SELECT count(*) FROM jobs WHERE batch_id = %s", batch.id) == [(500,)]
    assert len(errors) + done_lines == 600
    assert done.request_counts is not None
    assert done.request_counts.to_dict() == {
        "total": 600,
        "completed": done_lines,
        "failed": len(errors),
    }
    assert {each["error"]["code"] for each in errors} == {"batch_cancelled"}
    assert [int(each["custom_id"]) for each in errors] == sorted(
        int(each["custom_id"]) for each in errors
    )
    jobs.client.files.delete(input_file)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"endpoint": TRANSCRIPTIONS}, "input_file_id"),
        ({"input_file_id": "file-no", "endpoint": TRANSCRIPTIONS}, "input_file_id"),
        ({"input_file_id": "RECORDING", "endpoint": TRANSCRIPTIONS}, "input_file_id"),
        ({"input_file_id": "x", "endpoint": "/v1/embeddings"}, "endpoint"),
        ({"input_file_id": "x", "endpoint": TRANSCRIPTIONS, "completion_window": "30d"},
         "completion_window"),
        ({"input_file_id": "x", "endpoint": TRANSCRIPTIONS, "metadata": {"a": 1}}, "metadata"),
        ({"input_file_id": "x", "endpoint": TRANSCRIPTIONS, "output_expires_after": {}},
         "output_expires_after"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_batch_is_named(
    jobs: ServedJobs, recording: str, body: dict[str, Any], param: str
) -> None:
    body = {name: recording if value == "RECORDING" else value for name, value in body.items()}
    answer = jobs.send("POST", "/v1/batches", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
