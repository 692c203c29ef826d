"""Lag of the event loop: blocking it blocks every client at once."""

import asyncio
import time
from collections.abc import Callable

from app.telemetry import metrics

_INTERVAL_SECONDS = 0.02


async def watch_lag(beat: Callable[[], None]) -> None:
    """Measure the lag until cancelled, and call `beat` each time."""
    loop = asyncio.get_running_loop()
    metrics.follow(metrics.EVENT_LOOP_TASKS, lambda: len(asyncio.all_tasks(loop)))
    while True:
        started = time.perf_counter()
        await asyncio.sleep(_INTERVAL_SECONDS)
        lag = time.perf_counter() - started - _INTERVAL_SECONDS
        metrics.EVENT_LOOP_LAG_SECONDS.observe(max(0.0, lag))
        beat()
