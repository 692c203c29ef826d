"""Real Terraform on copies of terraform/, with providers that need no cloud."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.stub_values import Value
from tests.support.live_server import ROOT
from tests.support.programs import missing

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv/deploy/bin/python"
"""Where `make test` installs what requirements.txt lists."""
SOURCE = ROOT / "terraform"
EXAMPLE = "live/example"
CONFIGURATIONS = sorted(
    str(folder.relative_to(SOURCE))
    for folder in [*(SOURCE / "modules").iterdir(), *(SOURCE / EXAMPLE).iterdir()]
)

_LOCAL_STATE = 'terraform {\n  backend "local" {}\n}\n'
_STATE_OF_INFRASTRUCTURE = """
data "terraform_remote_state" "infrastructure" {
  backend = "local"
  config  = { path = "../infrastructure/terraform.tfstate" }
}
"""


@dataclass(frozen=True)
class Resource:
    """One resource of a state: `address` with its modules, `values` as they were applied."""

    address: str
    type: str
    values: dict[str, Value]


@dataclass(frozen=True)
class Terraform:
    environment: dict[str, str]

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`terraform ARGUMENTS` in `folder`."""
        return subprocess.run(
            [str(PYTHON), str(HERE / "terraform_cli.py"), *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def check(self, folder: Path, *arguments: str) -> str:
        """What `run` prints. Fails the test, with all of it, where Terraform fails."""
        done = self.run(folder, *arguments)
        assert done.returncode == 0, f"terraform {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def terraform(home: Path) -> Iterator[Terraform]:
    """Terraform while its providers run. `home`: an empty directory, without anybody's settings."""
    if not PYTHON.exists():
        missing(f"{PYTHON.relative_to(ROOT)} is missing: make test")
    schemas = [str(path) for path in sorted((HERE / "schemas").glob("*.json"))]
    provider = subprocess.Popen(
        [str(PYTHON), str(HERE / "stub_provider.py"), *schemas],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert provider.stdin
    assert provider.stdout
    with provider, provider.stdin, provider.stdout:
        yield Terraform(
            {
                "HOME": str(home),
                "TF_REATTACH_PROVIDERS": provider.stdout.readline(),
                "TF_IN_AUTOMATION": "1",
                "TF_CLI_ARGS": "-no-color",
                "CHECKPOINT_DISABLE": "1",
            },
        )


def copied(folder: Path) -> Path:
    """A copy of terraform/ in which Terraform may write, with its state in files."""
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    example = folder / EXAMPLE
    (example / "infrastructure/state_override.tf").write_text(_LOCAL_STATE)
    (example / "platform/state_override.tf").write_text(_LOCAL_STATE + _STATE_OF_INFRASTRUCTURE)
    return folder


def resources(shown: str) -> list[Resource]:
    """Of `terraform show -json`, those of all modules."""
    modules = [json.loads(shown)["values"]["root_module"]]
    found = []
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        found += [
            Resource(each["address"], each["type"], each["values"])
            for each in module.get("resources", [])
            if each["mode"] == "managed"
        ]
    return sorted(found, key=lambda each: each.address)
