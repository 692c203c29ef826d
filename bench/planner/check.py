"""The simulation against a server on this machine: predicted and measured waits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.load import Answer, Upload, open_loop
from bench.measurement import setup_of
from bench.open_loop import calls_of
from bench.planner.calibration import calibrated, observe, windows_of
from bench.planner.simulation import Arrival, Outcome, Replica, Simulation
from bench.profiles import PROFILES, moments
from bench.recordings import clip_of
from bench.server import Period, running

PROFILE = PROFILES["notes-1000"]
"""Short recordings: hundreds in a minute."""
CALIBRATION_SECONDS = 16.0
"""Before the run, and again after it: the speed of a shared machine changes."""
MAX_ERROR = 0.25
MAX_DRIFT = 0.1
"""Change of the capacity during the run; more means that something else used the machine."""
SETTINGS = {
    "VERBATIM_TELEMETRY__LOG_LEVEL": "error",
    # Every recording is admitted, and every window decoded once.
    "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "1e9",
    "VERBATIM_ENGINE__FALLBACK": "false",
}


@dataclass(frozen=True, slots=True)
class Check:
    """Results of the same arrivals at a server and in the simulation."""

    replica: Replica
    capacities: tuple[float, float]
    """Before and after, in seconds of sound per second."""
    answers: Sequence[Answer]
    outcomes: Sequence[Outcome]
    mean_wait: float
    """For the device, by the server's metrics."""
    busy: tuple[float, float]
    """Share of the workers' time, at the server and in the simulation."""

    @property
    def measured(self) -> list[float]:
        return [each.latency_seconds for each in self.answers]

    @property
    def predicted(self) -> list[float]:
        return [each.latency for each in self.outcomes]

    @property
    def p95_error(self) -> float:
        measured, predicted = (np.percentile(each, 95) for each in (self.measured, self.predicted))
        return float(predicted / measured - 1)


def check(share: float, seconds: float, seed: int, model: str) -> Check:
    """Send recordings at random moments, at that share of the measured capacity."""
    with running(["app"], {**SETTINGS, "VERBATIM_MODEL": model}) as server:
        setup = setup_of(server.snapshot(), model)
        calls = calls_of(PROFILE, seed)
        clips = [clip_of(each, setup) for each in calls]
        uploads = [Upload.of(each) for each in calls]
        before = asyncio.run(observe(server, clips, CALIBRATION_SECONDS))
        sound = float(np.mean([sum(windows_of(clip)) for clip in clips]))
        at = list(moments(share * before.capacity / sound, seconds, seed))
        start = server.snapshot()
        answers = asyncio.run(open_loop(server.base_url, uploads, at))
        period = Period(start, server.snapshot())
        after = asyncio.run(observe(server, clips, CALIBRATION_SECONDS))
        replica = calibrated((before, after), clips, server.snapshot())
    simulation = Simulation(replica)
    outcomes = simulation.run(
        Arrival(moment, windows_of(clips[number % len(clips)])) for number, moment in enumerate(at)
    )
    busy = period.total("stt_device_busy_seconds_total") / period.seconds / replica.workers
    return Check(
        replica,
        (before.capacity, after.capacity),
        answers,
        outcomes,
        period.mean("stt_queue_wait_seconds"),
        (busy, simulation.busy / simulation.now / replica.workers),
    )


def text(result: Check) -> str:
    before, after = result.capacities
    drift = abs(after / before - 1)
    wait = float(np.mean([each.wait for each in result.outcomes]))
    rows = [("mean wait for the device", result.mean_wait, wait)]
    for share in (50, 90, 95):
        measured, predicted = (
            float(np.percentile(each, share)) for each in (result.measured, result.predicted)
        )
        rows.append((f"p{share} wait for the answer", measured, predicted))
    return "\n".join(
        [
            str(result.replica),
            f"capacity {before:.1f} s of sound per second before the run, {after:.1f} after it"
            + ("; something else used the machine, run again" if drift > MAX_DRIFT else ""),
            f"{len(result.answers)} recordings, workers busy {result.busy[0]:.0%}, "
            f"simulated {result.busy[1]:.0%}",
            "",
            "| seconds | server | simulation | |",
            "|---|---|---|---|",
            *(f"| {name} | {a:.3f} | {b:.3f} | {b / a - 1:+.0%} |" for name, a, b in rows),
        ]
    )
