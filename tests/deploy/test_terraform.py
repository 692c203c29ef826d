"""terraform/ by real Terraform: its own tests, and what they cannot say."""

import re
from pathlib import Path

import pytest

from tests.deploy.terraform import CONFIGURATIONS, SOURCE, Terraform, copied


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("terraform") / "copy")


def test_every_file_is_formatted(tf: Terraform) -> None:
    assert tf.run(SOURCE, "fmt", "-check", "-recursive", "-diff").stdout == ""


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_configuration_passes_its_own_tests(
    tf: Terraform, copy: Path, configuration: str
) -> None:
    folder = copy / configuration
    tf.check(folder, "init")
    done = re.search(r"Success! (\d+) passed, 0 failed\.", tf.check(folder, "test"))
    assert done
    written = sum(
        len(re.findall(r'^run "', path.read_text(), re.M))
        for path in (folder / "tests").glob("*.tftest.hcl")
    )
    assert int(done[1]) == written > 0


def test_a_misspelt_argument_is_found(tf: Terraform, tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy") / "modules/registry"
    main = folder / "main.tf"
    main.write_text(main.read_text().replace("image_tag_mutability", "image_tag_mutabilty"))
    tf.check(folder, "init")
    refused = tf.run(folder, "test")  # which validates
    assert refused.returncode == 1
    assert 'argument named "image_tag_mutabilty" is not expected here' in refused.stderr


def test_a_module_that_forgets_a_check_fails_its_own_tests(tf: Terraform, tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy") / "modules/registry"
    main = folder / "main.tf"
    main.write_text(main.read_text().replace('"IMMUTABLE"', '"MUTABLE"'))
    tf.check(folder, "init")
    failed = tf.run(folder, "test")
    assert failed.returncode == 1
    assert "a tag could mean another image tomorrow" in failed.stderr


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_versions_are_pinned_and_modules_are_our_own(configuration: str) -> None:
    for path in (SOURCE / configuration).glob("*.tf"):
        text = path.read_text()
        for source in re.findall(r'^  source += "([^"]+)"', text, re.M):
            assert source.startswith("../"), path
    versions = (SOURCE / configuration / "versions.tf").read_text()
    assert re.search(r'required_version = ">= 1\.\d+"', versions)
    assert re.search(r'source  = "hashicorp/\w+"\n      version = "~> \d+\.\d+"', versions)
