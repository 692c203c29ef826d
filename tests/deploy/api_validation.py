"""What Kubernetes' API server refuses though its schemas take it: manifests to what is wrong.

The rules are those of k8s.io/kubernetes/pkg/apis/*/validation and of k8s.io/apimachinery's
validation.go, as far as they are about fields that the chart sets. Server-side apply, by which
Helm 4 installs, refuses lists in which a key occurs twice.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from ipaddress import ip_network

from tests.deploy.helm import Manifest

_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL = re.compile(rf"(?=.{{1,63}}$){_PART}")
SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){_PART}(\.{_PART})*")
SERVICE_NAME = re.compile(r"(?=.{1,63}$)[a-z]([-a-z0-9]*[a-z0-9])?")
PORT_NAME = re.compile(r"(?=.{1,15}$)(?!.*--)(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"(?=.{0,63}$)([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
QUALIFIED = re.compile(r"([a-z0-9.-]{1,253}/)?(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
HOST = re.compile(rf"(\*\.)?{_PART}(\.{_PART})*")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([EPTGMk]i?|Ki|m)?")
FACTORS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000), "Ki": Decimal(1024)}
FACTORS |= {letter: Decimal(1000) ** n for n, letter in enumerate("MGTPE", 2)}
FACTORS |= {f"{letter}i": Decimal(1024) ** n for n, letter in enumerate("MGTPE", 2)}

ANNOTATIONS_BYTES = 256 * 1024
DATA_BYTES = 1024 * 1024


def refused(manifests: list[Manifest]) -> list[str]:
    """Each with the kind and the name of the object."""
    found = []
    for each in manifests:
        place = f"{each['kind']} {each['metadata']['name']}"
        found += [f"{place}: {reason}" for reason in _object(each)]
    names = Counter(
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in manifests
    )
    return found + [f"{kind} {name}: twice" for (kind, _, name), n in names.items() if n > 1]


def _object(manifest: Manifest) -> Iterator[str]:
    metadata = manifest["metadata"]
    form = SERVICE_NAME if manifest["kind"] == "Service" else SUBDOMAIN
    if not form.fullmatch(metadata["name"]):
        yield f"{metadata['name']} is no name for it"
    yield from _labels(metadata)
    if rule := _OF_KIND.get(manifest["kind"]):
        yield from rule(manifest)


def _workload(manifest: Manifest) -> Iterator[str]:
    spec = manifest["spec"]
    yield from _labels(spec["template"]["metadata"])
    yield from _pod(spec["template"]["spec"])
    policy = spec["template"]["spec"].get("restartPolicy", "Always")
    if (policy == "Always") != (manifest["kind"] == "Deployment"):
        yield f"restartPolicy {policy}"
    strategy = spec.get("strategy", {})
    rolling = strategy.get("rollingUpdate", {})
    if strategy.get("type") == "Recreate" and rolling:
        yield "Recreate has a rollingUpdate"
    if rolling and all(str(value).rstrip("%") == "0" for value in rolling.values()):
        yield "maxSurge and maxUnavailable are both 0"


def _data(manifest: Manifest) -> Iterator[str]:
    size = sum(len(key) + len(text.encode()) for key, text in manifest["data"].items())
    if size > DATA_BYTES:
        yield f"{size} bytes are more than it holds"


def _priority(manifest: Manifest) -> Iterator[str]:
    if manifest["value"] > 1_000_000_000:
        yield "its value is the system's"


def _scaler(manifest: Manifest) -> Iterator[str]:
    spec = manifest["spec"]
    if not 0 < spec["minReplicas"] <= spec["maxReplicas"]:
        yield "minReplicas is 0, or above maxReplicas"


def _labels(metadata: Manifest) -> Iterator[str]:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    for key, value in labels.items():
        if not LABEL_VALUE.fullmatch(value):
            yield f"label {key}: {value} is no value"
    for key in [*labels, *annotations]:
        if not QUALIFIED.fullmatch(key):
            yield f"{key} is no key"
    if sum(len(key) + len(text.encode()) for key, text in annotations.items()) > ANNOTATIONS_BYTES:
        yield "annotations are too long"


def _pod(spec: Manifest) -> Iterator[str]:
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    yield from _twice("containers", (each["name"] for each in containers))
    yield from _twice("volumes", (each["name"] for each in spec.get("volumes", [])))
    volumes = {each["name"] for each in spec.get("volumes", [])}
    for name in [*volumes, *(each["name"] for each in containers)]:
        if not LABEL.fullmatch(name):
            yield f"{name} is no name for a part"
    for volume in spec.get("volumes", []):
        if sum(key != "name" for key in volume) != 1:
            yield f"volume {volume['name']} is not of one kind"
        limit = volume.get("emptyDir", {}).get("sizeLimit")
        yield from _quantities({"sizeLimit": limit} if limit else {})
    for toleration in spec.get("tolerations", []):
        if toleration.get("operator") == "Exists" and "value" in toleration:
            yield "a toleration that takes any value has one"
    for container in containers:
        yield from (f"{container['name']}: {each}" for each in _container(container, volumes))


def _container(container: Manifest, volumes: set[str]) -> Iterator[str]:
    yield from _variables(container.get("env", []))
    mounts = container.get("volumeMounts", [])
    yield from _twice("mount paths", (each["mountPath"] for each in mounts))
    yield from (f"no volume {each['name']}" for each in mounts if each["name"] not in volumes)
    yield from _ports(container.get("ports", []), "containerPort")
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    yield from _quantities(requests)
    yield from _quantities(limits)
    for name in requests.keys() & limits.keys():
        if quantity(requests[name]) > quantity(limits[name]):
            yield f"{name}: more is requested than is the limit"
    for name in limits.keys() - requests.keys():
        if "/" in name and quantity(limits[name]) % 1:
            yield f"{name}: a part of one"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        for field in ("periodSeconds", "failureThreshold", "timeoutSeconds"):
            if container.get(probe, {}).get(field, 1) < 1:
                yield f"{probe}.{field} is below 1"


def _variables(variables: list[Manifest]) -> Iterator[str]:
    yield from _twice("variables", (each["name"] for each in variables))
    for each in variables:
        if not VARIABLE.fullmatch(each["name"]):
            yield f"{each['name']} is no variable"
        if ("value" in each) == ("valueFrom" in each):
            yield f"{each['name']} has not one value"
        elif not isinstance(each.get("value", ""), str):
            yield f"{each['name']} is no text"


def _ports(ports: list[Manifest], field: str) -> Iterator[str]:
    yield from _twice("ports", (each["name"] for each in ports))
    numbers = ((each[field], each.get("protocol", "TCP")) for each in ports)
    yield from _twice("port numbers", (f"{number}/{protocol}" for number, protocol in numbers))
    for each in ports:
        if not PORT_NAME.fullmatch(each["name"]):
            yield f"{each['name']} is no name of a port"
        if not 0 < each[field] < 65536:
            yield f"{each[field]} is no port"


def _ingress(spec: Manifest) -> Iterator[str]:
    for rule in spec["rules"]:
        if not HOST.fullmatch(rule.get("host", "any")):
            yield f"{rule['host']} is no host"
        for path in rule["http"]["paths"]:
            if not path["path"].startswith("/"):
                yield f"{path['path']} is no path"


def _policy(spec: Manifest) -> Iterator[str]:
    rules = [*spec.get("ingress", []), *spec.get("egress", [])]
    for rule in rules:
        for port in rule.get("ports", []):
            if isinstance(port["port"], str) and not PORT_NAME.fullmatch(port["port"]):
                yield f"{port['port']} is no name of a port"
        for peer in [*rule.get("from", []), *rule.get("to", [])]:
            if "ipBlock" in peer and len(peer) > 1:
                yield "an ipBlock stands beside a selector"
            yield from _block(peer.get("ipBlock"))


def _block(block: Manifest | None) -> Iterator[str]:
    if block is None:
        return
    try:
        whole = ip_network(block["cidr"])
        inner = [ip_network(each) for each in block.get("except", [])]
    except ValueError as error:
        yield str(error)
        return
    for each in inner:
        if each.version != whole.version or not each.subnet_of(whole):  # type: ignore[arg-type]
            yield f"{each} is not within {whole}"


def _quantities(amounts: Manifest) -> Iterator[str]:
    for name, amount in amounts.items():
        if not QUANTITY.fullmatch(str(amount)):
            yield f"{name}: {amount} is no quantity"


def quantity(amount: object) -> Decimal:
    """`500m`, `4Gi` or a number, as a number."""
    found = QUANTITY.fullmatch(str(amount))
    return Decimal(found[1]) * FACTORS[found[2] or ""] if found else Decimal(0)


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    yield from (f"two {what} are {name}" for name, n in Counter(names).items() if n > 1)


_OF_KIND: dict[str, Callable[[Manifest], Iterator[str]]] = {
    "ConfigMap": _data,
    "Deployment": _workload,
    "HorizontalPodAutoscaler": _scaler,
    "Ingress": lambda manifest: _ingress(manifest["spec"]),
    "Job": _workload,
    "NetworkPolicy": lambda manifest: _policy(manifest["spec"]),
    "PersistentVolumeClaim": lambda manifest: _quantities(
        manifest["spec"]["resources"]["requests"]
    ),
    "Pod": lambda manifest: _pod(manifest["spec"]),
    "PriorityClass": _priority,
    "Secret": _data,
    "Service": lambda manifest: _ports(manifest["spec"]["ports"], "port"),
}
