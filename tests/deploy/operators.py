"""What operators refuse though their schemas take it: from manifests to what is wrong."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator

import yaml

from tests.deploy.helm import Manifest
from tests.support.programs import require

DURATION = re.compile(r"(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
"""Prometheus' notation, up to days."""

CRON = re.compile(r"\S+ \S+ \S+ \S+ \S+")

PERSISTENT_ONLY = {
    "disk.csi.azure.com",
    "ebs.csi.aws.com",
    "efs.csi.aws.com",
    "fsx.csi.aws.com",
    "pd.csi.storage.gke.io",
    "s3.csi.aws.com",
}
"""Drivers whose CSIDriver object has no `Ephemeral` among its volumeLifecycleModes: the kubelet
mounts no inline volume of theirs, and the pod stays in ContainerCreating."""


def refused(manifests: list[Manifest]) -> list[str]:
    """What the operators' admission webhooks, or the kubelet, would not take."""
    found: list[str] = []
    for each in manifests:
        match each["kind"]:
            case "PrometheusRule":
                found += _rules(each)
            case "PodMonitor" | "ServiceMonitor":
                found += _monitor(each)
            case "ScaledObject":
                found += _scaled_object(each, manifests)
            case "Deployment":
                found += _volumes(each)
    return found


def _rules(manifest: Manifest) -> Iterator[str]:
    """The operator parses rules as Prometheus does, and so does promtool: names of groups that
    occur once, PromQL, durations, templates."""
    done = subprocess.run(
        [require("promtool"), "check", "rules", "/dev/stdin"],
        input=yaml.safe_dump(manifest["spec"]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        yield f"PrometheusRule: {done.stderr.strip() or done.stdout.strip()}"


def _monitor(manifest: Manifest) -> Iterator[str]:
    spec = manifest["spec"]
    for endpoint in spec.get("endpoints", spec.get("podMetricsEndpoints")):
        if not DURATION.fullmatch(endpoint["interval"]):
            yield f"{manifest['kind']}: {endpoint['interval']} is no duration"


def _scaled_object(manifest: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """KEDA's webhook (apis/keda/v1alpha1/scaledobject_webhook.go)."""
    spec, kind = manifest["spec"], manifest["kind"]
    least, most = spec["minReplicaCount"], spec["maxReplicaCount"]
    if least > most:
        yield f"{kind}: minReplicaCount {least} is above maxReplicaCount {most}"
    if spec.get("idleReplicaCount", -1) >= least:
        yield f"{kind}: idleReplicaCount is not below minReplicaCount"
    targets = [
        each["spec"]["scaleTargetRef"]["name"]
        for each in manifests
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    ]
    if targets.count(spec["scaleTargetRef"]["name"]) > 1:
        yield f"{kind}: {spec['scaleTargetRef']['name']} has a second scaler"
    scaling = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    if any("tolerance" in each for each in scaling.values()):
        yield f"{kind}: its behavior knows no tolerance, which Kubernetes has had since 1.33"
    if "fallback" in spec and all(each["type"] in ("cpu", "memory") for each in spec["triggers"]):
        yield f"{kind}: fallback holds for no trigger"
    yield from _triggers(spec, manifests)


def _triggers(spec: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    names = [each["name"] for each in spec["triggers"] if "name" in each]
    yield from (f"two triggers are {name}" for name, n in Counter(names).items() if n > 1)
    modifiers = spec.get("advanced", {}).get("scalingModifiers", {})
    if modifiers.get("formula"):
        if "target" not in modifiers:
            yield "scalingModifiers have no target"
        if len(names) < len(spec["triggers"]):
            yield "a formula needs a name for each trigger"
    for trigger in spec["triggers"]:
        if trigger["type"] == "cron":
            yield from _cron(trigger["metadata"])
        if trigger["type"] == "postgresql":
            yield from _postgresql(trigger, manifests)
        if not all(isinstance(value, str) for value in trigger["metadata"].values()):
            yield f"metadata of {trigger['type']} must be strings"


def _postgresql(trigger: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """What KEDA's scaler needs (pkg/scalers/postgresql_scaler.go), with the URL out of a Secret."""
    if missing := {"query", "targetQueryValue"} - trigger["metadata"].keys():
        yield f"postgresql: {sorted(missing)} missing"
    given = [
        target["parameter"]
        for each in manifests
        if each["kind"] == "TriggerAuthentication"
        and each["metadata"]["name"] == trigger.get("authenticationRef", {}).get("name")
        for target in each["spec"]["secretTargetRef"]
    ]
    if "connection" not in given:
        yield "postgresql: no connection"


def _cron(metadata: Manifest) -> Iterator[str]:
    missing = {"timezone", "start", "end", "desiredReplicas"} - metadata.keys()
    if missing:
        yield f"cron: {sorted(missing)} missing"
    elif metadata["start"] == metadata["end"]:
        yield "cron: start and end are the same"
    elif not all(CRON.fullmatch(metadata[name]) for name in ("start", "end")):
        yield "cron: not five fields"


def _volumes(manifest: Manifest) -> Iterator[str]:
    for volume in manifest["spec"]["template"]["spec"].get("volumes", []):
        driver = volume.get("csi", {}).get("driver")
        if driver in PERSISTENT_ONLY:
            yield f"Deployment: {driver} mounts no inline volume"
