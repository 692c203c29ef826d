"""The chart with the newest Helm 3 and Helm 4: other tests take Helm 3.10, which users may have."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.api_server import api_server
from tests.deploy.helm import CHART, SHAPES, VERSIONS, Manifest, Values, documents, rendered
from tests.deploy.helm_versions import Helms, helms

NEWEST = {"v3": (3, 22), "v4": (4, 3)}

every_version = pytest.mark.parametrize("version", NEWEST)


@pytest.fixture(scope="module")
def newest() -> Iterator[Helms]:
    with helms() as running:
        yield running


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[str]]:
    return {shape: _comparable(rendered(shape)) for shape in SHAPES}


def _comparable(manifests: list[Manifest]) -> list[str]:
    """Without generated Secrets, which are random."""
    return sorted(json.dumps(each) for each in manifests if each["kind"] != "Secret")


@every_version
def test_it_makes_the_same_of_every_shape_and_finds_nothing_wrong(
    version: str, newest: Helms, shapes: dict[str, list[str]]
) -> None:
    kubernetes = f"{VERSIONS[-1]}.0"
    for shape, wanted in shapes.items():
        values: Values = {"values_files": [str(CHART / "ci" / f"{shape}-values.yaml")]}
        values["kube_version"] = kubernetes
        made = newest.run(version, "template", release_name="verbatim", chart=str(CHART), **values)
        assert _comparable(documents(made)) == wanted, shape
        linted = json.loads(newest.run(version, "lint", paths=[str(CHART)], strict=True, **values))
        severe = [each for each in linted["messages"] if each["severity"] != "INFO"]
        assert severe == [], shape


@every_version
def test_it_upgrades_without_dropping_pods_or_the_generated_key(
    version: str, newest: Helms, tmp_path: Path
) -> None:
    scaled: Values = {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    scaled |= {"autoscaling": {"type": "keda"}}
    with api_server(tmp_path) as (api, config):

        def release(values: Values) -> str:
            return newest.run(
                version,
                "upgrade",
                release_name="verbatim",
                chart=str(CHART),
                kubeconfig=str(config),
                install=True,
                disable_openapi_validation=True,
                values=values,
            )

        said = release({"replicas": 4})
        key = dict(api.secret("speech", "verbatim-key")["data"])
        assert base64.b64decode(key["key"]).startswith(b"vb_")
        assert "get secret verbatim-key" in said, "the notes"
        release(scaled)
        assert api.deployment("speech", "verbatim")["spec"]["replicas"] == 4
        api.deployment("speech", "verbatim")["spec"]["replicas"] = 7
        release({**scaled, "drain": {"seconds": 60}})
        assert api.deployment("speech", "verbatim")["spec"]["replicas"] == 7
        assert api.secret("speech", "verbatim-key")["data"] == key


@every_version
def test_it_is_as_new_as_the_documentation_says(
    version: str, newest: Helms, tmp_path: Path
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: asks, version: 0.0.1}")
    (tmp_path / "templates/asks.yaml").write_text(
        "version: {{ .Capabilities.HelmVersion.Version }}"
    )
    made = newest.run(version, "template", release_name="asks", chart=str(tmp_path))
    (said,) = re.findall(r"version: v(\d+)\.(\d+)", made)
    assert tuple(map(int, said)) >= NEWEST[version]
