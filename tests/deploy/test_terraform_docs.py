"""What the pages of terraform/ say is true of its files."""

import re
from pathlib import Path

import pytest

from tests.deploy.terraform import CONFIGURATIONS, EXAMPLE, SOURCE

PAGES = sorted(SOURCE.rglob("README.md"))


def _has_default(body: str) -> bool:
    return re.search(r"^  default +=", body, re.M) is not None


def _blocks(folder: Path, kind: str) -> dict[str, str]:
    text = "\n".join(path.read_text() for path in folder.glob("*.tf"))
    return dict(re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', text, re.M | re.S))


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_variables_and_outputs_say_what_they_are(configuration: str) -> None:
    folder = SOURCE / configuration
    readme = (folder / "README.md").read_text()
    variables, outputs = _blocks(folder, "variable"), _blocks(folder, "output")
    assert variables
    assert outputs
    for name, body in {**variables, **outputs}.items():
        assert re.search(r'^  description = "[^"]{10,}', body, re.M), name
        assert f"`{name}`" in readme, f"{configuration}/README.md says nothing of {name}"
    for name, body in variables.items():
        assert re.search(r"^  type +=", body, re.M), name
        required = not _has_default(body)
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
        assert ("required" in row) == required, row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SOURCE)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_commands_name_outputs_that_exist() -> None:
    outputs = {name for root in (SOURCE / EXAMPLE).iterdir() for name in _blocks(root, "output")}
    named = re.findall(r"terraform output -raw (\w+)", (SOURCE / "README.md").read_text())
    assert named
    assert set(named) <= outputs


@pytest.mark.parametrize("root", ["infrastructure", "platform"])
def test_the_example_gives_what_has_no_default(root: str) -> None:
    folder = SOURCE / EXAMPLE / root
    given = re.findall(r"^(\w+) +=", (folder / "terraform.tfvars.example").read_text(), re.M)
    variables = _blocks(folder, "variable")
    assert set(given) <= set(variables)
    assert {name for name, body in variables.items() if not _has_default(body)} <= set(given)
