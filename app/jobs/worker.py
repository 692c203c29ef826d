"""The worker: takes entries off the queue, and is started again whenever it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import structlog

from app.errors import Overloaded, reason_of
from app.jobs.queue import QUEUE, Queue, TaskName
from app.setting_groups import JobsSettings

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 10.0
"""Time for running jobs to end when the process stops; the others are given back to the queue."""

FOR_OTHERS = 4
"""Places beside those that jobs of one owner may have, two of which its batches may take: long
recordings, or hosts of urls that are slow, keep theirs for hours."""

RESTART_SECONDS = 2.0
POLL_SECONDS = 2.0
"""Between looks at the queue, beside PostgreSQL's notifications."""

Handler = Callable[[str], Awaitable[None]]


async def work(queue: Queue, handlers: Mapping[TaskName, Handler], settings: JobsSettings) -> None:
    """Run entries of the queue until cancelled: `concurrency` jobs of one owner at once.

    Cancelling stops the taking, and cancels what still runs after DRAIN_SECONDS.
    """
    # Its lines about each entry are ours to write.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    for name, handler in handlers.items():
        queue.app.task(name=name, queue=QUEUE)(_task(handler))
    while True:
        try:
            await queue.app.run_worker_async(
                queues=[QUEUE],
                concurrency=settings.concurrency + FOR_OTHERS,
                install_signal_handlers=False,
                delete_jobs="always",
                fetch_job_polling_interval=POLL_SECONDS,
                shutdown_graceful_timeout=DRAIN_SECONDS,
                update_heartbeat_interval=settings.heartbeat_seconds,
                stalled_worker_timeout=settings.stalled_seconds,
            )
            # Without the database it ends in this way too.
            log.warning("jobs_worker_ended")
        except Exception as error:
            log.warning("jobs_worker_failed", error=reason_of(error))
        await asyncio.sleep(RESTART_SECONDS)


def _task(handler: Handler) -> Callable[..., Awaitable[None]]:
    async def run(id: str) -> None:
        try:
            await handler(id)
        except Overloaded as error:
            log.warning("jobs_entry_failed", id=id, error=reason_of(error.__cause__ or error))
        except Exception:
            log.exception("jobs_entry_failed", id=id)

    return run
