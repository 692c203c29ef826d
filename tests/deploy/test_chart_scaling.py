"""What the chart tells autoscalers, and with what it is watched."""

import json

import pytest
import yaml

from tests.deploy.helm import Values, of_kinds, only, rendered
from tests.deploy.operators import refused
from tests.support.live_server import ROOT

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


def test_it_brings_the_rules_and_dashboards_of_the_repository() -> None:
    fleet = rendered("gpu-alb-keda")
    groups = only(fleet, "PrometheusRule")["spec"]["groups"]
    written = [
        group
        for path in sorted((ROOT / "grafana/rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    assert [each["name"] for each in groups] == [each["name"] for each in written]
    recorded = {rule.get("record") for group in groups for rule in group["rules"]}
    assert "stt:replicas_wanted" in recorded, "what the scalers ask for"
    runbooks = [
        rule["annotations"]["runbook_url"]
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    ]
    address = "https://example.com/verbatim/blob/v0.1.0/"
    assert all((ROOT / each.removeprefix(address)).suffix == ".md" for each in runbooks)
    assert all(each.startswith(f"{address}docs/runbooks/") for each in runbooks)
    labelled = [
        each["data"]
        for each in of_kinds(fleet, "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    brought = {name: text for data in labelled for name, text in data.items()}
    dashboards = {path.name: path for path in (ROOT / "grafana/dashboards").glob("*.json")}
    assert {name: json.loads(text) for name, text in brought.items()} == {
        name: json.loads(path.read_text()) for name, path in dashboards.items()
    }
    assert max(map(len, brought.values())) < 1024**2, "Kubernetes takes no larger ConfigMap"
