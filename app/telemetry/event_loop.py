"""How late the event loop is: what blocks it blocks every client at once."""

import asyncio
import time

from app.telemetry import metrics

_INTERVAL_SECONDS = 0.02


async def watch_lag() -> None:
    """Measure for as long as the task lives."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(_INTERVAL_SECONDS)
        lag = time.perf_counter() - started - _INTERVAL_SECONDS
        metrics.EVENT_LOOP_LAG_SECONDS.observe(max(0.0, lag))
