"""Costs of a running server for the simulation, measured by a closed loop.

First one client, so that nothing shares the machine with the measured request; then several at
once, whose throughput shows how much longer all work takes together.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from app.domain import SAMPLE_RATE
from bench import load
from bench.planner.simulation import Replica, capacity
from bench.recordings import Clip
from bench.server import Period, Server, Snapshot

CLIENTS = 8
"""Enough for full batches of every worker."""
REPEATS = 300
"""Recordings of a simulated closed loop: so many that its start and end do not matter."""


@dataclass(frozen=True, slots=True)
class LoneRequest:
    """A recording that was sent to an idle server, in windows of so many seconds."""

    windows: Sequence[float]
    latency_seconds: float
    period: Period

    @property
    def device_seconds(self) -> float:
        return self.period.total("stt_device_busy_seconds_total")


@dataclass(frozen=True, slots=True)
class Observed:
    """Lone requests and capacity of a server, measured within a short time."""

    alone: Sequence[LoneRequest]
    capacity: float
    """With several clients: seconds of sound in windows per second."""


def windows_of(clip: Clip) -> tuple[float, ...]:
    return tuple(len(samples) / SAMPLE_RATE for samples in clip.windows)


async def observe(server: Server, clips: Sequence[Clip], seconds: float) -> Observed:
    """Measure for about `seconds`."""
    alone = await _alone(server, clips, seconds / 2)
    traffic, _, _ = await load.closed_loop(
        server.base_url, clips, CLIENTS, seconds / 2, lambda: None
    )
    return Observed(alone, traffic.audio_seconds_per_second * speech_share(clips))


def calibrated(observed: Sequence[Observed], clips: Sequence[Clip], snapshot: Snapshot) -> Replica:
    """The replica that fits all observations."""
    replica = fitted([alone for each in observed for alone in each.alone], snapshot)
    sent = [windows_of(clip) for clip in clips]
    measured = fmean(each.capacity for each in observed)
    return matched(replica, sent * (REPEATS // len(sent) + 1), measured)


def matched(replica: Replica, recordings: Sequence[Sequence[float]], measured: float) -> Replica:
    """The replica with the number of cores, or the speed of the device, of that capacity.

    Processes that share a machine slow each other down by more than the number of cores explains;
    the measured capacity, where all of them have work, shows by how much.
    """
    ratio = measured / capacity(replica, recordings)
    if replica.worker_cores:
        return replace(replica, cores=replica.cores * ratio)
    return replace(
        replica,
        encode_call=replica.encode_call / ratio,
        encode_window=replica.encode_window / ratio,
        decode_call=replica.decode_call / ratio,
        decode_second=replica.decode_second / ratio,
    )


def speech_share(clips: Sequence[Clip]) -> float:
    """Seconds in windows per second of sound: the model gets no silence."""
    return sum(sum(windows_of(clip)) for clip in clips) / sum(clip.seconds for clip in clips)


async def _alone(server: Server, clips: Sequence[Clip], seconds: float) -> list[LoneRequest]:
    """Send each clip at least once, and again while there is time."""
    uploads = [(windows_of(clip), load.Upload.of(clip)) for clip in clips]
    measured: list[LoneRequest] = []
    end = time.perf_counter() + seconds
    async with load.clients(server.base_url) as client:
        await load.transcribed(client, uploads[0][1])
        for windows, upload in itertools.cycle(uploads):
            if time.perf_counter() > end and len(measured) >= len(uploads):
                return measured
            before = await asyncio.to_thread(server.snapshot)
            answer = await load.transcribed(client, upload)
            after = await asyncio.to_thread(server.snapshot)
            measured.append(LoneRequest(windows, answer.latency_seconds, Period(before, after)))
    raise AssertionError("a cycle has no end")


def fitted(alone: Sequence[LoneRequest], snapshot: Snapshot) -> Replica:
    """Costs by least squares over lone requests."""
    info = snapshot.labels("stt_engine_info")
    on_cpu = info["device"] == "cpu"
    max_batch_size = int(info["max_batch_size"])
    single = [each for each in alone if len(each.windows) == 1]
    sound = [sum(each.windows) for each in alone]
    decode_call, decode_second = _line(_calls(alone, "decode"), sound, _busy(alone, "decode"))
    rest = [each.latency_seconds - each.device_seconds for each in single]
    request, prepare = _line([1.0] * len(single), [sum(each.windows) for each in single], rest)
    if on_cpu:  # a window in each call, and several in a request would be encoded side by side
        encode_call, encode_window = 0.0, fmean(_busy(single, "encode"))
    else:
        windows = [len(each.windows) for each in alone]
        encode_call, encode_window = _line(_calls(alone, "encode"), windows, _busy(alone, "encode"))
    return Replica(
        workers=int(info["workers"]),
        max_batch_size=max_batch_size,
        encode_batch_size=1 if on_cpu else max_batch_size,
        preparers=os.cpu_count() or 1,
        cores=float(os.cpu_count() or 1),
        worker_cores=float(info["threads_per_worker"]) if on_cpu else 0.0,
        request=request,
        prepare=prepare,
        encode_call=encode_call,
        encode_window=encode_window,
        decode_call=decode_call,
        decode_second=decode_second,
    )


def _busy(alone: Sequence[LoneRequest], stage: str) -> list[float]:
    return [each.period.total("stt_device_busy_seconds_total", stage=stage) for each in alone]


def _calls(alone: Sequence[LoneRequest], stage: str) -> list[float]:
    return [each.period.total("stt_batch_windows_count", stage=stage) for each in alone]


def _line(
    fixed: Sequence[float], growing: Sequence[float], cost: Sequence[float]
) -> tuple[float, float]:
    """Non-negative costs of one unit of `fixed` and of `growing`."""
    columns = np.column_stack([fixed, growing])
    a, b = np.linalg.lstsq(columns, np.asarray(cost), rcond=None)[0].tolist()
    if a >= 0 and b >= 0:
        return a, b
    if a < 0:
        return 0.0, float(np.sum(cost) / np.sum(growing))
    return float(np.sum(cost) / np.sum(fixed)), 0.0
