"""What is posted to a webhook: a thin payload, signed as OpenAI's clients check it.

The Standard Webhooks specification has the headers: id, timestamp, and a signature of both and the
body by each secret that counts.
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from psycopg.rows import DictRow
from standardwebhooks import Webhook

from app.jobs.encryption import Encryption
from app.openai.responses import compact

SECRET_BYTES = 32


def new_secret() -> str:
    """A signing secret as clients take it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def secret_hint(secret: str) -> str:
    """What tells one secret from another to their owner."""
    return f"whsec_...{secret[-4:]}"


def payload(id: str, type: str, object_id: str, created_at: datetime) -> str:
    """The body: what has happened to which object, and nothing of what the object holds."""
    return compact(
        {
            "id": id,
            "object": "event",
            "type": type,
            "created_at": int(created_at.timestamp()),
            "data": {"id": object_id},
        }
    )


def secrets_of(row: DictRow, at: datetime, encryption: Encryption) -> list[str]:
    """The secret of an endpoint, and the old one while it counts. Raises InvalidRequest."""
    sealed = [row["secret"]]
    if row["old_secret"] is not None and at < row["old_secret_until"]:
        sealed.append(row["old_secret"])
    return [encryption.decrypt(each) for each in sealed]


def signed(id: str, sent_at: datetime, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of a body. `id` is the event's, the same in each attempt."""
    moment = sent_at.astimezone(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(each).sign(id, moment, body) for each in secrets),
    }
