"""A batch's lines become jobs: all are checked first, then they are added some at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from psycopg.rows import DictRow

from app.jobs import batch_table
from app.jobs.batch_lines import (
    MAX_ERRORS,
    MAX_LINES,
    Line,
    LineChecker,
    LineError,
    check_file,
    file_ids,
    read_lines,
    source_of,
)
from app.jobs.database import one
from app.jobs.file_table import use_files
from app.jobs.ids import new_id
from app.jobs.job_table import NewJob, add_jobs
from app.jobs.owners import principal_of, queue_limit, queued_seconds, take_tags
from app.jobs.store import JobStore
from app.services import Services

log = structlog.get_logger(__name__)


class BatchExpander:
    """Runs the task `expand_batch`. It can be killed at any step and run again."""

    def __init__(self, store: JobStore, services: Services) -> None:
        self._store = store
        self._services = services

    async def run(self, id: str) -> None:
        """Raises DatabaseUnavailable and StoreUnavailable; the entry is made again then."""
        batch, input_key = await self._find(id)
        if batch is None:
            return
        if batch["status"] == "validating":
            errors, total = await self._validate(batch, input_key)
            async with self._store.database.transaction() as connection:
                if errors:
                    await batch_table.fail_batch(connection, id, errors)
                    return
                await batch_table.begin(connection, id, total)
        await self._add_lines(batch, input_key)

    async def _find(self, id: str) -> tuple[DictRow | None, str]:
        async with self._store.database.transaction() as connection:
            batch = await one(
                connection,
                "SELECT batches.*, files.object_key FROM batches JOIN files "
                "ON files.id = batches.input_file_id WHERE batches.id = %s "
                "AND status IN ('validating', 'in_progress')",
                id,
            )
        return batch, "" if batch is None else batch["object_key"]

    async def _validate(self, batch: DictRow, input_key: str) -> tuple[list[dict[str, Any]], int]:
        """At most MAX_ERRORS errors, and the number of lines."""
        errors: list[dict[str, Any]] = []
        total, seconds = 0, 0.0
        try:
            async with aclosing(self._lines(batch, input_key)) as chunks:
                async for lines, wrong in chunks:
                    total += len(lines) + len(wrong)
                    errors += wrong
                    found, in_chunk = await self._check_files(batch["owner"], lines)
                    errors += found
                    seconds += in_chunk
                    if total > MAX_LINES:
                        raise LineError(
                            "too_many_requests_in_file", f"At most {MAX_LINES} lines are supported."
                        )
                    if len(errors) >= MAX_ERRORS:
                        break
            if not total:
                raise LineError("empty_file", "The input file has no lines.", "input_file_id")
            if not errors:
                await self._check_room(batch["owner"], seconds)
        except LineError as error:
            errors.append(error.body(None))
        return errors[:MAX_ERRORS], total

    async def _lines(
        self, batch: DictRow, input_key: str
    ) -> AsyncGenerator[tuple[list[Line], list[dict[str, Any]]]]:
        async with self._store.database.transaction() as connection:
            principal = await principal_of(connection, batch["owner"])
        checker = LineChecker(self._services, principal, batch["endpoint"])
        async for raw in read_lines(self._store.objects.stream(input_key)):
            yield await checker.check(raw)

    async def _check_files(
        self, owner: str, lines: list[Line]
    ) -> tuple[list[dict[str, Any]], float]:
        """Errors of lines whose files are not there, and seconds of the others."""
        async with self._store.database.transaction() as connection:
            files = await use_files(connection, owner, file_ids(lines))
        errors, seconds = [], 0.0
        for line in lines:
            try:
                check_file(line, files)
                seconds += source_of(line, files)[1]
            except LineError as error:
                errors.append(error.body(line.number))
        return errors, seconds

    async def _check_room(self, owner: str, seconds: float) -> None:
        async with self._store.database.transaction() as connection:
            principal = await principal_of(connection, owner)
            limit = queue_limit(principal, self._store.settings.max_queued_seconds)
            waiting = await queued_seconds(connection, owner)
        if limit is not None and waiting + seconds > limit:
            raise LineError(
                "queue_limit_exceeded",
                f"{seconds:.0f} seconds of audio beside {waiting:.0f} that wait already; at most "
                f"{limit:g} may wait.",
            )

    async def _add_lines(self, batch: DictRow, input_key: str) -> None:
        """Add the lines that have no jobs yet, a transaction for each chunk."""
        async with aclosing(self._lines(batch, input_key)) as chunks:
            async for lines, _ in chunks:
                missing = [line for line in lines if line.number > batch["expanded"]]
                if missing and not await self._add(batch, missing):
                    return

    async def _add(self, batch: DictRow, lines: list[Line]) -> bool:
        """False if the batch was cancelled or has expired."""
        async with self._store.database.transaction() as connection:
            running = await batch_table.hold_running(connection, batch["id"])
            if running is None:
                return False
            principal = await principal_of(connection, batch["owner"])
            files = await use_files(connection, batch["owner"], file_ids(lines))
            jobs = [_job(running, line, files) for line in lines]
            tags = await take_tags(connection, principal, [job.estimated_seconds for job in jobs])
            await add_jobs(connection, self._store.queue, batch["owner"], jobs, tags)
            await connection.execute(
                "UPDATE batches SET expanded = greatest(expanded, %s) WHERE id = %s",
                (lines[-1].number, batch["id"]),
            )
        return True


def _job(batch: DictRow, line: Line, files: dict[str, DictRow]) -> NewJob:
    source, seconds = source_of(line, files)
    return NewJob(
        new_id("job-"),
        line.request.task,
        line.request.form.order.model,
        line.request.fields,
        source,
        seconds,
        # The batch's end ends its lines.
        line.request.window_seconds,
        line.request.metadata,
        batch_id=batch["id"],
        line=line.number,
        custom_id=line.custom_id,
    )
