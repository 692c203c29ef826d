"""Who is calling, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a caller may use; None: as much as they like."""

    requests_per_minute: int | None = None
    audio_seconds_per_minute: float | None = None
    max_concurrent: int | None = None
    """Requests and live sessions at once."""
    max_upload_bytes: int | None = None
    """Of one request's body; the server's own limit holds as well."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credentials were checked, or anybody where the server is open."""

    id: str
    """What limits and usage are counted by: `key:NAME`, `oidc:SUBJECT` or `address:IP`."""
    name: str
    """For logs and metrics: the key's or the token's name; `anonymous` where the server is open."""
    allowance: Allowance = Allowance()
    models: frozenset[str] | None = None
    """Names of models they may use; None: all."""
    is_administrator: bool = False
    key_id: str | None = None
    """Which of the name's API keys was sent."""
    session: Mapping[str, Any] | None = None
    """The realtime session that a client secret was made for."""

    def may_use(self, *names: str) -> bool:
        """Whether a model is theirs that has these names."""
        return self.models is None or not self.models.isdisjoint(names)
