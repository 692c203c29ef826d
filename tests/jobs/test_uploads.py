"""Files that come in parts, by OpenAI's own clients."""

import hashlib
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from psycopg.rows import DictRow

from app.errors import TooLarge
from app.jobs import upload_table
from app.jobs.database import Database
from app.jobs.file_table import NewFile
from app.jobs.room import Claim, Room
from app.jobs.routes import uploads
from app.jobs.store import JobStore
from tests.jobs.served_jobs import JOBS, SUPPORT_KEY, ServedJobs
from tests.support.api_keys import SALES_KEY, bearer
from tests.support.client import CLIP, FAKE_TEXT
from tests.support.live_server import ROOT
from tests.support.programs import require

UPLOADS = "/v1/uploads"
NODE = ROOT / "tests" / "conformance" / "node" / "jobs.mjs"


def announced(jobs: ServedJobs, size: int = 10, **fields: Any) -> str:
    upload = jobs.client.uploads.create(
        filename="a.wav", bytes=size, mime_type="audio/wav", purpose="user_data", **fields
    )
    assert (upload.status, upload.expires_at - upload.created_at) == ("pending", 3600)
    return upload.id


def test_the_parts_of_an_upload_become_a_file(jobs: ServedJobs) -> None:
    content = CLIP.read_bytes()
    upload = jobs.client.uploads.upload_file_chunked(
        file=content,
        filename=CLIP.name,
        bytes=len(content),
        mime_type="audio/wav",
        purpose="user_data",
        part_size=len(content) // 3,
        md5=hashlib.md5(content).hexdigest(),
    )
    assert upload.status == "completed"
    assert upload.file is not None
    assert (upload.file.bytes, upload.file.filename) == (len(content), CLIP.name)
    assert jobs.client.files.content(upload.file.id).content == content
    again = jobs.client.uploads.complete(upload.id, part_ids=["any"])
    assert again == upload, "an answer that was lost is asked for again"
    assert not any(key.startswith("parts/") for key in jobs.stored())
    answer = jobs.send("POST", JOBS, json={"model": "whisper-1", "file": upload.file.id})
    assert jobs.ended(answer.json()["id"])["result"]["text"] == FAKE_TEXT


