"""What the API server would refuse is found: rules that find nothing would look the same."""

import copy
from collections.abc import Callable

import pytest

from tests.deploy.api_validation import quantity, refused
from tests.deploy.helm import SHAPES, Manifest, of_kinds, only, rendered, server, servers


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[Manifest]]:
    return {shape: rendered(shape) for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_api_server_takes_every_shape(shape: str, shapes: dict[str, list[Manifest]]) -> None:
    assert refused(shapes[shape]) == []


def test_names_of_any_length_stay_names() -> None:
    long = "a-release-with-a-name-of-exactly-the-53-letters-that"
    for shape in ("gpu-alb-keda", "jobs-tiers", "own"):
        assert refused(rendered(shape, {"fullnameOverride": f"{long}-helm-takes"})) == []


def _pod(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = servers(manifests)["spec"]["template"]["spec"]
    return spec


PLANTED: list[tuple[Callable[[list[Manifest]], object], str]] = [
    (lambda all: all.append(only(all, "Ingress")), "Ingress verbatim: twice"),
    (
        lambda all: only(all, "Service")["metadata"].update(name="8-servers"),
        "8-servers is no name for it",
    ),
    (
        lambda all: servers(all)["metadata"]["labels"].update(team="speech & text"),
        "label team: speech & text is no value",
    ),
    (lambda all: servers(all)["metadata"]["labels"].update({"a b": "c"}), "a b is no key"),
    (
        lambda all: only(all, "Ingress")["metadata"]["annotations"].update(a="x" * 262_144),
        "annotations are too long",
    ),
    (
        lambda all: _pod(all)["containers"].append(server(all)),
        "two containers are verbatim",
    ),
    (
        lambda all: _pod(all)["volumes"].append({"name": "tmp", "emptyDir": {}}),
        "two volumes are tmp",
    ),
    (
        lambda all: _pod(all)["volumes"].append({"name": "A_b", "emptyDir": {}}),
        "A_b is no name for a part",
    ),
    (
        lambda all: _pod(all)["volumes"][0].update(hostPath={"path": "/tmp"}),
        "volume tmp is not of one kind",
    ),
    (
        lambda all: _pod(all)["volumes"][0]["emptyDir"].update(sizeLimit="8 GB"),
        "sizeLimit: 8 GB is no quantity",
    ),
    (
        lambda all: _pod(all)["tolerations"][0].update(value="true"),
        "a toleration that takes any value has one",
    ),
    (
        lambda all: server(all)["env"].append({"name": "VERBATIM_MODEL", "value": "tiny"}),
        "two variables are VERBATIM_MODEL",
    ),
    (
        lambda all: server(all)["env"].append({"name": "1 a", "value": ""}),
        "1 a is no variable",
    ),
    (lambda all: server(all)["env"].append({"name": "A"}), "A has not one value"),
    (lambda all: server(all)["env"].append({"name": "A", "value": 1}), "A is no text"),
    (
        lambda all: server(all)["volumeMounts"].append({"name": "tmp", "mountPath": "/tmp"}),
        "two mount paths are /tmp",
    ),
    (
        lambda all: server(all)["volumeMounts"].append({"name": "ca", "mountPath": "/ca"}),
        "no volume ca",
    ),
    (
        lambda all: server(all)["ports"][0].update(name="transcriptions-api"),
        "transcriptions-api is no name of a port",
    ),
    (lambda all: server(all)["ports"][0].update(containerPort=70000), "70000 is no port"),
    (
        lambda all: server(all)["ports"][1].update(containerPort=8000),
        "two port numbers are 8000/TCP",
    ),
    (
        lambda all: server(all)["resources"]["requests"].update(memory="20Gi"),
        "memory: more is requested than is the limit",
    ),
    (
        lambda all: server(all)["resources"]["limits"].update({"nvidia.com/gpu": "500m"}),
        "nvidia.com/gpu: a part of one",
    ),
    (
        lambda all: server(all)["readinessProbe"].update(periodSeconds=0),
        "readinessProbe.periodSeconds is below 1",
    ),
    (lambda all: _pod(all).update(restartPolicy="OnFailure"), "restartPolicy OnFailure"),
    (
        lambda all: servers(all)["spec"]["strategy"].update(type="Recreate"),
        "Recreate has a rollingUpdate",
    ),
    (
        lambda all: servers(all)["spec"]["strategy"]["rollingUpdate"].update(maxSurge="0%"),
        "maxSurge and maxUnavailable are both 0",
    ),
    (
        lambda all: of_kinds(all, "ConfigMap")[0]["data"].update(more="x" * 1_048_576),
        "bytes are more than it holds",
    ),
    (
        lambda all: only(all, "Ingress")["spec"]["rules"][0].update(host="speech_1.example.com"),
        "speech_1.example.com is no host",
    ),
    (
        lambda all: only(all, "Ingress")["spec"]["rules"][0]["http"]["paths"][0].update(path="v1"),
        "v1 is no path",
    ),
    (
        lambda all: only(all, "NetworkPolicy")["spec"]["ingress"][0]["from"].append(
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}
        ),
        "11.0.0.0/16 is not within 10.0.0.0/8",
    ),
    (
        lambda all: only(all, "NetworkPolicy")["spec"]["ingress"][0]["from"].append(
            {"ipBlock": {"cidr": "10.0.0.1/8"}, "podSelector": {}}
        ),
        "an ipBlock stands beside a selector",
    ),
    (
        lambda all: only(all, "NetworkPolicy")["spec"]["ingress"][0]["from"].append(
            {"ipBlock": {"cidr": "10.0.0.1/8"}}
        ),
        "10.0.0.1/8 has host bits set",
    ),
    (
        lambda all: only(all, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0].update(port="--"),
        "-- is no name of a port",
    ),
    (
        lambda all: only(all, "PersistentVolumeClaim")["spec"]["resources"].update(
            requests={"storage": "20GiB"}
        ),
        "storage: 20GiB is no quantity",
    ),
    (
        lambda all: only(all, "PriorityClass").update(value=2_000_000_000),
        "its value is the system's",
    ),
]


@pytest.mark.parametrize(("plant", "reason"), PLANTED, ids=[reason for _, reason in PLANTED])
def test_what_would_be_refused_is_found(
    plant: Callable[[list[Manifest]], object],
    reason: str,
    shapes: dict[str, list[Manifest]],
) -> None:
    planted = copy.deepcopy(shapes["gpu-alb-keda"])
    plant(planted)
    assert any(reason in each for each in refused(planted)), refused(planted)


def test_a_scaler_without_room_is_found(shapes: dict[str, list[Manifest]]) -> None:
    planted = copy.deepcopy(only(shapes["mig-hpa"], "HorizontalPodAutoscaler"))
    planted["spec"]["minReplicas"] = 11
    assert "above maxReplicas" in refused([planted])[0]


@pytest.mark.parametrize(
    ("text", "number"), [("500m", 0.5), ("2", 2), (1, 1), ("4Gi", 4 * 2**30), ("1.5G", 1.5e9)]
)
def test_quantities_are_numbers(text: object, number: float) -> None:
    assert float(quantity(text)) == number
