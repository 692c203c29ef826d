"""The chart, rendered by Helm: what Kubernetes and operators accept, and what pods must keep."""

import copy
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.helm import (
    CHART,
    HELM,
    SHAPES,
    VERSIONS,
    Manifest,
    Values,
    environment,
    helm,
    of_kinds,
    only,
    rendered,
    server,
    servers,
    shape_file,
)
from tests.deploy.manifests import complaints, is_custom
from tests.deploy.operators import refused
from tests.deploy.pods import PROBES, broken_rules, pod_specs
from tests.support.live_server import ROOT

OPTIONAL_KINDS = {
    "ConfigMap",
    "ExternalSecret",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "NetworkPolicy",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PodMonitor",
    "PriorityClass",
    "PrometheusRule",
    "ScaledObject",
    "Secret",
    "ServiceMonitor",
    "TriggerAuthentication",
}


ARGO = "argocd"
"""The values in deploy/argocd."""

every_shape = pytest.mark.parametrize("shape", [*SHAPES, ARGO])


def argo_values() -> Values:
    application = yaml.safe_load((ROOT / "deploy/argocd/application.yaml").read_text())
    values: Values = application["spec"]["source"]["helm"]["valuesObject"]
    return values


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[Manifest]]:
    found = {shape: rendered(shape) for shape in SHAPES}
    return {**found, ARGO: rendered(None, argo_values())}


@pytest.mark.parametrize("shape", SHAPES)
def test_helm_finds_nothing_wrong(shape: str) -> None:
    done = helm("lint", "--strict", str(CHART), shape_file(shape))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_of_a_release_runs_the_images_of_that_release(tmp_path: Path) -> None:
    """Those that image.yml pushes, whatever the values leave open."""
    workflows = [
        yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())["jobs"]
        for name in ("image", "chart")
    ]
    pushed = workflows[0]["build"]["env"]["IMAGE"].replace(
        "${{ github.repository }}", "Me/Verbatim"
    )
    suffixes = [each["suffix"] for each in workflows[0]["build"]["strategy"]["matrix"]["include"]]
    (script,) = [
        each["run"]
        for each in workflows[1]["chart"]["steps"]
        if "package.sh" in each.get("run", "")
    ]
    packaging = script.partition("helm registry login")[0]
    helm("version")  # Skips the test without Helm.
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"cd '{tmp_path}'\n{packaging}"],
        env={
            "PATH": f"{ROOT}:/usr/bin:/bin",
            "HELM": str(HELM),
            "HOME": str(tmp_path),
            "GITHUB_REF_NAME": "v1.2.3",
            "GITHUB_REPOSITORY": "Me/Verbatim",
            "GITHUB_WORKSPACE": str(ROOT),
        },
        check=True,
        capture_output=True,
    )
    (package,) = tmp_path.glob("*.tgz")
    for suffix in suffixes:
        gpus = f"--set=gpu.count={1 if suffix else 0}"
        version = f"--kube-version={VERSIONS[0]}"
        again = helm("template", "verbatim", str(package), version, gpus)
        assert f"image: {pushed.lower()}:1.2.3{suffix}\n" in again.stdout, again.stderr
    about = yaml.safe_load(helm("show", "chart", str(package)).stdout)
    assert about["home"] == about["sources"][0] == "https://github.com/Me/Verbatim"
    shown = yaml.safe_load(about["annotations"]["artifacthub.io/images"])
    images = [f"{pushed.lower()}:1.2.3{suffix}" for suffix in suffixes]
    assert [each["image"] for each in shown] == images
    fleet = helm("template", "verbatim", str(package), version, shape_file("gpu-alb-keda"))
    assert "kind: ScaledObject" in fleet.stdout, fleet.stderr
    assert "stt:replicas_wanted" in fleet.stdout, "the rules came along"


