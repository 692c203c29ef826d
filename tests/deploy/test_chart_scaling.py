"""What the chart tells autoscalers."""

import json

import pytest

from tests.deploy.helm import Values, of_kinds, only, rendered
from tests.deploy.operators import refused

KEDA: Values = {
    "autoscaling": {"type": "keda"},
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
}


def test_each_release_follows_its_own_pods() -> None:
    """By the names that Prometheus' operator gives their jobs."""
    scaled = only(rendered("cpu", {**KEDA, "fullnameOverride": "live"}), "ScaledObject")
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    assert query == 'max(stt:replicas_wanted{namespace="speech",job="speech/live"})'
    (metric,) = only(rendered("mig-hpa"), "HorizontalPodAutoscaler")["spec"]["metrics"]
    selector = metric["external"]["metric"]["selector"]["matchLabels"]
    assert selector == {"namespace": "speech", "job": "verbatim"}


def test_pods_that_something_else_scrapes_are_found_by_namespace() -> None:
    elsewhere: Values = {"autoscaling": {"type": "keda", "rulesElsewhere": True}}
    scaled = only(rendered("cpu", elsewhere), "ScaledObject")
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    assert query == 'max(stt:replicas_wanted{namespace="speech"})'


def test_more_triggers_and_a_formula_are_kedas() -> None:
    keda = {
        "cron": [
            {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "replicas": 5},
            {"timezone": "UTC", "start": "0 18 * * *", "end": "0 8 * * *", "replicas": 2},
        ],
        "extraTriggers": [{"type": "cpu", "name": "cpu", "metadata": {"value": "80"}}],
        "scalingModifiers": {"formula": "max([wanted, cron_0, cron_1])", "target": "1"},
    }
    values: Values = {**KEDA, "autoscaling": {"type": "keda", "keda": keda}}
    manifests = rendered("cpu", values)
    spec = only(manifests, "ScaledObject")["spec"]
    assert [each["name"] for each in spec["triggers"]] == ["wanted", "cron_0", "cron_1", "cpu"]
    assert spec["advanced"]["scalingModifiers"] == keda["scalingModifiers"]
    assert refused(manifests) == []


@pytest.mark.parametrize(("version", "tolerance"), [("1.34", None), ("1.35", "0")])
def test_a_wish_for_a_tenth_more_is_followed_where_kubernetes_can(
    version: str, tolerance: str | None
) -> None:
    hpa = only(rendered("mig-hpa", version=version), "HorizontalPodAutoscaler")
    assert hpa["spec"]["behavior"]["scaleUp"].get("tolerance") == tolerance


def test_alerts_and_dashboards_find_a_release_of_any_name() -> None:
    named = {**KEDA, "fullnameOverride": "live", "dashboards": {"enabled": True}}
    manifests = rendered("cpu", named)
    rule = only(manifests, "PrometheusRule")
    (alert,) = [
        each
        for group in rule["spec"]["groups"]
        for each in group["rules"]
        if each.get("alert") == "VerbatimScalingAtMax"
    ]
    assert 'horizontalpodautoscaler=~".*(verbatim|live).*"' in alert["expr"]
    (capacity,) = [
        each["data"]["capacity.json"]
        for each in of_kinds(manifests, "ConfigMap")
        if "capacity.json" in each["data"]
    ]
    assert ".*(verbatim|live).*" in capacity
    assert json.loads(capacity)["panels"]
