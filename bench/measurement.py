"""A whole run: the server under load, and its baselines in between, each in its own process."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.models.loading import local_profile
from app.services import models_directory
from app.settings import read_settings
from bench import load
from bench.chosen_model import directory_of
from bench.engine_setup import EngineSetup
from bench.figures import (
    EngineSlice,
    Figures,
    IdleOverhead,
    Latency,
    LongRecording,
    MixedLoad,
    ServerLevel,
    SweepPoint,
    Traffic,
)
from bench.recordings import Clip, long_recording, one_window, short_clips
from bench.server import Period, Server, Snapshot, running
from bench.words import Words

IDLE_CLIP_SECONDS, MIXED_CLIP_SECONDS = 10.0, 5.0
MAX_IDLE_REQUESTS = 20  # per round, of each of the two
SWEEP_SECONDS = 1.0  # per batch size, for encoding and for generating


@dataclass(frozen=True, slots=True)
class Plan:
    """Amounts and durations of a run."""

    random: bool
    settings: Mapping[str, str]
    """The server's environment variables."""
    clips: int
    """Number of short clips used: the first ones, which are shorter."""
    idle_rounds: int
    idle_seconds: float
    """Per round, of server and of direct calls."""
    concurrency: tuple[int, ...]
    level_seconds: float
    slice_seconds: float
    mixed_clips: int
    long_seconds: float


def setup_of(snapshot: Snapshot, model: str) -> EngineSetup:
    """The engine's setup by the server's metrics and the model's profile."""
    info = snapshot.labels("stt_engine_info")
    profile = local_profile(model, models_directory(read_settings()))
    return EngineSetup(
        model_dir=str(directory_of(model)),
        device=info["device"],
        compute_type=info["compute_type"],
        workers=int(info["workers"]),
        threads_per_worker=int(info["threads_per_worker"]),
        beam_size=int(info["beam_size"]),
        max_batch_size=int(info["max_batch_size"]),
        window_seconds=profile.window_seconds,
        max_gap_seconds=profile.max_gap_seconds,
        max_new_tokens=profile.max_new_tokens,
        context_margin_seconds=profile.context_margin_seconds,
    )


