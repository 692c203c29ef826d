"""Models under a prefix of an object store or a directory: s3://, gs://, file://."""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from app.models.download.progress import Progress
from app.models.download.room import require_room
from app.models.download.source import Part, SourceFailed, leave_only
from app.models.manifest import (
    FILE_NAME,
    PROFILE,
    Digest,
    Manifest,
    has_digest,
    is_model_file,
    missing_files,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import RetryConfig

CHUNK_BYTES = 8 << 20

RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
"""obstore's default takes three minutes to fail without a network."""


def fetch(url: str, folder: Path, progress: Progress) -> tuple[None, dict[str, Digest]]:
    """Download the files of a prefix into the folder, resuming a broken fetch.

    Returns the digests of the manifest beside the files, if there is one. Raises SourceFailed,
    SetupError where the disk is too small, and Cancelled.
    """
    try:
        store = _store(url)
        # Without subfolders: a model has none, and a bucket may have a million.
        found = {meta["path"]: meta for meta in store.list_with_delimiter()["objects"]}
        if missing := missing_files(list(found)):
            raise SourceFailed(f"no {' and no '.join(missing)} there")
        stated = _manifest(store) if FILE_NAME in found else {}
        wanted = [name for name in found if is_model_file(name) or name == PROFILE]
        parts = [
            Part(folder, name, _version(found[name]), found[name]["size"])
            for name in wanted
            if not has_digest(folder / name, stated.get(name))
        ]
        total, here = sum(part.size for part in parts), sum(part.have for part in parts)
        require_room(folder, total - here)
        progress.begin("pulling", total, here)
        for part in parts:
            _resume(store, part, found[part.name], progress)
        for part in parts:
            part.finish()
    except BaseError as error:
        raise SourceFailed(_one_line(error)) from error
    leave_only(folder, wanted)
    return None, stated


def _store(url: str) -> ObjectStore:
    try:
        return from_url(url) if url.startswith("file:") else from_url(url, retry_config=RETRIES)
    except ValueError as error:
        raise SourceFailed(_one_line(error)) from error


def _manifest(store: ObjectStore) -> dict[str, Digest]:
    text = bytes(store.get(FILE_NAME).bytes())
    try:
        files = Manifest.model_validate_json(text).files
    except ValueError:
        raise SourceFailed(f"{FILE_NAME} there is damaged") from None
    return {name: digest for name, digest in files.items() if is_model_file(name)}


def _resume(store: ObjectStore, part: Part, meta: "ObjectMeta", progress: Progress) -> None:
    """Append the missing bytes of an object."""
    have = part.have
    if have >= part.size:
        if not part.size:
            part.path.touch()
        return
    answer = store.get(part.name, options={"range": {"offset": have}})
    if _version(answer.meta) != _version(meta):
        raise SourceFailed(f"{part.name} was replaced meanwhile")
    with part.path.open("ab") as file:
        for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
            file.write(chunk)
            progress.add(len(chunk))


def _version(meta: "ObjectMeta") -> str:
    return meta["e_tag"] or meta["last_modified"].isoformat()


def _one_line(error: Exception) -> str:
    """The message without the chain of causes, which obstore appends to it."""
    return re.sub(r"\s+", " ", str(error).split("\n\n")[0]).strip()[:300]
