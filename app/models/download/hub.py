"""Models of the hub at one revision: from the hub's cache on this machine, or by a resumable
download.

Not by faster-whisper's own download: since huggingface-hub 2 a file that was broken off begins
again, 3 GB for `large-v3`; and its threads keep a process that should end.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import httpx

from app.models.download.progress import Progress
from app.models.download.room import require_room
from app.models.download.source import Part, SourceFailed, leave_only
from app.models.manifest import Digest, has_digest, is_model_file, missing_files, model_files

TIMEOUT_SECONDS = 10.0
TRIES = 5
"""Attempts for a file whose connection breaks during the transfer."""


def fetch_cached(
    repository: str, revision: str | None, folder: Path, progress: Progress
) -> tuple[str | None, dict[str, Digest]]:
    """Copy a repository's files from the hub's cache, which other programs share.

    Returns the revision, and the digests by which the cache names its files. Raises SourceFailed,
    and SetupError where the disk is too small.
    """
    from huggingface_hub import snapshot_download

    try:
        cached = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except Exception:  # the hub's client raises errors of several libraries
        raise SourceFailed from None
    paths = model_files(cached)
    if missing_files([path.name for path in paths]):
        raise SourceFailed
    sizes = {path.name: path.stat().st_size for path in paths}
    stated = {
        path.name: Digest(size=sizes[path.name], sha256=blob)
        for path in paths
        if re.fullmatch("[0-9a-f]{64}", blob := path.resolve().name)
    }
    require_room(folder, sum(sizes.values()))
    progress.begin("pulling", sum(sizes.values()))
    for path in paths:
        (folder / path.name).unlink(missing_ok=True)
        shutil.copyfile(path, folder / path.name)
        progress.add(sizes[path.name])
    leave_only(folder, sizes)
    return cached.name, stated


def fetch(
    repository: str, revision: str | None, folder: Path, progress: Progress
) -> tuple[str, dict[str, Digest]]:
    """Download a repository's files into the folder, resuming a broken fetch.

    Returns the revision, by default the newest one, and the digests that the hub states. Raises
    SourceFailed, SetupError where the disk is too small, and Cancelled.
    """
    from huggingface_hub import hf_hub_url

    about = _about(repository, revision)
    files = {each.rfilename: each for each in about.siblings or [] if is_model_file(each.rfilename)}
    if missing := missing_files(list(files)):
        raise SourceFailed(f"no {' and no '.join(missing)} in {repository}")
    stated = {name: digest for name, each in files.items() if (digest := _stated(each))}
    parts = [
        Part(folder, name, about.sha, each.size)
        for name, each in files.items()
        if not has_digest(folder / name, stated.get(name))
    ]
    total, here = sum(part.size for part in parts), sum(part.have for part in parts)
    require_room(folder, total - here)
    progress.begin("pulling", total, here)
    for part in parts:
        _resume(hf_hub_url(repository, part.name, revision=about.sha), part, progress)
    for part in parts:
        part.finish()
    leave_only(folder, files)
    return about.sha, stated


def _about(repository: str, revision: str | None) -> Any:
    """The repository's files with sizes and digests, and the commit. Raises SourceFailed."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return HfApi().model_info(
            repository, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
    except GatedRepoError:
        raise SourceFailed(_not_allowed(repository)) from None
    except RepositoryNotFoundError:
        raise SourceFailed(
            f"{repository} is not there, or private: HF_TOKEN says who asks"
        ) from None
    except RevisionNotFoundError:
        raise SourceFailed(f"{repository} has no revision {revision}") from None
    except Exception as error:  # the hub's client raises errors of several libraries
        raise SourceFailed(_first_line(error)) from error


def _resume(url: str, part: Part, progress: Progress) -> None:
    """Append the missing bytes of a file, with retries if the connection breaks."""
    for remaining in reversed(range(TRIES)):
        have = part.have
        try:
            _append(url, part, progress)
            return
        except httpx.HTTPError as error:
            # No retry if no byte came: there is no network.
            if part.have == have or not remaining:
                raise SourceFailed(_first_line(error)) from error


def _append(url: str, part: Part, progress: Progress) -> None:
    from huggingface_hub import get_token

    have = part.have
    if have >= part.size:
        if not part.size:
            part.path.touch()
        return
    headers = {"accept-encoding": "identity", "range": f"bytes={have}-"}
    if token := get_token():
        headers["authorization"] = f"Bearer {token}"
    with httpx.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT_SECONDS
    ) as answer:
        if answer.status_code in (401, 403):
            raise SourceFailed(_not_allowed(part.name))
        if answer.status_code >= 400:
            raise SourceFailed(f"{part.name}: {answer.status_code} {answer.reason_phrase}")
        is_rest = answer.status_code == 206
        if not is_rest:
            progress.add(-have)
        with part.path.open("ab" if is_rest else "wb") as file:
            for chunk in answer.iter_raw():
                file.write(chunk)
                progress.add(len(chunk))


def _not_allowed(what: str) -> str:
    return f"{what} is gated: accept its terms there, and say in HF_TOKEN who asks"


def _stated(file: Any) -> Digest | None:
    """The digest of a file that is stored by its digest (LFS); the hub states none for others."""
    if file.lfs is None:
        return None
    return Digest(size=file.lfs.size, sha256=file.lfs.sha256)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