class Measurement:
    """A run; its methods fill `figures` in order."""

    def __init__(self, plan: Plan, progress: "tqdm[Any]") -> None:
        self._plan = plan
        self._progress = progress
        progress.reset(plan.idle_rounds + 3 * len(plan.concurrency) + 3 + plan.random)

    def run(self) -> Figures:
        with running(["app"], self._plan.settings) as server:
            setup = setup_of(server.snapshot(), self._plan.settings["VERBATIM_MODEL"])
            clips = short_clips(setup)[: self._plan.clips]
            figures = Figures(setup, has_words=not self._plan.random)
            figures.idle = self._idle(server, one_window(clips, IDLE_CLIP_SECONDS), setup)
            self._levels(server, clips, figures)
            long = long_recording(self._plan.long_seconds, setup)
            clip = one_window(clips, MIXED_CLIP_SECONDS)
            figures.mixed = self._mixed(server, long, clip)
            figures.long = self._long(server, long, setup)
        figures.naive = self._naive(clips, setup)
        if self._plan.random:
            points = baseline("bare_engine", "sweep", SWEEP_SECONDS, self._plan.clips, setup)
            figures.sweep = [SweepPoint(**point) for point in points]
            self._done("batch sweep")
        return figures

    def _idle(self, server: Server, clip: Clip, setup: EngineSetup) -> IdleOverhead:
        upload = load.Upload.of(clip)
        first = asyncio.run(load.one_at_a_time(server.base_url, upload, 1))[0]
        count = max(1, min(MAX_IDLE_REQUESTS, round(self._plan.idle_seconds / first)))
        over_http: list[float] = []
        direct: list[float] = []
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            Path(file.name).write_bytes(clip.wav)
            for _ in range(self._plan.idle_rounds):
                over_http += asyncio.run(load.one_at_a_time(server.base_url, upload, count))
                direct += baseline("direct", file.name, count, setup)
                self._done("idle overhead")
        return IdleOverhead(server=Latency.of(over_http), direct=Latency.of(direct))

    def _levels(self, server: Server, clips: list[Clip], figures: Figures) -> None:
        """Run the bare engine before and after each level, so that noise affects both."""
        figures.slices.append(self._slice(figures.setup))
        for concurrency in self._plan.concurrency:
            traffic, before, after = asyncio.run(
                load.closed_loop(
                    server.base_url,
                    clips,
                    concurrency,
                    self._plan.level_seconds,
                    server.snapshot,
                )
            )
            period = Period(before, after)
            figures.levels.append(server_level(traffic, period, figures.setup.workers))
            self._done(f"{concurrency} clients")
            figures.slices.append(self._slice(figures.setup))

    def _slice(self, setup: EngineSetup) -> EngineSlice:
        plan = self._plan
        figures = baseline("bare_engine", "slice", plan.slice_seconds, plan.clips, setup)
        self._done("bare engine")
        return EngineSlice(**{**figures, "words": Words(**figures["words"])})

    def _mixed(self, server: Server, recording: Clip, beside: Clip) -> MixedLoad:
        clip, long = load.Upload.of(beside), load.Upload.of(recording)
        count = self._plan.mixed_clips
        idle = Latency.of(asyncio.run(load.one_at_a_time(server.base_url, clip, count)))
        # Less often on slow devices, where the clips alone would be too much load.
        interval_seconds = max(1.0, 3 * idle.p50_seconds)
        loaded = asyncio.run(load.beside(server.base_url, long, clip, count, interval_seconds))
        self._done("mixed load")
        return MixedLoad(long.audio_seconds, interval_seconds, idle=idle, loaded=Latency.of(loaded))

    def _long(self, server: Server, recording: Clip, setup: EngineSetup) -> LongRecording:
        upload = load.Upload.of(recording, stream="true")
        long = asyncio.run(load.stream_long(server.base_url, upload, server.resident_bytes))
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            Path(file.name).write_bytes(recording.wav)
            found = baseline("batched_pipeline", file.name, setup)
        self._done("long recording")
        words = Words.of([(recording.text, found["text"])])
        return replace(long, pipeline_seconds=found["seconds"], pipeline_words=words)

    def _naive(self, clips: list[Clip], setup: EngineSetup) -> list[Traffic]:
        levels = []
        with running(["bench.naive_server", setup.to_json()], {}) as server:
            for concurrency in self._plan.concurrency:
                traffic, _, _ = asyncio.run(
                    load.closed_loop(
                        server.base_url,
                        clips,
                        concurrency,
                        self._plan.level_seconds / 2,
                        lambda: None,
                    )
                )
                levels.append(traffic)
                self._done(f"naive server, {concurrency} clients")
        return levels

    def _done(self, step: str) -> None:
        self._progress.set_postfix_str(step)
        self._progress.update()


def server_level(traffic: Traffic, period: Period, workers: int) -> ServerLevel:
    busy_seconds = period.total("stt_device_busy_seconds_total")
    return ServerLevel(
        traffic=traffic,
        decoded_windows_per_second=period.total("stt_windows_total") / period.seconds,
        mean_encode_batch=period.mean("stt_batch_windows", stage="encode"),
        mean_decode_batch=period.mean("stt_batch_windows", stage="decode"),
        device_busy_share=busy_seconds / period.seconds / workers,
        loop_lag_seconds=period.worst("stt_event_loop_lag_seconds"),
        cpu_ms_per_window=1000 * period.cpu_seconds / period.seconds / traffic.windows_per_second,
    )


def baseline(module: str, *arguments: object) -> Any:
    """Run a module of bench in a process of its own; returns the JSON that it prints."""
    words = [a.to_json() if isinstance(a, EngineSetup) else str(a) for a in arguments]
    # As in the server: several threads for one small matrix product are slower than one.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", *words],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(finished.stdout)
