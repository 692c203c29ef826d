"""Terraform with its providers, the example applied to them, and what runs only if it is named."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.terraform import EXAMPLE, Resource, Terraform, copied, resources, terraform

OTHER_WAY_ROUND = {
    "gpu_nodes": '{by="managed",nodes=2,ami_type="BOTTLEROCKET_x86_64_NVIDIA"}',
    "identity": "irsa",
    "nat": "per_zone",
    "long_term_metrics": "true",
    "jobs": "{}",
}
"""The infrastructure's choices that the example does not make."""


@dataclass(frozen=True)
class Applied:
    """The example's two roots after `terraform apply`, with the values of its own files."""

    infrastructure: list[Resource]
    platform: list[Resource]
    folder: Path
    variables: list[str]

    def release(self, name: str) -> Resource:
        (found,) = [each for each in self.platform if each.values["name"] == name]
        return found


@pytest.fixture(scope="session")
def tf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    with terraform(tmp_path_factory.mktemp("home")) as running:
        yield running


def apply(tf: Terraform, folder: Path, choices: dict[str, str]) -> Applied:
    """`choices`: the infrastructure's variables, in HCL, beside those of the example."""
    example = copied(folder) / EXAMPLE
    given = ["-var-file=terraform.tfvars.example"]
    variables = [*given, *(f"-var={name}={value}" for name, value in choices.items())]
    found: dict[str, list[Resource]] = {}
    for root, arguments in (("infrastructure", variables), ("platform", given)):
        tf.check(example / root, "init")
        tf.check(example / root, "apply", "-auto-approve", *arguments)
        found[root] = resources(tf.check(example / root, "show", "-json"))
    return Applied(found["infrastructure"], found["platform"], example, variables)


@pytest.fixture(scope="session", params=["example", "other way round"])
def applied(
    request: pytest.FixtureRequest, tf: Terraform, tmp_path_factory: pytest.TempPathFactory
) -> Applied:
    choices = OTHER_WAY_ROUND if request.param == "other way round" else {}
    return apply(tf, tmp_path_factory.mktemp("applied") / "copy", choices)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The image takes minutes to build and Ray half a minute to start: no part of the whole."""
    if collection_path.name not in ("test_image.py", "test_ray.py"):
        return None
    return not any(collection_path.name in argument for argument in config.args)