def test_parts_that_are_not_the_file_are_refused(
    jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = jobs.stored()
    client, id = jobs.client, announced(jobs)
    part = client.uploads.parts.create(id, data=b"12345")
    other = client.uploads.parts.create(id, data=b"67890")
    with pytest.raises(openai.BadRequestError) as too_much:
        client.uploads.parts.create(id, data=b"x")
    assert too_much.value.param == "data"
    with monkeypatch.context() as patches:
        patches.setattr(upload_table, "add_part", None)  # it is refused while it arrives
        with pytest.raises(openai.BadRequestError):
            client.uploads.parts.create(id, data=b"x" * 300_000)
    for part_ids, md5, param in (
        ([part.id], openai.omit, "part_ids"),
        ([part.id, part.id], openai.omit, "part_ids"),
        ([part.id, "part_no"], openai.omit, "part_ids"),
        ([part.id, other.id], "0" * 32, "md5"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.uploads.complete(id, part_ids=part_ids, md5=md5)
        assert refused.value.param == param
    for method in ("parts", "complete", "cancel"):
        answer = jobs.send(
            "POST", f"{UPLOADS}/{id}/{method}", SUPPORT_KEY, json={"part_ids": [part.id]}
        )
        assert (answer.status_code, method) == (404, method)
    assert client.uploads.cancel(id).status == "cancelled"
    assert jobs.stored() <= before
    with pytest.raises(openai.ConflictError):
        client.uploads.parts.create(id, data=b"x")
    late = announced(jobs)
    jobs.sql("UPDATE uploads SET expires_at = now() WHERE id = %s", late)
    with pytest.raises(openai.ConflictError, match="expired"):
        client.uploads.complete(late, part_ids=["x"])


def test_parts_are_put_together_once_and_only_where_there_is_room(
    jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request would copy gigabytes, and none of the copies has a row yet."""
    copied: list[str] = []

    async def joined(store: JobStore, upload: DictRow, keys: list[str]) -> tuple[NewFile, str]:
        copied.append(upload["id"])
        return await original(store, upload, keys)

    original = uploads._joined
    monkeypatch.setattr(uploads, "_joined", joined)
    client, id = jobs.client, announced(jobs)
    part = client.uploads.parts.create(id, data=b"0123456789")
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: client.uploads.complete(id, part_ids=[part.id]), range(8))
        )
    assert {each.status for each in answers} == {"completed"}
    assert len({each.file.id for each in answers if each.file}) == 1
    assert copied == [id]
    late = announced(jobs)
    part = client.uploads.parts.create(late, data=b"0123456789")
    monkeypatch.setattr(Room, "allowed", lambda _: 20)
    with pytest.raises(openai.APIStatusError) as refused:
        client.uploads.complete(late, part_ids=[part.id])
    assert refused.value.status_code == 413
    client.uploads.cancel(late)


def test_a_caller_stores_no_more_than_it_may(
    jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(key: str = SALES_KEY) -> int:
        fields = {"purpose": "user_data"}
        file = {"file": b"0123456789"}
        return jobs.send("POST", "/v1/files", key, data=fields, files=file).status_code

    jobs.client.uploads.parts.create(announced(jobs), data=b"0123456789")
    [[stored]] = jobs.sql("SELECT sum(bytes) FROM files")
    monkeypatch.setattr(Room, "allowed", lambda _: stored + 25)
    assert [create(), create()] == [200, 413], "with the part of the upload"
    before = jobs.stored()
    assert create() == 413
    assert jobs.stored() <= before
    assert jobs.post().status_code == 413
    assert create(SUPPORT_KEY) == 200


async def test_a_caller_gets_as_much_of_a_disk_as_is_left_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    room = Room(Database("postgresql://nowhere"), tmp_path, None)
    with Claim(room, "key:a", 0) as claim, Claim(room, "key:a", free // 3) as beside:
        claim.take(free // 2)
        with pytest.raises(TooLarge):
            beside.take(free // 4)
    assert not room.arriving


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"filename": ""}, 400, "filename"),
        ({"filename": "a\0"}, 400, "filename"),
        ({"purpose": "vision"}, 400, "purpose"),
        ({"bytes": "5"}, 400, "bytes"),
        ({"bytes": 0}, 400, "bytes"),
        ({"bytes": 2**70}, 413, None),
        ({"purpose": "batch", "bytes": 300 * 1024**2}, 413, None),
        ({"expires_after": {"seconds": 5}}, 400, "expires_after"),
    ],
)
def test_a_wrong_announcement_is_refused(
    jobs: ServedJobs, changes: dict[str, Any], status: int, param: str | None
) -> None:
    body = {"filename": "a", "bytes": 5, "purpose": "user_data", **changes}
    answer = jobs.send("POST", UPLOADS, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("range_", "status", "expected"),
    [
        ("bytes=2-5", 206, slice(2, 6)),
        ("bytes=8-", 206, slice(8, 10)),
        ("bytes=-3", 206, slice(7, 10)),
        ("bytes=4-99", 206, slice(4, 10)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=10-", 416, slice(0, 0)),
        ("bytes=-0", 416, slice(0, 0)),
        ("bytes=5-2", 200, slice(0, 10)),
        ("bytes=1-2,4-5", 200, slice(0, 10)),
        ("lines=1-2", 200, slice(0, 10)),
    ],
)
def test_a_range_of_a_file_can_be_read(
    jobs: ServedJobs, file: str, range_: str, status: int, expected: slice
) -> None:
    answer = httpx.get(
        f"{jobs.url}/v1/files/{file}/content", headers={**bearer(SALES_KEY), "range": range_}
    )
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == "bytes */10"
        assert answer.json()["error"]["type"] == "invalid_request_error"
        return
    assert answer.content == b"0123456789"[expected]
    assert answer.headers["content-length"] == str(len(answer.content))
    if status == 206:
        last = expected.stop - 1
        assert answer.headers["content-range"] == f"bytes {expected.start}-{last}/10"


@pytest.fixture(scope="module")
def file(jobs: ServedJobs) -> str:
    return jobs.client.files.create(file=("digits", b"0123456789"), purpose="user_data").id


def test_openai_node_uploads_in_parts_runs_a_batch_and_reads_it(jobs: ServedJobs) -> None:
    answer = subprocess.run(
        [require("node"), str(NODE)],
        input=json.dumps({"baseURL": f"{jobs.url}/v1", "key": SALES_KEY, "path": str(CLIP)}),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = json.loads(answer.stdout)
    assert told["upload"]["status"] == "completed"
    assert told["upload"]["file"]["bytes"] == CLIP.stat().st_size
    assert told["batch"]["status"] == "completed"
    assert told["listed"]
    assert [line["response"]["body"]["text"] for line in told["lines"]] == [FAKE_TEXT] * 2
    assert told["cancelled"] in ("cancelling", "cancelled", "completed")
    assert told["deleted"] is True