def test_a_server_plans_its_threads_for_the_cpus_that_its_pod_requests() -> None:
    def cpus(values: Values) -> list[Manifest]:
        variables = server(rendered("cpu", values))["env"]
        return [each for each in variables if each["name"] == "VERBATIM_SERVER__CPUS"]

    (own,) = cpus({})
    assert own["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
    assert cpus({"resources": {"requests": {"cpu": None}}}) == []
    (chosen,) = cpus({"settings": {"server": {"cpus": 3}}})
    assert chosen["value"] == "3"


def test_pods_are_spread_over_zones_and_nodes(shapes: dict[str, list[Manifest]]) -> None:
    spread = servers(shapes["default"])["spec"]["template"]["spec"]["topologySpreadConstraints"]
    keys = [each["topologyKey"] for each in spread]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_the_shapes_use_everything_that_the_chart_can_make(
    shapes: dict[str, list[Manifest]],
) -> None:
    kinds = {each["kind"] for manifests in shapes.values() for each in manifests}
    assert kinds == OPTIONAL_KINDS | {"Deployment", "Pod", "Service", "ServiceAccount"}


def test_kubernetes_and_operators_accept_every_field(shapes: dict[str, list[Manifest]]) -> None:
    every = {
        version: [
            *(each for shape in SHAPES for each in rendered(shape, version=version)),
            *rendered(None, argo_values(), version),
        ]
        for version in VERSIONS[:-1]
    }
    every[VERSIONS[-1]] = [each for manifests in shapes.values() for each in manifests]
    assert complaints(every) == []


def test_misspelt_fields_are_found(shapes: dict[str, list[Manifest]]) -> None:
    every = copy.deepcopy(shapes["gpu-alb-keda"] + shapes["mig-hpa"])
    manifests = [each for each in every if "spec" in each]
    for each in manifests:
        each["spec"]["wrong"] = 1
    judged = complaints({VERSIONS[-1]: manifests})
    for each in manifests:
        if is_custom(each):
            assert f"{each['kind']}.spec.wrong: no such field" in judged
        else:
            assert any(f"{each['kind']} spec" in found for found in judged)


@every_shape
def test_operators_and_nodes_take_every_shape(
    shape: str, shapes: dict[str, list[Manifest]]
) -> None:
    assert refused(shapes[shape]) == []


@every_shape
def test_every_pod_keeps_the_rules(shape: str, shapes: dict[str, list[Manifest]]) -> None:
    assert broken_rules(shapes[shape]) == []


@every_shape
def test_one_scaler_at_most_says_how_many_pods_there_are(
    shape: str, shapes: dict[str, list[Manifest]]
) -> None:
    scaled = [
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kinds(shapes[shape], "HorizontalPodAutoscaler", "ScaledObject")
    ]
    fixed = [
        each["metadata"]["name"]
        for each in of_kinds(shapes[shape], "Deployment")
        if "replicas" in each["spec"]
    ]
    every = [each["metadata"]["name"] for each in of_kinds(shapes[shape], "Deployment")]
    assert sorted(scaled + fixed) == sorted(every)


@every_shape
def test_nodes_are_drained_one_pod_at_a_time(shape: str, shapes: dict[str, list[Manifest]]) -> None:
    budgets = [each["spec"] for each in of_kinds(shapes[shape], "PodDisruptionBudget")]
    assert {each["maxUnavailable"] for each in budgets} <= {1, "25%"}
    assert budgets
    unhealthy = {each["unhealthyPodEvictionPolicy"] for each in budgets}
    assert unhealthy == {"AlwaysAllow"}, "broken pods block no drain"


@every_shape
def test_a_pod_has_the_time_that_its_drain_and_sigterm_take(
    shape: str, shapes: dict[str, list[Manifest]]
) -> None:
    (pod,) = [spec for name, spec in pod_specs(shapes[shape]) if name == "verbatim"]
    command = server(shapes[shape])["lifecycle"]["preStop"]["exec"]["command"]
    assert command[:3] == ["python", "-m", "app.probe"]
    assert command[3] == "/internal/drain?wait=300&propagation=15"
    after_sigterm = int(environment(shapes[shape])["VERBATIM_SERVER__DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= 300 + after_sigterm + 15


def test_the_load_balancer_waits_as_long_as_the_pod_drains(
    shapes: dict[str, list[Manifest]],
) -> None:
    ingress = only(shapes["gpu-alb-keda"], "Ingress")["metadata"]["annotations"]
    prefix = "alb.ingress.kubernetes.io/"
    targets = dict(
        each.split("=") for each in ingress[f"{prefix}target-group-attributes"].split(",")
    )
    assert targets["deregistration_delay.timeout_seconds"] == "300"
    assert targets["load_balancing.algorithm.type"] == "least_outstanding_requests"
    balancer = ingress[f"{prefix}load-balancer-attributes"]
    assert "idle_timeout.timeout_seconds=600" in balancer
    assert "access_logs.s3.bucket=speech-access-logs-111122223333" in balancer
    assert ingress[f"{prefix}ssl-policy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06", "no TLS 1.0"
    kept = environment(shapes["gpu-alb-keda"])["VERBATIM_SERVER__IDLE_CONNECTION_SECONDS"]
    assert int(kept) > 600
    # It notices within two checks that a pod is not ready; the pod takes work for longer.
    noticed = int(ingress[f"{prefix}healthcheck-interval-seconds"]) * int(
        ingress[f"{prefix}unhealthy-threshold-count"]
    )
    assert ingress[f"{prefix}healthcheck-path"] == "/health/ready"
    assert noticed < 15


def test_keda_does_not_scale_down_when_it_knows_nothing(
    shapes: dict[str, list[Manifest]],
) -> None:
    scaler = only(shapes["gpu-alb-keda"], "ScaledObject")["spec"]
    trigger, cron = scaler["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert scaler["fallback"]["behavior"] == "currentReplicasIfHigher"
    own = 'max(stt:replicas_wanted{namespace="speech",job="speech/verbatim"})'
    assert trigger["metadata"]["query"] == own, "not of another release in the namespace"
    assert cron["metadata"] == {
        "timezone": "Europe/Berlin",
        "start": "45 8 * * 1-5",
        "end": "0 18 * * 1-5",
        "desiredReplicas": "16",
    }
    assert scaler["minReplicaCount"] >= 1


def test_a_pod_with_gpus_uses_all_of_them_and_nothing_else() -> None:
    told = environment(rendered("mig-hpa", {"gpu": {"count": 2}}))
    assert told["VERBATIM_ENGINE__DEVICE"] == "cuda"
    assert told["VERBATIM_ENGINE__DEVICE_INDEXES"] == "[0,1]"
    assert not {name for name in environment(rendered("cpu")) if "ENGINE" in name}


def test_the_model_in_the_image_needs_neither_a_volume_nor_the_network() -> None:
    """Which the chart's own policy takes away, but for DNS."""
    manifests = rendered("cpu")
    told = environment(manifests)
    assert (told["VERBATIM_MODEL"], told["VERBATIM_MODELS__OFFLINE"]) == ("base", "true")
    assert {each["name"] for each in server(manifests)["volumeMounts"]} == {"tmp"}
    (rule,) = only(manifests, "NetworkPolicy")["spec"]["egress"]
    assert {each["port"] for each in rule["ports"]} == {53}


@pytest.mark.parametrize(
    "kind", ["emptyDir", "pvc", "existingClaim", "persistentVolume", "hostPath", "csi"]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_models_are_pulled_to_a_volume_that_can_be_written(kind: str, read_only: bool) -> None:
    cache = {
        "existingClaim": "models",
        "persistentVolume": {"nfs": {"server": "files", "path": "/models"}},
        "hostPath": "/srv/models",
        "csi": {"driver": "a"},
    }
    values: Values = {"modelCache": {**cache, "type": kind, "readOnly": read_only}}
    values |= {"settings": {"model": "small"}, "strategy": {"type": "Recreate"}}
    manifests = rendered("cpu", values)
    (mount,) = [each for each in server(manifests)["volumeMounts"] if each["name"] == "models"]
    assert mount == {"name": "models", "mountPath": "/models", "readOnly": read_only}
    told = environment(manifests)
    assert told["VERBATIM_MODEL"] == "small"
    assert told.get("VERBATIM_MODELS__OFFLINE") == ("true" if read_only else None)


@pytest.mark.parametrize("kind", ["none", "emptyDir"])
def test_whether_models_are_pulled_is_a_value(kind: str) -> None:
    for offline in (False, True):
        values = {"settings": {"models": {"offline": offline}}, "modelCache": {"type": kind}}
        told = [
            each["value"]
            for each in server(rendered("cpu", values))["env"]
            if each["name"] == "VERBATIM_MODELS__OFFLINE"
        ]
        assert told == [str(offline).lower()]


def test_a_pod_that_pulls_its_model_for_long_is_not_started_anew() -> None:
    container = server(rendered("cpu"))
    paths = {name: container[name]["httpGet"]["path"] for name in PROBES}
    assert paths == PROBES
    starting = container["startupProbe"]
    assert starting["periodSeconds"] * starting["failureThreshold"] >= 120


def test_with_a_certificate_every_part_speaks_https() -> None:
    files = {"tls_certificate_file": "/etc/tls/tls.crt", "tls_key_file": "/etc/tls/tls.key"}
    manifests = rendered("cpu", {"settings": {"server": files}, "podMonitor": {"enabled": True}})
    probes = [server(manifests)[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
    assert {each["httpGet"]["scheme"] for each in probes} == {"HTTPS"}
    (endpoint,) = only(manifests, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["scheme"] == "https"
    assert 'url = "https://verbatim:80/health/ready"' in str(only(manifests, "Pod"))
    assert complaints({VERSIONS[-1]: manifests}) == []


def test_only_the_keys_of_a_secret_are_files(shapes: dict[str, list[Manifest]]) -> None:
    (pod,) = [spec for name, spec in pod_specs(shapes["gpu-alb-keda"]) if name == "verbatim"]
    (keys,) = [each for each in pod["volumes"] if each["name"] == "keys"]
    assert keys["secret"]["items"] == [{"key": "keys.yaml", "path": "keys.yaml"}]
    told = environment(shapes["gpu-alb-keda"])
    assert told["VERBATIM_ACCESS__KEYS_FILE"] == "/etc/verbatim/keys/keys.yaml"


def test_a_strategy_without_rolling_leaves_its_figures_out() -> None:
    manifests = rendered("cpu", {"strategy": {"type": "Recreate"}})
    assert servers(manifests)["spec"]["strategy"] == {"type": "Recreate"}


def test_a_claim_takes_the_place_of_a_resource() -> None:
    """Dynamic resource allocation (KEP-4381); the placeholder has a claim of its own."""
    gpu: Values = {"gpu": {"count": 1, "claimTemplate": "one-gpu"}, "placeholder": {"replicas": 1}}
    manifests = rendered("cpu", gpu)
    for deployment in of_kinds(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
        assert pod["containers"][0]["resources"]["claims"] == [{"name": "gpu"}]
        assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert environment(manifests)["VERBATIM_ENGINE__DEVICE"] == "cuda"
    assert complaints({VERSIONS[-1]: manifests}) == []


def test_labels_of_ones_own_are_on_every_object_and_in_no_selector(
    shapes: dict[str, list[Manifest]],
) -> None:
    own = [each for each in shapes["own"] if each["kind"] not in ("ConfigMap", "Pod")]
    assert {each["metadata"]["labels"].get("team") for each in own} == {"speech"}
    assert "team" not in servers(shapes["own"])["spec"]["selector"]["matchLabels"]
    service = only(shapes["own"], "Service")["spec"]
    assert service["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert service["ports"][0]["nodePort"] == 30080
    annotations = servers(shapes["own"])["metadata"]["annotations"]
    assert annotations == {"reloader.stakater.com/auto": "true"}
