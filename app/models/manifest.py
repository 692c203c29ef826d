"""The files of a model, and the manifest of their digests."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import SetupError

FILE_NAME = "manifest.json"
WEIGHTS = "model.bin"
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
REQUIRED = ("config.json", WEIGHTS, "tokenizer.json", "vocabulary.*")
"""Patterns. Without `tokenizer.json`, faster-whisper would ask the hub for one at every start."""
READ = ("config.json", WEIGHTS, "tokenizer.json", *VOCABULARIES, "preprocessor_config.json")
"""Files that CTranslate2 and faster-whisper read (faster_whisper/utils.py)."""
PROFILE = "verbatim.json"
"""File that Verbatim reads besides. An operator may write it, so it has no digest."""

BLOCK_BYTES = 1 << 20


class Digest(BaseModel):
    """The expected size and hash of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    """Bytes."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The source of a model and the digests of its files, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """The name, hub id or URL that was pulled."""
    revision: str | None = None
    """The commit of the hub's repository."""
    files: dict[str, Digest]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(digest.size for digest in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder, atomically."""
        text = self.model_dump_json(indent=2)
        unfinished = folder / f".{FILE_NAME}"
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.replace(folder / FILE_NAME)


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest; None if there is none. Raises SetupError for a damaged one."""
    path = folder / FILE_NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise SetupError(f"{path} is damaged") from None


def model_files(folder: Path) -> list[Path]:
    """The folder's files that loading a model reads, sorted."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if is_model_file(path.name) and path.is_file()]


def is_model_file(name: str) -> bool:
    return name in READ


def missing_files(names: list[str]) -> list[str]:
    """The patterns of REQUIRED that no model file among `names` matches."""
    files = [name for name in names if is_model_file(name)]
    return [each for each in REQUIRED if not any(fnmatch(name, each) for name in files)]


def has_digest(path: Path, digest: Digest | None) -> bool:
    """Has the file the digest? False for a missing file, and for an unknown digest."""
    if digest is None or not path.is_file() or path.stat().st_size != digest.size:
        return False
    return digest_of(path) == digest


def digest_of(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> Digest:
    """The digest of a file; `on_bytes` is called with the size of each block read."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            sha256.update(block)
            size += len(block)
            on_bytes(len(block))
    return Digest(size=size, sha256=sha256.hexdigest())


def differences(
    folder: Path, files: Mapping[str, Digest], on_bytes: Callable[[int], None] = lambda count: None
) -> Iterator[str]:
    """The differences between a folder and `files`: one phrase for each file.

    A model file of the folder that is not in `files` is a difference, too.
    """
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif (size := path.stat().st_size) != expected.size:
            yield f"{name} has {size:,} bytes instead of {expected.size:,}"
        elif digest_of(path, on_bytes).sha256 != expected.sha256:
            yield f"{name} does not have its digest"
    for path in model_files(folder):
        if path.name not in files:
            yield f"{path.name} is not one of its files"
