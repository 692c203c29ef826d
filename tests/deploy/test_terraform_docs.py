"""What the pages of terraform/ say is true of its files."""

import re
from math import ceil
from pathlib import Path

import pytest

from bench.profiles import PROFILES
from tests.deploy import costs
from tests.deploy.burst import SESSIONS, SESSIONS_OF_AN_AGENT
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


@pytest.mark.parametrize("table", costs.tables(), ids=lambda table: table.split(" | ")[0])
def test_the_page_has_the_costs_and_the_sum_of_their_formulas(table: str) -> None:
    assert table in PAGE.read_text(), "python -m tests.deploy.costs"


def unsafe_state(text: str) -> list[str]:
    """What a backend's configuration leaves out: encryption, and the lock that keeps two who apply
    at once from overwriting each other's state."""
    said = dict(re.findall(r"^(\w+) += (\w+)$", text, re.M))
    return [name for name in ("encrypt", "use_lockfile") if said.get(name) != "true"]


@pytest.mark.parametrize("root", ["infrastructure", "platform"])
def test_the_state_is_encrypted_and_locked(root: str) -> None:
    folder = SOURCE / EXAMPLE / root
    text = (folder / "backend.hcl.example").read_text()
    assert unsafe_state(text) == []
    assert unsafe_state(text.replace("use_lockfile = true", "use_lockfile = false")) == [
        "use_lockfile"
    ]
    assert unsafe_state('bucket = "b"') == ["encrypt", "use_lockfile"]
    (least,) = re.findall(
        r'required_version = ">= (\d+)\.(\d+)"', (folder / "versions.tf").read_text()
    )
    assert tuple(map(int, least)) >= (1, 11), "older ones know no lock file"


def arithmetic(text: str) -> list[tuple[str, str]]:
    """Formulas of numbers alone, and what they are said to be."""
    line = " ".join(text.split())
    return re.findall(r"((?:[\d.,]*\d [x/+-] )+[\d.,]*\d) = \$?([\d.,]*\d)", line)


def wrong(text: str) -> list[str]:
    """Formulas whose result is another, at the precision that is given."""
    return [
        f"{formula} = {costs.evaluated(formula)}, not {said}"
        for formula, said in arithmetic(text)
        if abs(costs.evaluated(formula) - float(said.replace(",", "")))
        > 0.501 * 10.0 ** -len(said.partition(".")[2])
    ]


@pytest.mark.parametrize(("page", "least"), [(PAGE, 8), (PAGE.with_name("deploy.md"), 3)])
def test_what_a_page_computes_is_right(page: Path, least: int) -> None:
    assert len(arithmetic(page.read_text())) >= least
    assert wrong(page.read_text()) == []
    assert wrong("needs 5 x 4 = 20, 6 x 4 = 23, 1,000 / 3 = $333, 2 / 3 = 0.66") == [
        "6 x 4 = 24, not 23",
        "2 / 3 = 0.6666666666666666, not 0.66",
    ]


@pytest.mark.parametrize("example", costs.EXAMPLES, ids=lambda each: f"{each.fleet.agents} agents")
def test_the_example_for_so_many_agents_has_room_for_them(example: costs.Example) -> None:
    fleet = example.fleet
    name = f"platform/agents-{fleet.agents}.tfvars.example"
    text = (SOURCE / EXAMPLE / name).read_text()
    assert example.nodes == example.most + fleet.placeholders + 1, "one for a rollout"
    vcpus = f"{example.nodes} x {costs.VCPUS} = {example.nodes * costs.VCPUS}"
    assert f"{vcpus} vCPUs" in text
    assert f"{fleet.agents:,} agents need {vcpus}" in " ".join(PAGE.read_text().split())
    wanted = fleet.agents * SESSIONS_OF_AN_AGENT / (SESSIONS * costs.FULL)
    assert f"= {wanted:.1f} pods" in text
    assert costs.least_pods(fleet.agents) <= fleet.day <= example.most
    by_planner = costs.by_the_planner(fleet)
    agents, replicas = costs.planned(fleet.agents)
    assert replicas == ceil(fleet.agents / agents) + 1, "as the page has it, with a spare"
    assert by_planner.day <= example.most, "enough by the other reckoning, too"


def test_the_sound_of_an_agent_is_that_of_the_profile() -> None:
    profile = PROFILES["sales-1000"]
    assert profile.audio_hours_per_hour / profile.agents == pytest.approx(costs.SOUND)
    busiest = profile.audio_seconds_per_second / profile.agents
    assert busiest == pytest.approx(SESSIONS_OF_AN_AGENT)
