"""Webhooks: events are posted to the endpoints of their owners, signed, until one answers 2xx.

Payloads are thin: what happened to which object. Whoever receives one asks for the object.
"""

import asyncio
from collections import Counter
from contextlib import suppress

import structlog
from psycopg.rows import DictRow

from app.errors import InvalidRequest
from app.fetch.fetcher import Fetcher
from app.jobs import delivery_table, webhook_table
from app.jobs.database import Connection, DatabaseUnavailable
from app.jobs.delivery_table import DELIVERIES
from app.jobs.store import JobStore
from app.jobs.webhook_message import payload, secrets_of, signed
from app.telemetry import metrics

log = structlog.get_logger(__name__)

AT_ONCE = 16
OF_ONE_OWNER = 4
"""Attempts at once: the slow receivers of one owner do not hold up those of others."""

LOOK_SECONDS = 5.0
"""Between looks for deliveries that are due, beside notifications of new ones."""

GONE = 410


class Deliveries:
    """Delivers what is due; each process does, whatever its role."""

    def __init__(self, store: JobStore, fetcher: Fetcher) -> None:
        self._store = store
        self._fetcher = fetcher
        self._running = Counter[str]()
        """Attempts of each owner."""

    async def run(self) -> None:
        """Deliver until cancelled."""
        with self._store.changes.watch(DELIVERIES) as changed:
            async with asyncio.TaskGroup() as group:
                while True:
                    changed.clear()
                    while (delivery := await self._next()) is not None:
                        self._running[delivery["owner"]] += 1
                        attempt = group.create_task(self._attempt(delivery))
                        attempt.add_done_callback(lambda _: changed.set())
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await changed.wait()

    async def _next(self) -> DictRow | None:
        if self._running.total() >= AT_ONCE:
            return None
        busy = [owner for owner, count in self._running.items() if count >= OF_ONE_OWNER]
        try:
            async with self._store.database.transaction() as connection:
                return await delivery_table.take_due(connection, busy)
        except DatabaseUnavailable:
            return None
        except Exception:
            log.exception("deliveries_failed")
            return None

    async def _attempt(self, delivery: DictRow) -> None:
        try:
            status = await self._status(delivery)
            async with self._store.database.transaction() as connection:
                outcome = await _note(connection, delivery, status)
            metrics.WEBHOOK_DELIVERIES.labels(outcome).inc()
        except DatabaseUnavailable:
            log.warning("delivery_not_noted", event_id=delivery["event_id"], note="is repeated")
        except Exception:
            log.exception("delivery_failed", event_id=delivery["event_id"])
        finally:
            self._running[delivery["owner"]] -= 1
            if not self._running[delivery["owner"]]:
                del self._running[delivery["owner"]]

    async def _status(self, delivery: DictRow) -> int | None:
        """The status of the answer; None if there is none."""
        id, at = delivery["event_id"], delivery["sent_at"]
        body = payload(id, delivery["type"], delivery["object_id"], delivery["created_at"])
        try:
            headers = signed(id, at, body, secrets_of(delivery, at, self._store.encryption))
            url, owner = delivery["url"], delivery["owner"]
            return await self._fetcher.post(url, body.encode(), headers, owner)
        except InvalidRequest as error:
            log.info("delivery_unanswered", endpoint=delivery["endpoint_id"], reason=repr(error))
            return None
        except Exception:
            # Unforeseen, of the receiver or of the file of keys: counted as well, or the attempt
            # would be repeated each minute, for ever.
            log.exception("delivery_failed", event_id=id)
            return None


async def _note(connection: Connection, delivery: DictRow, status: int | None) -> str:
    """Note how the attempt has ended; returns the outcome."""
    if status is not None and 200 <= status < 300:
        await delivery_table.end_delivery(connection, delivery, status, is_delivered=True)
        return "delivered"
    if status == GONE:
        await delivery_table.end_delivery(connection, delivery, status, is_delivered=False)
        if not delivery["is_default"]:  # whose receivers are as many as its jobs name
            await webhook_table.disable(connection, delivery["endpoint_id"])
        return "disabled"
    delays = delivery_table.RETRY_SECONDS
    if delivery["attempts"] > len(delays):
        await delivery_table.end_delivery(connection, delivery, status, is_delivered=False)
        return "failed"
    seconds = delays[delivery["attempts"] - 1]
    await delivery_table.retry_delivery(connection, delivery, status, seconds)
    return "retried"
