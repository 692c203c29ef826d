"""What the pages of terraform/ say is true of its files."""

import re
from pathlib import Path

import pytest

from tests.deploy import costs
from tests.deploy.terraform import CONFIGURATIONS, EXAMPLE, SOURCE
from tests.support.live_server import ROOT

PAGE = ROOT / "docs/deploy-aws.md"
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


@pytest.mark.parametrize("page", [*PAGES, PAGE], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_commands_name_outputs_that_exist() -> None:
    outputs = {name for root in (SOURCE / EXAMPLE).iterdir() for name in _blocks(root, "output")}
    named = re.findall(r"terraform output -raw (\w+)", PAGE.read_text())
    assert named
    assert set(named) <= outputs


@pytest.mark.parametrize("root", ["infrastructure", "platform"])
def test_the_example_gives_what_has_no_default(root: str) -> None:
    folder = SOURCE / EXAMPLE / root
    given = re.findall(r"^(\w+) +=", (folder / "terraform.tfvars.example").read_text(), re.M)
    variables = _blocks(folder, "variable")
    assert set(given) <= set(variables)
    assert {name for name, body in variables.items() if not _has_default(body)} <= set(given)


def test_the_page_has_the_costs_and_the_sum_of_their_formulas() -> None:
    assert costs.table() in PAGE.read_text(), "python -m tests.deploy.costs"


@pytest.mark.parametrize("fleet", costs.FLEETS, ids=lambda fleet: f"{fleet.agents} agents")
def test_the_costs_are_those_of_the_example_for_so_many_agents(fleet: costs.Fleet) -> None:
    folder = SOURCE / EXAMPLE / "platform"
    text = (folder / f"agents-{fleet.agents}.tfvars.example").read_text()
    least, most = map(int, re.findall(r"minimum = (\d+), maximum = (\d+)", text)[0])
    (nodes,) = map(int, re.findall(r"^  maximum = (\d+)", text, re.M))
    day = re.findall(r"replicas = (\d+) \}", text) or [least]
    held = re.findall(r"^placeholders = (\d+)", text, re.M) or [0]
    assert (fleet.night, fleet.day, fleet.placeholders) == (least, int(day[0]), int(held[0]))
    assert nodes == most + fleet.placeholders + 1, "one for a rollout"
    assert f"{nodes} x 4 = {nodes * 4} vCPUs" in text
    wanted = fleet.agents * 0.75 / (64 * 0.75)
    assert f"= {wanted:.1f} pods" in text
    assert fleet.day >= wanted
