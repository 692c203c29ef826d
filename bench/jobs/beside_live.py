"""`python -m bench.jobs.beside_live`: live sessions beside a full queue of jobs, and each alone.

Live sessions should not notice jobs, and jobs should get what sessions leave: the time that the
device is idle while sessions speak alone. Needs a quiet machine.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from openai import AsyncOpenAI

from app.settings import model_id, prepare_libraries
from bench import chosen_model
from bench.jobs.callers import JOBS, SAMPLES
from bench.live import all_speak
from bench.sdk_session import sdk_session
from bench.server import Period, Server, running
from bench.speakers import Speaker, speakers
from tests.support.model_names import STARTER

RECORDING = SAMPLES / "06_human_digits.wav"
QUEUED = 40
"""Jobs that wait at any time."""

MAX_LATENCY_RATIO, MIN_BULK_SHARE = 1.2, 0.9
SHARES = (50, 95)
"""Percentiles of latencies."""


@dataclass(frozen=True, slots=True)
class Phase:
    first_text: list[float]
    """Seconds from a word to its first text."""
    whole_text: list[float]
    """Seconds from a turn's end to its whole text."""
    jobs_per_second: float
    busy: float
    """Share of the time of the device's workers."""


class Bench:
    """The phases, over one server."""

    def __init__(
        self, server: Server, http: httpx.AsyncClient, client: AsyncOpenAI, model: str
    ) -> None:
        self._server = server
        self._http = http
        self._client = client
        self._model = model

    async def prepare(self) -> None:
        """Upload the recording that all jobs name, once the store has opened."""
        while (await self._http.get(f"{JOBS}/summary")).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        answer = await self._http.post(
            "/v1/files", files={"file": RECORDING.read_bytes()}, data={"purpose": "user_data"}
        )
        self._file = answer.raise_for_status().json()["id"]

    async def live(self, sessions: int, seconds: float, *, with_jobs: bool) -> Phase:
        """Sessions that speak for so long, alone or beside jobs."""
        people = await speakers(sessions, seconds, self._transcribed)
        open_sessions = [sdk_session(self._client, self._model, "en", 0.5) for _ in people]
        if not with_jobs:
            return await self._measured(lambda: all_speak(people, open_sessions), people)
        async with self._full_queue():
            return await self._measured(lambda: all_speak(people, open_sessions), people)

    async def jobs_alone(self, seconds: float) -> Phase:
        async with self._full_queue():
            return await self._measured(lambda: asyncio.sleep(seconds), [])

    async def _measured(
        self, action: Callable[[], Awaitable[object]], people: list[Speaker]
    ) -> Phase:
        before = self._server.snapshot()
        await action()
        after = self._server.snapshot()
        period = Period(before, after)
        workers = int(after.labels("stt_engine_info")["workers"])
        first = [delay for each in people for delay in each.captions.delays(each.spoken)[0]]
        return Phase(
            first,
            [delay for each in people for delay in each.final_delays],
            period.total("stt_job_runs_total", outcome="completed") / period.seconds,
            period.total("stt_device_busy_seconds_total") / period.seconds / workers,
        )

    @asynccontextmanager
    async def _full_queue(self) -> AsyncIterator[None]:
        """Jobs wait all the time; those that are left are cancelled at the end."""
        feeding = asyncio.create_task(self._feed())
        await asyncio.sleep(3.0)  # they run
        try:
            yield
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding  # raises what has ended it before, and left the queue empty
            await self._http.delete(JOBS, params={"status": "queued"})

    async def _feed(self) -> None:
        body = {"model": self._model, "file": self._file, "language": "en"}
        while True:
            summary = (await self._http.get(f"{JOBS}/summary")).raise_for_status().json()
            for _ in range(QUEUED - summary["counts"]["queued"]):
                (await self._http.post(JOBS, json=body)).raise_for_status()
            await asyncio.sleep(0.3)

    async def _transcribed(self, wav: bytes) -> str:
        answer = await self._http.post(
            "/v1/audio/transcriptions",
            data={"model": self._model, "language": "en"},
            files={"file": ("clip.wav", wav)},
        )
        return str(answer.raise_for_status().json()["text"])


def text(live: Phase, jobs: Phase, both: Phase) -> tuple[str, bool]:
    """The report, and whether the bounds hold."""
    lines, holds = [], True
    for name, alone, beside in (
        ("from a word to its first text", live.first_text, both.first_text),
        ("from a turn's end to its whole text", live.whole_text, both.whole_text),
    ):
        for share in SHARES:
            before, after = (float(np.percentile(each, share)) for each in (alone, beside))
            holds = holds and after <= MAX_LATENCY_RATIO * before
            lines.append(
                f"{name}, p{share}: {before:.2f} s alone, {after:.2f} s beside jobs, "
                f"ratio {after / before:.2f}"
            )
    idle = jobs.jobs_per_second / jobs.busy * (1 - live.busy)
    reached = both.jobs_per_second / idle
    lines.append(
        f"jobs: {jobs.jobs_per_second:.2f}/s alone (device busy {jobs.busy:.0%}), sessions alone "
        f"leave {1 - live.busy:.0%}, room for {idle:.2f}/s; beside sessions "
        f"{both.jobs_per_second:.2f}/s, {reached:.0%} of that"
    )
    return "\n".join(lines), holds and reached >= MIN_BULK_SHARE


async def measure(arguments: argparse.Namespace, folder: str) -> bool:
    environment = {
        "VERBATIM_MODEL": arguments.model,
        # One caller, as all of them are here, gets three quarters of the slots.
        "VERBATIM_LIVE__MAX_SESSIONS": str(2 * arguments.sessions),
        "VERBATIM_TELEMETRY__LOG_LEVEL": "warning",
        "VERBATIM_JOBS__ENABLED": "true",
        "VERBATIM_JOBS__DIRECTORY": folder,
    }
    with running(["app"], environment) as server:
        async with (
            httpx.AsyncClient(base_url=server.base_url, timeout=600) as http,
            AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="any") as client,
        ):
            bench = Bench(server, http, client, model_id(arguments.model))
            await bench.prepare()
            live = await bench.live(arguments.sessions, arguments.seconds, with_jobs=False)
            jobs = await bench.jobs_alone(arguments.seconds)
            both = await bench.live(arguments.sessions, arguments.seconds, with_jobs=True)
    report, holds = text(live, jobs, both)
    print(report)
    return holds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.jobs.beside_live", description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of three phases")
    chosen_model.add_argument(parser, str(STARTER))
    arguments = parser.parse_args()
    prepare_libraries()
    with TemporaryDirectory(prefix="verbatim-jobs-") as folder:
        os.chmod(folder, 0o755)  # for the user whom root becomes
        return 0 if asyncio.run(measure(arguments, folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
