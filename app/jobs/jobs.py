"""Jobs of a process: the store, and the housekeeping and, by role, the worker beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from app.jobs.batch_expansion import BatchExpander
from app.jobs.batch_output import BatchFinisher
from app.jobs.deliveries import Deliveries
from app.jobs.figures import keep_figures
from app.jobs.housekeeping import Housekeeping
from app.jobs.queue import TaskName
from app.jobs.runner import Runner
from app.jobs.store import JobStore
from app.jobs.worker import RESTART_SECONDS, Handler, work
from app.services import Services

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_jobs(services: Services) -> AsyncIterator[JobStore]:
    """The store, which opens in the background; leaving stops the worker and closes the store.

    A database that does not start leaves the rest of the server as it is.
    """
    settings = services.settings.jobs
    store = JobStore(settings, services.settings.access.signing_key)
    tasks = [
        asyncio.create_task(store.keep_open(), name="jobs-store"),
        asyncio.create_task(_when_open(store, services), name="jobs"),
    ]
    try:
        yield store
    finally:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await store.close()


async def _when_open(store: JobStore, services: Services) -> None:
    await store.opened.wait()
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "changes": store.changes.listen,
        "waiting callers": store.changes.keep_looking,
        "figures": partial(keep_figures, store),
        "deliveries": Deliveries(store, services.fetcher).run,
        # In every role: there are no workers while nothing waits, but windows and results end.
        "housekeeping": Housekeeping(store).run,
    }
    async with asyncio.TaskGroup() as group:
        for name, run in parts.items():
            group.create_task(_kept_running(name, run))
        if store.settings.role != "api":
            group.create_task(_work(store, services))


async def _kept_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a part until cancelled, and again after an error that nothing there has foreseen."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("jobs_part_failed", part=name)
        await asyncio.sleep(RESTART_SECONDS)


async def _work(store: JobStore, services: Services) -> None:
    """Run jobs once the models are there, until the process takes no more work."""
    await services.registry.opening.wait()
    handlers: dict[TaskName, Handler] = {
        "transcribe": Runner(store, services).run,
        "expand_batch": BatchExpander(store, services).run,
        "finish_batch": BatchFinisher(store).run,
    }
    working = asyncio.create_task(work(store.queue, handlers, store.settings))
    refusing = asyncio.create_task(services.lifecycle.refusing())
    try:
        await asyncio.wait({working, refusing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        refusing.cancel()
        working.cancel()
        await _ended(working)


async def _ended(task: asyncio.Task[None]) -> None:
    """Returns when the task has ended, even if cancelled meanwhile: it gives back its jobs."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
