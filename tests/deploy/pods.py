"""Rules that every pod of the chart must keep, as a function from manifests to what breaks them."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.deploy.helm import Manifest

USER = 10001
"""The image's; tests/deploy/test_image.py holds the image to it."""

BUILT_IN = PurePosixPath("/opt/models")
"""Where the image has its models; likewise."""

PROBES = {
    "startupProbe": "/health/live",
    "livenessProbe": "/health/live",
    "readinessProbe": "/health/ready",
}
"""What each asks. The first two start a container anew, which must not happen to one that pulls a
model, and the third keeps callers away from it."""


def broken_rules(manifests: list[Manifest]) -> list[str]:
    """What is wrong with the pods, and with what selects them."""
    found: list[str] = []
    for name, spec in pod_specs(manifests):
        found += [f"{name}: {each}" for each in _pod(spec)]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            found += [f"{name}/{container['name']}: {each}" for each in _container(container, spec)]
    return found + list(_selectors(manifests))


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for each in manifests:
        if each["kind"] in ("Deployment", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]


def _pod(spec: Manifest) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("runAsUser") != USER:
        yield f"does not run as {USER}"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "has a token of Kubernetes"
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield "shares namespaces with its node"


def _container(container: Manifest, pod: Manifest) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "can gain privileges"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "keeps capabilities"
    resources = container.get("resources", {})
    if not {"cpu", "memory", "ephemeral-storage"} <= set(resources.get("requests", {})):
        yield "requests no cpu, memory or ephemeral storage"
    if "memory" not in resources.get("limits", {}):
        yield "has no limit on memory"
    tag = container["image"].rpartition(":")[2]
    if tag in ("latest", container["image"]):
        yield f"runs {container['image']}, which changes by itself"
    mounts = {each["name"] for each in container.get("volumeMounts", [])}
    for name in mounts - {each["name"] for each in pod.get("volumes", [])}:
        yield f"mounts {name}, which is no volume"
    for each in container.get("volumeMounts", []):
        path = PurePosixPath(each["mountPath"])
        if BUILT_IN.is_relative_to(path) or path.is_relative_to(BUILT_IN):
            yield f"mounts {path}, which hides the models in the image"
    yield from _probes(container)


def _probes(container: Manifest) -> Iterator[str]:
    """Of a container that serves a port."""
    ports = {each["name"] for each in container.get("ports", [])}
    for probe, path in PROBES.items() if ports else ():
        if probe not in container:
            yield f"has no {probe}"
            continue
        asked = container[probe]["httpGet"]
        if asked["port"] not in ports:
            yield f"{probe} asks {asked['port']}, which is no port"
        if asked["path"] != path:
            yield f"{probe} asks {asked['path']} and not {path}"


def _selectors(manifests: list[Manifest]) -> Iterator[str]:
    """Services, budgets, policies and monitors must select the pods of the Deployment of the same
    name, and no others."""
    deployments = {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in manifests
        if each["kind"] == "Deployment"
    }
    yield from _own_pods([each for each in manifests if each["kind"] == "Deployment"])
    pods = [each["metadata"] for each in manifests if each["kind"] == "Pod"]
    for each in manifests:
        spec = each.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if selector is None or each["kind"] in ("Deployment", "ServiceMonitor"):
            continue
        own = deployments[each["metadata"]["name"]]
        wanted = selector.get("matchLabels", selector).items()
        if not wanted <= own["metadata"]["labels"].items():
            yield f"{each['kind']} does not select the server"
        others = [other["metadata"] for other in deployments.values() if other is not own]
        if any(wanted <= other.get("labels", {}).items() for other in [*others, *pods]):
            yield f"{each['kind']} selects a pod that is no server"
        ports = {port["name"] for port in own["spec"]["containers"][0]["ports"]}
        for port in spec.get("ports", []) if each["kind"] == "Service" else []:
            if port["targetPort"] not in ports:
                yield f"Service leads to {port['targetPort']}, which is no port"
        for endpoint in spec.get("podMetricsEndpoints", []):
            if endpoint["port"] not in ports:
                yield f"PodMonitor scrapes {endpoint['port']}, which is no port"


def _own_pods(deployments: list[Manifest]) -> Iterator[str]:
    for each in deployments:
        made = each["spec"]["template"]["metadata"]["labels"]
        if not each["spec"]["selector"]["matchLabels"].items() <= made.items():
            yield f"{each['metadata']['name']} does not select its own pods"
