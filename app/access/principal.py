"""Callers and their permissions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits of one caller; None: no limit."""

    requests_per_minute: int | None = None
    audio_seconds_per_minute: float | None = None
    max_concurrent: int | None = None
    """Requests and live sessions at the same time."""
    max_upload_bytes: int | None = None
    """Of one request's body; the server's own limit applies as well."""
    max_queued_seconds: float | None = None
    """Of audio in unfinished jobs; None: the server's own limit."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller, or an anonymous one of an open server."""

    id: str
    """Identifies the caller in limits and usage: `key:NAME`, `oidc:SUBJECT` or `address:IP`."""
    name: str
    """For logs and metrics: the name of the key or token; `anonymous` if the server is open."""
    allowance: Allowance = Allowance()
    models: frozenset[str] | None = None
    """Names of the models that may be used; None: all."""
    is_administrator: bool = False
    key_id: str | None = None
    """Id of the API key that was sent."""
    weight: int = 1
    """Turns on the device for each turn of a caller of weight 1, from 1 to MAX_WEIGHT."""
    expires_at: int | None = field(default=None, compare=False)
    """Unix second at which the access token expires; None: not known, or an API key."""
    session: Mapping[str, Any] | None = None
    """The realtime session that a client secret was issued for."""

    @property
    def is_anonymous(self) -> bool:
        """True for a caller of an open server."""
        return self.id.startswith("address:")

    def may_use(self, *names: str) -> bool:
        """True if the model that has these names may be used."""
        return self.models is None or not self.models.isdisjoint(names)
