"""Releases that Helm installs and upgrades, on an API server in memory."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access.keys_file import read
from tests.deploy.api_server import ApiServer, Json, api_server
from tests.deploy.helm import CHART, Values, helm, rendered, servers, shape_file
from tests.support.live_server import ROOT

SCALED: Values = {
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "autoscaling": {"type": "keda", "minReplicas": 2},
}


class Cluster:
    """Helm with a cluster that only remembers."""

    def __init__(self, api: ApiServer, config: Path) -> None:
        self.api = api
        self._config = config

    def release(self, values: Values, *arguments: str) -> Json:
        """The servers' Deployment after `helm upgrade --install` in namespace `speech`."""
        done = helm(
            "upgrade",
            "verbatim",
            str(CHART),
            "--install",
            "--namespace=speech",
            "--disable-openapi-validation",
            f"--kubeconfig={self._config}",
            *arguments,
            values=values,
        )
        assert done.returncode == 0, done.stderr
        return self.deployment

    def roll_back(self, revision: int) -> None:
        where = ["--namespace=speech", f"--kubeconfig={self._config}"]
        done = helm("rollback", "verbatim", str(revision), *where)
        assert done.returncode == 0, done.stderr

    @property
    def deployment(self) -> Json:
        return self.api.deployment("speech", "verbatim")

    @property
    def secret(self) -> dict[str, str]:
        """What was generated, in base64."""
        data: dict[str, str] = self.api.secret("speech", "verbatim-key")["data"]
        return data

    @property
    def key(self) -> str:
        return base64.b64decode(self.secret["key"]).decode()

    def replicas(self, scaled: dict[str, int] | None = None) -> dict[str, int]:
        """How many pods each Deployment asks for, after scalers have set `scaled`."""
        deployments = {
            place.rpartition("/")[2]: each["spec"]
            for place, each in self.api.objects.items()
            if "/deployments/" in place
        }
        for name, replicas in (scaled or {}).items():
            deployments[name]["replicas"] = replicas
        return {name: spec["replicas"] for name, spec in deployments.items()}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with api_server(tmp_path) as (api, config):
        yield Cluster(api, config)


def test_no_upgrade_drops_pods(cluster: Cluster) -> None:
    assert cluster.release({"replicas": 4})["spec"]["replicas"] == 4
    assert cluster.release(SCALED)["spec"]["replicas"] == 4, "to KEDA"
    cluster.deployment["spec"]["replicas"] = 7
    hpa = {"autoscaling": {"type": "hpa"}, "serviceMonitor": {"enabled": True}}
    hpa |= {"prometheusRule": {"enabled": True}}
    assert cluster.release(SCALED)["spec"]["replicas"] == 7, "with the same values"
    assert cluster.release(hpa)["spec"]["replicas"] == 7, "from KEDA to an HPA"
    assert cluster.release(SCALED | {"drain": {"seconds": 60}})["spec"]["replicas"] == 7
    assert cluster.release({"replicas": 3})["spec"]["replicas"] == 3, "as the values say"


def test_going_back_leaves_what_a_scaler_has_set(cluster: Cluster) -> None:
    """At noon, to what was released by night: as `--atomic` does by itself."""
    cluster.release(SCALED)
    cluster.replicas({"verbatim": 2})
    cluster.release(SCALED | {"drain": {"seconds": 60}})
    assert cluster.replicas({"verbatim": 23}) == {"verbatim": 23}
    cluster.roll_back(1)
    assert cluster.replicas() == {"verbatim": 23}
    assert "wait=300" in str(cluster.deployment), "the first release's drain"


@pytest.mark.parametrize(
    ("shape", "scaled"),
    [
        ("gpu-alb-keda", {"verbatim": 23}),
        ("mig-hpa", {"verbatim": 9}),
        ("jobs-tiers", {"verbatim-turbo": 5, "verbatim-worker": 0}),
    ],
)
def test_an_upgrade_of_a_shape_leaves_what_scalers_have_set(
    cluster: Cluster, shape: str, scaled: dict[str, int]
) -> None:
    cluster.release({}, shape_file(shape))
    before = cluster.replicas(scaled)
    cluster.release({"podAnnotations": {"build": "2"}}, shape_file(shape))
    assert cluster.replicas() == before
    assert "build" in cluster.deployment["spec"]["template"]["metadata"]["annotations"]


def test_a_generated_key_stays_the_same(cluster: Cluster) -> None:
    cluster.release({})
    made = dict(cluster.secret)
    cluster.release({"replicas": 3})
    assert cluster.secret == made
    assert len(base64.b64decode(made["signing-key"])) >= 32


def test_the_generated_key_is_the_only_one_that_the_server_takes(
    cluster: Cluster, tmp_path: Path
) -> None:
    pod = cluster.release({})["spec"]["template"]["spec"]
    (hashing,) = pod["initContainers"]
    *command, place = hashing["command"]
    file = tmp_path / "keys.yaml"
    path = f"{ROOT / '.venv/bin'}:/usr/bin:/bin"
    for _ in range(2):  # The container may start again in the same pod.
        subprocess.run(
            [*command, str(file)],
            cwd=ROOT,
            env={"PATH": path, "KEY": cluster.key},
            check=True,
            capture_output=True,
        )
    document = read(file)
    (holder,) = document.holders
    assert holder.keys[0].digest == document.digest(cluster.key)
    told = {each["name"]: each for each in pod["containers"][0]["env"]}
    assert told["VERBATIM_ACCESS__KEYS_FILE"]["value"] == place
    assert "VERBATIM_ACCESS__OPEN" not in told


def test_a_rotated_secret_reaches_pods_with_the_next_upgrade(cluster: Cluster) -> None:
    values: Values = {"secrets": {"signingKey": {"name": "own", "key": "signing"}}}
    place = "/api/v1/namespaces/speech/secrets/own"

    def pod(secret: str) -> Json:
        data = {"signing": base64.b64encode(secret.encode()).decode()}
        kind = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}}
        cluster.api.objects[place] = {**kind, "data": data}
        found: Json = cluster.release(values)["spec"]["template"]
        return found

    first = pod("of more than 32 characters, the first")
    assert pod("of more than 32 characters, the first") == first
    assert pod("of more than 32 characters, another") != first


def test_keys_of_ones_own_take_the_place_of_a_generated_one() -> None:
    manifests = rendered(None, {"secrets": {"keys": {"name": "own", "key": "keys.yaml"}}})
    assert not [each for each in manifests if each["kind"] == "Secret"]
    assert "initContainers" not in servers(manifests)["spec"]["template"]["spec"]
