"""`python -m bench.instrumentation`: the cost of metrics as a share of the work they count.

The whole application transcribes a recording repeatedly in this process. Every update of a metric
is timed. The timing itself counts as metrics, so the share is a little too high.
"""

import argparse
import asyncio
import time
from collections import Counter as Counts
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client import Counter, Gauge, Histogram

from app.application import create_app
from app.domain import SAMPLE_RATE
from app.settings import Settings, prepare_libraries
from app.telemetry import logging
from bench import chosen_model
from bench.recordings import ENGLISH, joined, wav
from bench.server import START_SECONDS

_UPDATES = (
    (Counter, "inc"),
    (Counter, "labels"),
    (Gauge, "inc"),
    (Gauge, "dec"),
    (Gauge, "set"),
    (Histogram, "observe"),
    (Histogram, "labels"),
)


class Spent:
    """Seconds in updates of metrics, and their number."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls: Counts[str] = Counts()

    def timed(self, name: str, update: Callable[..., Any]) -> Callable[..., Any]:
        def timed_update(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return update(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - started
                self.calls[name] += 1

        return timed_update


async def transcribe(requests: int, clients: int, model: str) -> None:
    """Send requests, `clients` at a time, and print the cost of metrics."""
    settings = {"model": model, "limits": {"max_wait_seconds": 600}}
    app = create_app(Settings.model_validate(settings))
    samples = joined(ENGLISH)
    content = wav(samples)
    slots = asyncio.Semaphore(clients)

    async def one(client: httpx.AsyncClient) -> None:
        async with slots:
            answer = await client.post(
                "/v1/audio/transcriptions",
                files={"file": ("samples.wav", content)},
                data={"model": "whisper-1"},
            )
            answer.raise_for_status()

    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(app=with_state, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://t", timeout=600) as http:
            await until_ready(http)
            spent, began = Spent(), time.process_time()
            for kind, name in _UPDATES:
                setattr(kind, name, spent.timed(f"{kind.__name__}.{name}", getattr(kind, name)))
            await asyncio.gather(*(one(http) for _ in range(requests)))
            cpu_seconds = time.process_time() - began
    calls = sum(spent.calls.values())
    seconds = len(samples) / SAMPLE_RATE
    each = f"{1e6 * spent.seconds / calls:.1f} us each"
    print(f"{requests} requests of {seconds:.0f} s: {calls} updates, {each}")
    print(f"{spent.seconds:.3f} s of {cpu_seconds:.2f} s CPU: {spent.seconds / cpu_seconds:.2%}")


async def until_ready(http: httpx.AsyncClient) -> None:
    """Wait for the model, which is loaded while the application serves."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            if (await http.get("/health/ready")).is_success:
                return
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.instrumentation", description=__doc__)
    parser.add_argument("--requests", type=int, default=10)
    parser.add_argument("--clients", type=int, default=4)
    chosen_model.add_argument(parser)
    arguments = parser.parse_args()
    chosen_model.directory_of(arguments.model)
    prepare_libraries()
    logging.configure("warning", "console", audit_batches=False)
    asyncio.run(transcribe(arguments.requests, arguments.clients, arguments.model))
