"""Models on this machine: in the models directory, and built into an image."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import SetupError
from app.models.download.lock import locked_now
from app.models.download.room import no_room
from app.models.known import known_name, table
from app.models.manifest import (
    Digest,
    differences,
    missing_files,
    model_files,
    read_manifest,
)

PARTIAL = ".partial"
"""Folder of the models directory for incomplete models."""

OBJECT_URL = re.compile(r"(s3|gs|file)://(.+)")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?", re.ASCII)

MAX_NAME = 120
"""Characters of a folder's name; file systems take 255 bytes, the hub 96."""


@dataclass(frozen=True, slots=True)
class ModelsDirectory:
    """Finds and verifies models; pulls none."""

    root: Path
    """The models directory, with one folder for each model; written to by `pull`."""
    built_in: Path | None = None
    """A second, read-only models directory, searched after `root`."""
    offline: bool = False
    """No network access."""

    def find(self, source: str) -> Path | None:
        """The folder of a model with all required files; None if the model must be pulled.

        Raises SetupError for a source that can be no model's, and for a directory without a model.
        """
        with os_errors_in_one_line(self.root):
            if is_directory(source):
                return complete(Path(os.path.expanduser(source)))
            for root in self._roots():
                folder = root / folder_name(source)
                is_whole = not missing_files([path.name for path in model_files(folder)])
                if is_whole and _has_revision(source, folder):
                    return folder
        return None

    def check(self, source: str, on_bytes: Callable[[int], None] = lambda count: None) -> Path:
        """The folder of a model, after comparing the digest of every file.

        A directory without a manifest has nothing to compare with. `on_bytes` is called with the
        size of each block read. Raises SetupError for a missing or damaged model.
        """
        folder = self.find(source)
        if folder is None:
            raise SetupError(f"{source} is not in {self.root}; {how_to_pull(source)}")
        try:
            expected = expected_files(source, folder)
        except SetupError as error:  # a damaged manifest
            raise SetupError(f"{error}; {how_to_pull(source)}") from None
        with os_errors_in_one_line(self.root):
            wrong = list(differences(folder, expected, on_bytes)) if expected else []
        if wrong:
            raise SetupError(
                f"the model in {folder} is damaged: {'; '.join(wrong)}; {how_to_pull(source)}"
            )
        return folder

    def installed(self) -> Iterator[Path]:
        """The folders of all models, built-in ones last."""
        for root in self._roots():
            if root.is_dir():
                folders = (path for path in root.iterdir() if not path.name.startswith("."))
                yield from sorted(path for path in folders if model_files(path))

    def remove(self, source: str) -> bool:
        """Delete a model of the models directory, and the remains of a broken pull of it.

        False if there is nothing to delete. Raises SetupError while the model is being pulled.
        """
        unfinished = self.partial(source)
        paths = [self.root / folder_name(source), unfinished, damaged(unfinished)]
        found = [path for path in paths if os.path.lexists(path)]
        if found:
            with locked_now(unfinished) as is_ours:
                if not is_ours:
                    raise SetupError(f"{source} is being pulled now; stop that first")
                for path in found:
                    remove(path)
        return bool(found)

    def require_root(self) -> None:
        """Make the models directory, if need be. Raises SetupError without a home directory."""
        if self.root.parts[:1] == ("~",):
            raise SetupError(
                f"there is no home directory for {self.root}: "
                "name where models are kept in VERBATIM_MODELS__DIRECTORY"
            )
        self.root.mkdir(parents=True, exist_ok=True)

    def partial(self, source: str) -> Path:
        """The folder in which a model is assembled by `pull`."""
        return self.root / PARTIAL / folder_name(source)

    def _roots(self) -> list[Path]:
        return [self.root] if self.built_in is None else [self.root, self.built_in]


