"""Thousands of jobs while processes, the database and the object store under them fail.

Every accepted job must end in a way that it can, be published once and with the words of the
synchronous route; batches must have their lines in order; each event must be delivered; and after a
sweep no object may be left without a row.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import structlog

from app.jobs import transcript_json
from app.jobs.store import JobStore
from bench.jobs.callers import Callers
from bench.jobs.faults import Faults
from bench.jobs.fleet import Fleet
from bench.jobs.plan import Plan
from bench.jobs.report import Report

log = structlog.get_logger(__name__)

QUIET_SECONDS = 20.0
"""Without a job ended for so long, the next fault comes all the same."""

UNFINISHED = (
    "SELECT (SELECT count(*) FROM jobs WHERE status IN ('queued', 'in_progress')) + (SELECT "
    "count(*) FROM batches WHERE status IN ('validating', 'in_progress', 'finalizing')) + "
    "(SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL)"
)


def soak(plan: Plan) -> Report:
    """Start everything, load it while faults come, and look at what is left."""
    folder = Path(tempfile.mkdtemp(prefix="verbatim-soak-"))
    folder.chmod(0o755)  # for the user whom root becomes
    try:
        return asyncio.run(_run(plan, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(plan: Plan, folder: Path) -> Report:
    began = time.monotonic()
    async with (
        Fleet(folder, plan.workers, plan.objects, plan.model) as fleet,
        httpx.AsyncClient(base_url=fleet.url, timeout=60) as client,
    ):
        report = await _Soak(plan, fleet, Callers(fleet, client)).run()
    report.seconds = time.monotonic() - began
    return report


class _Soak:
    def __init__(self, plan: Plan, fleet: Fleet, callers: Callers) -> None:
        self._plan = plan
        self._fleet = fleet
        self._callers = callers
        self._random = random.Random(plan.seed)
        self._faults = Faults(fleet, self._random, plan.outage_seconds, callers.batch)
        self._kinds = plan.kinds()
        self._begun = 0
        self._report = Report()

    async def run(self) -> Report:
        await self._callers.prepare()
        await self._callers.batch(max(1, self._plan.jobs // 10))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._callers.submit(self._plan.jobs, self._turn_of))
            group.create_task(self._cause_faults())
        await self._all_ended()
        await self._check_batches()
        self._fleet.stop_servers()
        await self._check()
        return self._report

    async def _turn_of(self, number: int) -> None:
        """Returns when the job may come: each fault finds jobs that have not ended."""
        faults = len(self._kinds)
        while number * faults > (self._begun + 2) * self._plan.jobs:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _cause_faults(self) -> None:
        """One fault after the other, evenly over the jobs that end."""
        for number, kind in enumerate(self._kinds):
            due = number * self._plan.jobs // len(self._kinds)
            latest = time.monotonic() + QUIET_SECONDS
            while (ended := await self._ended()) < due and time.monotonic() < latest:  # noqa: ASYNC110
                await asyncio.sleep(0.3)
            self._begun += 1
            log.info("fault", number=self._begun, kind=kind, ended_jobs=ended)
            await asyncio.sleep(self._random.random())  # the jobs that may come now begin
            await self._faults.cause(kind)
        self._report.faults = self._faults.done
        self._report.steps_not_reached = self._faults.not_reached

    async def _ended(self) -> int:
        statement = "SELECT count(*) FROM jobs WHERE status NOT IN ('queued', 'in_progress')"
        with suppress(psycopg.Error):
            return int((await self._fleet.query(statement))[0][0])
        return 0

    async def _all_ended(self) -> None:
        """Returns when nothing is left to be done, or after the limit."""
        end = time.monotonic() + self._plan.limit_seconds
        while time.monotonic() < end:
            with suppress(psycopg.Error):
                [(left,)] = await self._fleet.query(UNFINISHED)
                if not left:
                    return
            await asyncio.sleep(0.5)

    async def _check_batches(self) -> None:
        report = self._report
        statement = "SELECT id, status, output_file_id FROM batches"
        for id, status, file in await self._fleet.query(statement):
            report.batches[status] += 1
            lines: list[dict[str, Any]] = []
            if file is not None:
                lines = await self._callers.output(file)
            # A batch whose answer was lost was made twice; both are whole.
            count = self._callers.batches.get(id, len(lines))
            report.batch_lines += len(lines)
            ids = [each["custom_id"] for each in lines]
            report.batches_out_of_order += ids != [str(number) for number in range(count)]
            heard = list(self._callers.words.values())
            report.wrong_words += sum(
                each["response"]["body"]["text"] != heard[number % len(heard)]
                for number, each in enumerate(lines)
            )

    async def _check(self) -> None:
        report, callers = self._report, self._callers
        report.accepted = len(callers.ends)
        rows = await self._fleet.query(
            "SELECT id, status, attempts, result_key FROM jobs WHERE batch_id IS NULL"
        )
        report.statuses = Counter(status for _, status, _, _ in rows)
        report.lost = len(callers.ends.keys() - {id for id, *_ in rows})
        report.wrong_ends = [f"{id}: {s}" for id, s, _, _ in rows if s not in callers.ends[id]]
        report.run_more_than_once = sum(attempts > 1 for _, _, attempts, _ in rows)
        await self._check_events()
        report.orphans_swept, store = await self._fleet.swept()
        try:
            await self._check_words(store, {id: key for id, _, _, key in rows if key is not None})
            await self._check_objects(store)
        finally:
            await store.close()

    async def _check_events(self) -> None:
        report = self._report
        events = await self._fleet.query("SELECT id, object_id FROM events")
        published = Counter(object_id for _, object_id in events)
        report.published_more_than_once = sum(count > 1 for count in published.values())
        report.not_published = len(self._callers.ends.keys() - published.keys())
        report.events = len(events)
        receiver = self._fleet.receiver
        report.events_not_delivered = len({id for id, _ in events} - receiver.events)
        report.deliveries_repeated = receiver.repeated

    async def _check_words(self, store: JobStore, keys: dict[str, str]) -> None:
        for id, key in keys.items():
            transcript = transcript_json.decode(await store.objects.get(key))
            self._report.wrong_words += (
                transcript.text != self._callers.words[self._callers.clips[id]]
            )

    async def _check_objects(self, store: JobStore) -> None:
        keys = {
            key
            for (key,) in await self._fleet.query(
                "SELECT object_key FROM files UNION ALL "
                "SELECT result_key FROM jobs WHERE result_key IS NOT NULL"
            )
        }
        stored = {each["path"] async for found in store.objects.list() for each in found}
        self._report.objects_without_row = len(stored - keys)
        self._report.rows_without_object = len(keys - stored)
