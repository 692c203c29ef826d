"""Rows -> the bodies that routes answer with."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast

from psycopg.rows import DictRow

from app.jobs.place import Place
from app.openai.job_schemas import (
    Batch,
    FileObject,
    Job,
    JobQueue,
    JobResult,
    Upload,
    UploadPart,
)
from app.openai.webhook_schemas import WebhookDelivery, WebhookEndpoint

T = TypeVar("T")

_BATCH_TIMES = (
    "in_progress_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


def file_body(row: DictRow) -> FileObject:
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["bytes"],
        "created_at": _second(row["created_at"]),
        "expires_at": _second_or_none(row["expires_at"]),
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": "processed",
        "status_details": None,
    }


def upload_body(row: DictRow, file: FileObject | None) -> Upload:
    """`file`: of a completed upload."""
    return {
        "id": row["id"],
        "object": "upload",
        "bytes": row["bytes"],
        "created_at": _second(row["created_at"]),
        "expires_at": _second(row["expires_at"]),
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": "expired" if row["is_expired"] else row["status"],
        "file": file,
    }


def part_body(row: DictRow) -> UploadPart:
    return {
        "id": row["id"],
        "object": "upload.part",
        "created_at": _second(row["created_at"]),
        "upload_id": row["upload_id"],
    }


def batch_body(row: DictRow, eta_seconds: float | None = None) -> Batch:
    """`eta_seconds`: of a batch that is asked for alone."""
    body = {
        "id": row["id"],
        "object": "batch",
        "endpoint": row["endpoint"],
        "errors": None if row["errors"] is None else {"object": "list", "data": row["errors"]},
        "input_file_id": row["input_file_id"],
        "completion_window": row["completion_window"],
        "status": row["status"],
        "output_file_id": row["output_file_id"],
        "error_file_id": row["error_file_id"],
        "created_at": _second(row["created_at"]),
        "expires_at": _second(row["expires_at"]),
        **{name: _second_or_none(row[name]) for name in _BATCH_TIMES},
        "request_counts": {name: row[name] for name in ("total", "completed", "failed")},
        "metadata": row["metadata"],
        "eta_seconds": _tenths(eta_seconds),
    }
    return cast(Batch, body)


def job_body(row: DictRow, *, place: Place | None = None, result: JobResult | None = None) -> Job:
    """`place` and `result`: of a job that is asked for alone."""
    return {
        "id": row["id"],
        "object": "audio.job",
        "status": row["status"],
        "task": row["task"],
        "model": row["model"],
        "created_at": _second(row["created_at"]),
        "started_at": _second_or_none(row["started_at"]),
        "finished_at": _second_or_none(row["finished_at"]),
        "expires_at": _second(row["expires_at"]),
        "input": row["source"],
        "audio_seconds": row["audio_seconds"],
        "progress": {"seconds_done": round(row["seconds_done"], 3)},
        "queue": None if place is None else _queue(place),
        "batch_id": row["batch_id"],
        "custom_id": row["custom_id"],
        "metadata": row["metadata"],
        "attempts": row["attempts"],
        "error": None if row["error"] is None else row["error"]["error"],
        "result": result,
    }


def _queue(place: Place) -> JobQueue:
    return {"position": place.position, "eta_seconds": _tenths(place.eta_seconds)}


def endpoint_body(row: DictRow) -> WebhookEndpoint:
    return {
        "id": row["id"],
        "object": "webhook_endpoint",
        "name": row["name"],
        "url": row["url"],
        "event_types": row["event_types"],
        "created_at": _second(row["created_at"]),
        "updated_at": _second(row["updated_at"]),
        "signing_secret_hint": row["secret_hint"],
        "disabled_at": _second_or_none(row["disabled_at"]),
    }


def delivery_body(row: DictRow) -> WebhookDelivery:
    """`row`: of a delivery and its event."""
    return {
        "object": "webhook_delivery",
        "event_id": row["event_id"],
        "event_type": row["type"],
        "data": {"id": row["object_id"]},
        "created_at": _second(row["created_at"]),
        "attempts": row["attempts"],
        "last_status": row["last_status"],
        "next_attempt_at": _second_or_none(row["due_at"]),
        "delivered_at": _second_or_none(row["delivered_at"]),
    }


def list_body(rows: list[DictRow], has_more: bool, body: Callable[[DictRow], T]) -> dict[str, Any]:
    """A page of a list, as OpenAI has it."""
    return {
        "object": "list",
        "data": [body(row) for row in rows],
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": has_more,
    }


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _second(moment: datetime) -> int:
    return int(moment.timestamp())


def _second_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else _second(moment)
