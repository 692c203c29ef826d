"""The rules for pods find what breaks them."""

from collections.abc import Callable

import pytest

from tests.deploy.helm import Manifest, only, rendered, server, servers
from tests.deploy.pods import broken_rules

Change = Callable[[list[Manifest]], object]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"podSecurityContext": {"runAsUser": 0}}, "does not run as 10001"),
        ({"podSecurityContext": {"seccompProfile": {"type": "Unconfined"}}}, "no seccomp profile"),
        ({"serviceAccount": {"automountToken": True}}, "has a token"),
        ({"securityContext": {"allowPrivilegeEscalation": True}}, "can gain privileges"),
        ({"securityContext": {"readOnlyRootFilesystem": False}}, "can write to its root"),
        ({"securityContext": {"capabilities": {"drop": ["NET_RAW"]}}}, "keeps capabilities"),
        ({"resources": {"limits": {"memory": None}}}, "has no limit on memory"),
        ({"resources": {"requests": {"cpu": None}}}, "requests no cpu"),
        ({"resources": {"requests": {"ephemeral-storage": None}}}, "or ephemeral storage"),
        ({"image": {"tag": "latest"}}, "which changes by itself"),
        ({"extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}]}, "mounts ca, which is no"),
    ],
    ids=str,
)
def test_a_pod_that_breaks_a_rule_is_found(values: dict[str, object], reason: str) -> None:
    assert any(reason in each for each in broken_rules(rendered("cpu", values)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda all: server(all).pop("readinessProbe"), "has no readinessProbe"),
        (
            lambda all: server(all)["livenessProbe"]["httpGet"].update(port="https"),
            "livenessProbe asks https, which is no port",
        ),
        (
            lambda all: server(all)["startupProbe"]["httpGet"].update(path="/health/ready"),
            "startupProbe asks /health/ready and not /health/live",
        ),
        (
            lambda all: server(all)["volumeMounts"][1].update(mountPath="/opt"),
            "mounts /opt, which hides the models in the image",
        ),
        (
            lambda all: server(all)["volumeMounts"][1].update(mountPath="/opt/models/base"),
            "mounts /opt/models/base, which hides the models in the image",
        ),
        (
            lambda all: only(all, "Service")["spec"]["ports"][0].update(targetPort="https"),
            "Service leads to https, which is no port",
        ),
        (
            lambda all: only(all, "Service")["spec"]["selector"].update(tier="web"),
            "Service does not select the server",
        ),
        (
            lambda all: only(all, "Pod")["metadata"]["labels"].update(
                only(all, "Service")["spec"]["selector"]
            ),
            "Service selects a pod that is no server",
        ),
        (
            lambda all: only(all, "PodMonitor")["spec"]["podMetricsEndpoints"][0].update(port="x"),
            "PodMonitor scrapes x, which is no port",
        ),
        *(
            (
                lambda all, shared=shared: servers(all)["spec"]["template"]["spec"].update(shared),
                "shares namespaces with its node",
            )
            for shared in ({"hostNetwork": True}, {"hostPID": True}, {"hostIPC": True})
        ),
        (
            lambda all: servers(all)["spec"]["selector"]["matchLabels"].update(tier="web"),
            "verbatim does not select its own pods",
        ),
    ],
)
def test_what_leads_to_no_server_is_found(change: Change, reason: str) -> None:
    manifests = rendered("gpu-alb-keda")
    assert broken_rules(manifests) == []
    change(manifests)
    assert any(reason in each for each in broken_rules(manifests))
