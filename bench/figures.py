"""Measurements of a run as plain values; field names are the keys of the JSON file."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.engine_setup import EngineSetup
from bench.words import Words


@dataclass(frozen=True, slots=True)
class Latency:
    p50_seconds: float
    p95_seconds: float
    requests: int

    @staticmethod
    def of(seconds: Sequence[float]) -> "Latency":
        p50, p95 = np.percentile(seconds, (50, 95)).tolist()
        return Latency(p50, p95, len(seconds))


@dataclass(frozen=True, slots=True)
class Traffic:
    """Measurements by the clients of one concurrency level."""

    concurrency: int
    requests_per_second: float
    audio_seconds_per_second: float
    windows_per_second: float
    """Windows as our server cuts them, for every server."""
    latency: Latency
    words: Words
    client_cpu_share: float
    """Of one core, spent by the load generator itself."""


@dataclass(frozen=True, slots=True)
class ServerLevel:
    """One level of load, with the server's own metrics."""

    traffic: Traffic
    decoded_windows_per_second: float
    """By the server's own count: including windows decoded twice, in steps of a batch."""
    mean_encode_batch: float
    mean_decode_batch: float
    device_busy_share: float
    """Share of the workers' time; 1 means that no worker ever waited."""
    loop_lag_seconds: float | None
    """Upper bound of the worst lag of the event loop; None: beyond the last bucket."""
    cpu_ms_per_window: float


@dataclass(frozen=True, slots=True)
class EngineSlice:
    """The bare engine with full batches, a few seconds long."""

    windows_per_second: float
    audio_seconds_per_second: float
    cpu_ms_per_window: float
    words: Words
    """Of windows that are whole recordings: the words of others are unknown."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """The bare engine, one worker, at one batch size."""

    batch_size: int
    encode_ms_per_window: float
    generate_ms_per_window: float


@dataclass(frozen=True, slots=True)
class IdleOverhead:
    """One recording of one window, one at a time: over HTTP, and directly in a process."""

    server: Latency
    direct: Latency

    @property
    def ratio(self) -> float:
        return self.server.p50_seconds / self.direct.p50_seconds


@dataclass(frozen=True, slots=True)
class MixedLoad:
    """A clip of about five seconds, on the idle server and beside a long recording."""

    long_seconds: float
    interval_seconds: float
    """From clip to clip."""
    idle: Latency
    loaded: Latency

    @property
    def p50_ratio(self) -> float:
        return self.loaded.p50_seconds / self.idle.p50_seconds

    @property
    def p95_ratio(self) -> float:
        return self.loaded.p95_seconds / self.idle.p50_seconds


@dataclass(frozen=True, slots=True)
class LongRecording:
    """A long recording, streamed to its end on the idle server."""

    seconds: float
    first_words_seconds: float
    """From the end of the upload to the first event."""
    added_bytes: int
    """Peak resident memory of the server minus resident memory before."""
    words: Words
    transcribed_seconds: float
    """From the start of the upload to the last event."""
    pipeline_seconds: float = 0.0
    """Of faster-whisper's BatchedInferencePipeline, for the same recording."""
    pipeline_words: Words = field(default_factory=lambda: Words(0, 0))

    @property
    def gain(self) -> float:
        return self.pipeline_seconds / self.transcribed_seconds


@dataclass(slots=True)
class Figures:
    """A whole run. Slices of the bare engine are before each level and after the last."""

    setup: EngineSetup
    has_words: bool
    """False with random weights, whose words mean nothing."""
    idle: IdleOverhead | None = None
    levels: list[ServerLevel] = field(default_factory=list)
    slices: list[EngineSlice] = field(default_factory=list)
    mixed: MixedLoad | None = None
    long: LongRecording | None = None
    naive: list[Traffic] = field(default_factory=list)
    sweep: list[SweepPoint] = field(default_factory=list)

    @property
    def best(self) -> ServerLevel:
        return max(self.levels, key=lambda level: level.traffic.windows_per_second)

    @property
    def slices_around_best(self) -> list[EngineSlice]:
        at = self.levels.index(self.best)
        return self.slices[at : at + 2]

    @property
    def engine_windows_per_second(self) -> float:
        return float(np.mean([part.windows_per_second for part in self.slices_around_best]))

    @property
    def engine_spread(self) -> float:
        """Between the fastest and the slowest slice of the run, over their mean."""
        rates = [part.windows_per_second for part in self.slices]
        return float((max(rates) - min(rates)) / np.mean(rates))

    @property
    def throughput_ratio(self) -> float:
        return self.best.traffic.windows_per_second / self.engine_windows_per_second

    @property
    def cpu_ratio(self) -> float:
        """CPU time of a window in the server over that in the bare engine; less noisy than wall."""
        engine = np.mean([part.cpu_ms_per_window for part in self.slices_around_best])
        return float(self.best.cpu_ms_per_window / engine)

    @property
    def words(self) -> dict[str, Words]:
        """Word errors of each system, over all its transcripts."""
        none = Words(0, 0)
        words = {
            "server": sum((level.traffic.words for level in self.levels), none),
            "naive server": sum((level.words for level in self.naive), none),
            "bare engine": sum((part.words for part in self.slices), none),
        }
        return {**words, "long recording": self.long.words} if self.long else words

    @property
    def naive_ratios(self) -> list[float]:
        """Requests per second, level by level."""
        return [
            level.traffic.requests_per_second / naive.requests_per_second
            for level, naive in zip(self.levels, self.naive, strict=True)
        ]
