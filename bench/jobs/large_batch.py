"""`python -m bench.jobs.large_batch`: a batch of 50,000 lines, whose server is killed meanwhile.

Prints the memory of the server (RSS, MB) before it, the most while the lines are checked and made
into jobs, and the most while the output is written. The server is killed in the middle of that; the
batch is then cancelled, as its lines would take hours, and its files must have all lines in order.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import structlog

from bench.jobs.callers import Callers
from bench.jobs.fleet import Fleet
from bench.jobs.mortal_server import MortalServer
from tests.support.model_names import STARTER

log = structlog.get_logger(__name__)

MEGABYTE = 1_000_000
SAMPLE_SECONDS = 0.05
CUSTOM_ID = "call {:06} of the department that keeps all of its recordings for ten years"


@dataclass(slots=True)
class Figures:
    lines: int
    input_mb: float = 0.0
    idle_mb: float = 0.0
    checking_mb: float = 0.0
    expanding_mb: float = 0.0
    writing_mb: float = 0.0
    expanded_at_death: int = 0
    seconds: float = 0.0
    in_order: bool = False


@asynccontextmanager
async def _most(server: MortalServer) -> AsyncIterator[list[float]]:
    """The most memory of the server's own process in the context, in MB, as the only item."""
    found = [0.0]

    async def sample() -> None:
        while True:
            with suppress(psutil.Error):
                rss = psutil.Process(server.process.pid).memory_info().rss
                found[0] = max(found[0], rss / MEGABYTE)
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample())
    try:
        yield found
    finally:
        sampling.cancel()


async def measured(lines: int, folder: Path) -> Figures:
    """Run it with so many lines."""
    figures = Figures(lines)
    async with (
        Fleet(folder, 1, "directory", str(STARTER)) as fleet,
        httpx.AsyncClient(base_url=fleet.url, timeout=600) as client,
    ):
        callers = Callers(fleet, client)
        log.info("begun")
        await callers.prepare()
        [worker] = fleet.workers
        await _worked_once(fleet, callers)
        async with _most(worker) as most:
            await asyncio.sleep(1.0)
        figures.idle_mb = most[0]
        log.info("idle", memory_mb=round(most[0]))
        batch, figures.input_mb = await _submitted(callers, lines)
        async with _most(worker) as most:
            await _until(fleet, batch, "status <> 'validating'")
        figures.checking_mb = most[0]
        log.info("checked", memory_mb=round(most[0]))
        async with _most(worker) as most:
            await _until(fleet, batch, f"expanded > {lines // 2}")
            worker.kill()
        figures.expanding_mb = most[0]
        [(figures.expanded_at_death,)] = await fleet.query("SELECT expanded FROM batches")
        log.info("killed", memory_mb=round(most[0]))
        worker.start()
        async with _most(worker) as most:
            await _until(fleet, batch, f"expanded = {lines}")
        figures.expanding_mb = max(figures.expanding_mb, most[0])
        log.info("expanded", memory_mb=round(most[0]))
        async with _most(worker) as most:
            await callers.post(f"/v1/batches/{batch}/cancel", data={})
            await _until(fleet, batch, "status = 'cancelled'")
        figures.writing_mb = most[0]
        figures.in_order = await _in_order(fleet, callers, batch, lines)
    return figures


async def _worked_once(fleet: Fleet, callers: Callers) -> None:
    """Returns when the worker has run a batch: what that loads is loaded."""
    await callers.batch()
    while await fleet.query("SELECT 1 FROM batches WHERE status <> 'completed'"):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await fleet.query("DELETE FROM batches")


async def _submitted(callers: Callers, lines: int) -> tuple[str, float]:
    """The id of the batch, and the size of its input in MB."""
    file = await callers.file("x", b"no sound" * 20_000, "user_data")
    body = {"model": "whisper-1", "file": file, "response_format": "verbose_json"}
    content = b"".join(
        json.dumps(
            {
                "custom_id": CUSTOM_ID.format(number),
                "method": "POST",
                "url": "/v1/audio/transcriptions",
                "body": body,
            }
        ).encode()
        + b"\n"
        for number in range(lines)
    )
    made = await callers.file("in.jsonl", content, "batch")
    wanted = {"input_file_id": made, "endpoint": "/v1/audio/transcriptions"}
    answer = await callers.post("/v1/batches", json=wanted)
    return answer.json()["id"], len(content) / MEGABYTE


async def _until(fleet: Fleet, batch: str, condition: str) -> None:
    while True:
        with suppress(psycopg.Error):
            if await fleet.query(f"SELECT 1 FROM batches WHERE id = %s AND {condition}", batch):
                return
        await asyncio.sleep(0.02)


async def _in_order(fleet: Fleet, callers: Callers, batch: str, lines: int) -> bool:
    """Whether the output and error files have all lines, each file in the input's order."""
    [files] = await fleet.query("SELECT output_file_id, error_file_id FROM batches")
    found: list[dict[str, Any]] = []
    for file in filter(None, files):
        some = await callers.output(file)
        ids = [each["custom_id"] for each in some]
        if ids != sorted(ids):
            return False
        found += some
    expected = {CUSTOM_ID.format(number) for number in range(lines)}
    return len(found) == lines and {each["custom_id"] for each in found} == expected


def text(figures: Figures) -> str:
    return (
        f"{figures.lines} lines, {figures.input_mb:.1f} MB; the worker's memory: "
        f"{figures.idle_mb:.0f} MB before, at most {figures.checking_mb:.0f} while lines are "
        f"checked, {figures.expanding_mb:.0f} while they become jobs, {figures.writing_mb:.0f} "
        f"while files are written.\n"
        f"Killed when {figures.expanded_at_death} were jobs; all lines in order: "
        f"{figures.in_order}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.jobs.large_batch", description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    folder = Path(tempfile.mkdtemp(prefix="verbatim-batch-"))
    folder.chmod(0o755)  # for the user whom root becomes
    try:
        figures = asyncio.run(measured(parser.parse_args().lines, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(text(figures))
    return 0 if figures.in_order else 1


if __name__ == "__main__":
    sys.exit(main())