def is_directory(source: str) -> bool:
    """Is the source a path, by its form or as an existing directory, and no name, hub id or URL?"""
    if OBJECT_URL.fullmatch(source) or known_name(source):
        return False
    # Not Path's: for a name that is too long it raises.
    return source.startswith(("/", "./", "../", "~")) or os.path.isdir(source)


def complete(folder: Path) -> Path:
    """The folder itself. Raises SetupError if required files are missing or empty."""
    if not folder.is_dir():
        raise SetupError(f"{folder} is no directory")
    names = [path.name for path in model_files(folder) if path.stat().st_size]
    if missing := missing_files(names):
        raise SetupError(
            f"{folder} is no CTranslate2 Whisper model: {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} missing or empty"
        )
    return folder


def expected_files(source: str, folder: Path) -> dict[str, Digest]:
    """The digests of a model's files: those of the table, else those recorded by the pull."""
    manifest = read_manifest(folder)
    files = dict(manifest.files) if manifest else {}
    name = known_name(source)
    return files | table()[name].files if name and not is_directory(source) else files


def folder_name(source: str) -> str:
    """The name of a model's folder. Raises SetupError for a source that can be no model's."""
    if name := known_name(source):
        return name
    source, _ = split_revision(source)
    if url := OBJECT_URL.fullmatch(source):
        rest = url[2].strip("/")
        name = re.sub(r"[^\w.-]", "-", f"{url[1]}--{rest.replace('/', '--')}", flags=re.ASCII)
        is_plain = re.fullmatch(r"[\w.-]+(/[\w.-]+)*", rest, re.ASCII) and "--" not in rest
        if is_plain and len(name) <= MAX_NAME:
            return name
        return f"{name[:MAX_NAME]}-{_hash(source)}"  # unique: another URL may have the same name
    # The hub allows neither `--` nor `..` in names, so each id has a folder of its own.
    if HUB_ID.fullmatch(source) and len(source) <= MAX_NAME and not re.search(r"--|\.\.", source):
        return source.replace("/", "--")
    raise SetupError(
        f"'{source[:200]}' is no model: neither a directory, nor a hub id as org/name, "
        f"nor an s3://, gs:// or file:// prefix, nor one of {', '.join(table())}"
    )


def split_revision(source: str) -> tuple[str, str | None]:
    """A hub id and its revision, as in `org/name@v1`; None where there is none."""
    if HUB_ID.fullmatch(source) and "@" in source:
        name, _, revision = source.partition("@")
        return name, revision
    return source, None


def how_to_pull(source: str) -> str:
    """The remedy for a model that is missing or damaged, for the operator."""
    if is_directory(source):
        return "copy it again"
    return f"`python -m app models pull {source}` brings it"


def source_of(folder: Path) -> str:
    """The source of a model's folder, by its manifest, else by the folder's name."""
    try:
        manifest = read_manifest(folder)
    except SetupError:
        manifest = None
    if manifest is not None:
        return known_name(manifest.source) or manifest.source
    return folder.name.replace("--", "/", 1)


@contextmanager
def os_errors_in_one_line(root: Path) -> Iterator[None]:
    """Raise SetupError for an OSError of the context."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(root, "it filled up on the way") from None
        raise SetupError(
            f"{error.filename or root}: {error.strerror or error}; "
            "VERBATIM_MODELS__DIRECTORY names where models are kept"
        ) from None


def damaged(unfinished: Path) -> Path:
    """The folder for a damaged model while it is being replaced."""
    return unfinished.with_name(f"{unfinished.name}.damaged")


def remove(path: Path) -> None:
    """Delete a folder, or a file or link in its place, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _has_revision(source: str, folder: Path) -> bool:
    """Has the folder the source's revision, as a commit or as the name that was pulled?"""
    _, revision = split_revision(source)
    if revision is None:
        return True
    try:
        manifest = read_manifest(folder)
    except SetupError:  # a damaged manifest is reported by `check`
        return True
    return manifest is not None and (manifest.source == source or manifest.revision == revision)
