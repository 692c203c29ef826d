"""The end of a batch: its output and error files, in the order of the input's lines."""

import asyncio
import hashlib
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from psycopg.rows import DictRow

from app.jobs import batch_table, transcript_json
from app.jobs.batch_lines import read_lines
from app.jobs.database import one, rows
from app.jobs.file_table import NewFile, add_file
from app.jobs.ids import new_id
from app.jobs.job_table import Ended
from app.jobs.removal import end_lines
from app.jobs.request import read_form_fields
from app.jobs.store import JobStore
from app.openai.responses import compact

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

LINES_AT_ONCE = 100
READS_AT_ONCE = 16
DAY_SECONDS = 86_400

_NEVER_RUN = {
    "cancelled": ("batch_cancelled", "The batch was cancelled before this request was run."),
    "expired": ("batch_expired", "The batch expired before this request was run."),
}


class BatchFinisher:
    """Runs the task `finish_batch`. It can be killed at any step and run again, by two at once."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def run(self, id: str) -> None:
        """Raises DatabaseUnavailable and StoreUnavailable; the entry is made again then."""
        batch = await self._find(id)
        if batch is None:
            return
        status: Ended = "cancelled" if batch["status"] == "cancelling" else "expired"
        while True:
            async with self._store.database.transaction() as connection:
                if not await end_lines(connection, self._store.queue, id, status):
                    break
        async with AsyncExitStack() as stack:
            output = _File(self._store, id, "output", stack)
            errors = _File(self._store, id, "errors", stack)
            jobs = await self._write(id, output, errors)
            rest = 0
            if jobs < batch["total"]:
                rest = await self._write_rest(batch, status, errors)
        await self._end(batch, output, errors, rest)

    async def _find(self, id: str) -> DictRow | None:
        async with self._store.database.transaction() as connection:
            return await one(
                connection,
                "SELECT batches.*, files.object_key AS input_key FROM batches JOIN files ON "
                "files.id = input_file_id WHERE batches.id = %s AND batches.status IN "
                "('finalizing', 'cancelling')",
                id,
            )

    async def _write(self, id: str, output: "_File", errors: "_File") -> int:
        """Write the lines that have jobs; returns their number."""
        last, count = 0, 0
        while True:
            async with self._store.database.transaction() as connection:
                jobs = await rows(
                    connection,
                    "SELECT * FROM jobs WHERE batch_id = %s AND line > %s ORDER BY line LIMIT %s",
                    id,
                    last,
                    LINES_AT_ONCE,
                )
            if not jobs:
                return count
            last, count = jobs[-1]["line"], count + len(jobs)
            slots = asyncio.Semaphore(READS_AT_ONCE)
            lines = await asyncio.gather(*(self._line(job, slots) for job in jobs))
            for job, line in zip(jobs, lines, strict=True):
                await (output if job["status"] == "completed" else errors).write(line)

    async def _write_rest(self, batch: DictRow, status: Ended, errors: "_File") -> int:
        """Write the lines that the batch's end left without jobs; returns their number."""
        count = 0
        async for lines in read_lines(self._store.objects.stream(batch["input_key"])):
            for raw in lines:
                if raw.number > batch["expanded"]:
                    custom_id = json.loads(raw.content)["custom_id"]
                    await errors.write(_never_run(new_id(""), custom_id, status))
                    count += 1
        return count

    async def _line(self, job: DictRow, slots: asyncio.Semaphore) -> bytes:
        id = job["id"].removeprefix("job-")
        if job["status"] == "completed":
            async with slots:
                body = await self._body(job)
            return _answered(id, job["custom_id"], 200, body)
        if job["status"] == "failed":
            error = job["error"]
            return _answered(id, job["custom_id"], error["status"], {"error": error["error"]})
        return _never_run(id, job["custom_id"], job["status"])

    async def _body(self, job: DictRow) -> object:
        content = await self._store.objects.get(job["result_key"])

        def rendered() -> object:
            form = read_form_fields(job["fields"], job["task"])
            return form.rendering.body(transcript_json.decode(content))

        return await asyncio.to_thread(rendered)

    async def _end(self, batch: DictRow, output: "_File", errors: "_File", rest: int) -> None:
        days = self._store.settings.keep_days
        expires = batch["output_expires_seconds"] or days * DAY_SECONDS
        async with self._store.database.transaction() as connection:
            ended = await batch_table.end_batch(
                connection, batch["id"], output.id, errors.id, never_run=rest
            )
            if ended is None:
                return
            for file in (output, errors):
                if file.id is not None:
                    await add_file(connection, batch["owner"], file.row(expires))


class _File:
    """An output file, which begins with its first line: one without lines is not made."""

    def __init__(self, store: JobStore, batch_id: str, name: str, stack: AsyncExitStack) -> None:
        self._store = store
        self._filename = f"{batch_id}_{name}.jsonl"
        self._stack = stack
        self._writer: AsyncWritableFile | None = None
        self._bytes = 0
        self._digest = hashlib.sha256()
        self.id: str | None = None
        self._key = ""

    async def write(self, line: bytes) -> None:
        if self._writer is None:
            self.id = new_id("file-")
            # A key of its own: of two that write at once, one is swept.
            self._key = f"outputs/{self.id}.jsonl"
            opened = self._store.objects.writer(self._key)
            self._writer = await self._stack.enter_async_context(opened)
        await self._writer.write(line)
        self._digest.update(line)
        self._bytes += len(line)

    def row(self, expires_seconds: int) -> NewFile:
        assert self.id is not None, "only a file with lines has a row"
        return NewFile(
            self.id,
            "batch_output",
            self._filename,
            self._bytes,
            self._digest.hexdigest(),
            self._key,
            expires_seconds=expires_seconds,
        )


def _answered(id: str, custom_id: str, status: int, body: object) -> bytes:
    """The line of a request that was run; `id`: of its job, without the prefix."""
    response = {"status_code": status, "request_id": f"req_{id}", "body": body}
    return _rendered(id, custom_id, response, None)


def _never_run(id: str, custom_id: str, status: str) -> bytes:
    """The line of a request that its batch's end came before."""
    code, message = _NEVER_RUN[status]
    return _rendered(id, custom_id, None, {"code": code, "message": message})


def _rendered(id: str, custom_id: str, response: object, error: object) -> bytes:
    line = {
        "id": f"batch_req_{id}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    return compact(line).encode() + b"\n"
