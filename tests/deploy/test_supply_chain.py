"""What is installed is what was locked: versions with digests, and nothing beside them."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support.live_server import ROOT

LOCKS = sorted(
    path
    for path in ROOT.rglob("requirements*.txt")
    if not {".venv", "node_modules"} & set(path.parts)
)
DEPENDENCY = re.compile(
    r"^([a-z0-9._-]+(?:\[[a-z0-9,._-]+\])?)==([^ ;]+)(?: ; [^\\]+?)?"
    r"((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
    re.MULTILINE,
)
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def _name(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_of_a_lock_file_is_one_version_with_digests(path: Path) -> None:
    text = path.read_text()
    rest = DEPENDENCY.sub("", text)
    assert DEPENDENCY.search(text)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []


def test_every_dependency_is_locked() -> None:
    assert len(LOCKS) >= 6
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {_name(found[1]) for found in DEPENDENCY.finditer(_text("requirements.txt"))}
    assert {_name(each) for each in project["dependencies"]} <= locked


def test_packages_are_installed_with_their_digests_only() -> None:
    """By everything that installs some: the Makefile, the images."""
    installs = []
    for file in ("Makefile", "Dockerfile"):
        lines = _text(file).replace("\\\n", " ").splitlines()
        installs += [line for line in lines if "install" in line and " -r " in line]
    assert len(installs) >= 7
    assert [each for each in installs if "--require-hashes" not in each] == []
    assert [each for each in installs if "--no-deps" not in each] == []


def test_the_images_of_a_release_have_their_base_by_digest_an_sbom_and_provenance() -> None:
    workflow = _text(".github/workflows/image.yml")
    assert "build-args: PYTHON_IMAGE=${{ steps.base.outputs.name }}@${{" in workflow
    assert "sbom: true" in workflow
    assert "provenance: mode=max" in workflow


def test_an_image_is_tried_and_scanned_before_it_is_pushed_and_signed_by_digest() -> None:
    steps = yaml.safe_load(_text(".github/workflows/image.yml"))["jobs"]["build"]["steps"]

    def place(**wanted: str) -> int:
        (found,) = [
            number
            for number, step in enumerate(steps)
            if all(text in step.get(name, "") for name, text in wanted.items())
        ]
        return found

    pushed = place(id="push")
    assert place(run="deploy/smoke.sh") < place(uses="trivy-action") < pushed
    assert steps[place(uses="trivy-action")]["with"]["exit-code"] == "1"
    signed = steps[place(run="cosign sign")]
    assert signed["env"]["DIGEST"] == "${{ steps.push.outputs.digest }}"
    assert place(run="cosign sign") > pushed
    attested = steps[place(uses="attest-build-provenance")]["with"]
    assert attested["subject-digest"] == "${{ steps.push.outputs.digest }}"
    for name in ("chart", "image"):
        assert "cosign sign --yes" in _text(f".github/workflows/{name}.yml")


@pytest.mark.parametrize("name", ["deploy/smoke.sh", "helm-chart/package.sh"])
def test_scripts_are_programs_that_bash_can_read(name: str) -> None:
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0


def _text(name: str) -> str:
    return (ROOT / name).read_text()
