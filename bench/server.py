"""A server in a process of its own, and its `/metrics`."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import bound_port

START_SECONDS = 300  # a GPU may compile kernels for the first time
STOP_SECONDS = 60

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Metrics and CPU time of a server at one moment."""

    at: float
    cpu_seconds: float
    samples: Mapping[Sample, float]

    def labels(self, name: str) -> dict[str, str]:
        return next(dict(labels) for sample, labels in self.samples if sample == name)


@dataclass(frozen=True, slots=True)
class Period:
    """Changes between two snapshots."""

    start: Snapshot
    end: Snapshot

    @property
    def seconds(self) -> float:
        return self.end.at - self.start.at

    @property
    def cpu_seconds(self) -> float:
        return self.end.cpu_seconds - self.start.cpu_seconds

    def total(self, name: str, **labels: str) -> float:
        """Growth of a counter, summed over all labels that are not named."""
        return sum(
            value - self.start.samples.get(sample, 0.0)
            for sample, value in self.end.samples.items()
            if sample[0] == name and labels.items() <= dict(sample[1]).items()
        )

    def mean(self, name: str, **labels: str) -> float:
        """Mean of a histogram's new observations; 0 if there are none."""
        return self.total(f"{name}_sum", **labels) / max(1, self.total(f"{name}_count", **labels))

    def worst(self, name: str) -> float | None:
        """Upper bound of the highest bucket with a new observation; None beyond the last one."""
        buckets = sorted(
            (float(dict(labels)["le"]), value - self.start.samples.get((family, labels), 0.0))
            for (family, labels), value in self.end.samples.items()
            if family == f"{name}_bucket"
        )
        observations = buckets[-1][1]
        bound = next(bound for bound, count in buckets if count == observations)
        return None if math.isinf(bound) else bound


class Server:
    def __init__(self, base_url: str, process: psutil.Process) -> None:
        self.base_url = base_url
        self._process = process

    @property
    def process(self) -> psutil.Process:
        return self._process

    def resident_bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def snapshot(self) -> Snapshot:
        text = httpx.get(f"{self.base_url}/metrics").raise_for_status().text
        cpu = self._process.cpu_times()
        return Snapshot(time.perf_counter(), cpu.user + cpu.system, samples_in(text))


def samples_in(text: str) -> dict[Sample, float]:
    """Values of a page of metrics."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[Server]:
    """Start `python -m <command>` on a free port, set by Verbatim's own environment variables."""
    address = {"VERBATIM_SERVER__HOST": "127.0.0.1", "VERBATIM_SERVER__PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env={**os.environ, **settings, **address}
    )
    try:
        port = bound_port(process, START_SECONDS)
        server = Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        wait_until_ready(process, server.base_url)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_ready(process: subprocess.Popen[bytes], base_url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            if httpx.get(f"{base_url}/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"no server on {base_url} after {START_SECONDS} s")
