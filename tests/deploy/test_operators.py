"""What operators and nodes refuse is found: rules that find nothing would look the same."""

import copy
from collections.abc import Callable

import pytest

from tests.deploy.helm import Manifest, only, part, rendered, servers
from tests.deploy.operators import refused


@pytest.fixture(scope="module")
def fleet() -> list[Manifest]:
    return rendered("gpu-alb-keda")


@pytest.fixture(scope="module")
def workers() -> list[Manifest]:
    return part(rendered("jobs-tiers"), "worker")


def _same_group_twice(fleet: list[Manifest]) -> None:
    groups = only(fleet, "PrometheusRule")["spec"]["groups"]
    groups[0]["name"] = groups[-1]["name"]


def _broken_query(fleet: list[Manifest]) -> None:
    only(fleet, "PrometheusRule")["spec"]["groups"][0]["rules"][0]["expr"] = "sum by (job"


def _time_in_words(fleet: list[Manifest]) -> None:
    only(fleet, "PrometheusRule")["spec"]["groups"][0]["rules"][0]["for"] = "five minutes"


def _interval(fleet: list[Manifest]) -> None:
    only(fleet, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["interval"] = "15 s"


def _fewer_at_most(fleet: list[Manifest]) -> None:
    only(fleet, "ScaledObject")["spec"]["maxReplicaCount"] = 1


def _idle_above_least(fleet: list[Manifest]) -> None:
    only(fleet, "ScaledObject")["spec"]["idleReplicaCount"] = 2


def _formula_without_target(fleet: list[Manifest]) -> None:
    advanced = only(fleet, "ScaledObject")["spec"]["advanced"]
    advanced["scalingModifiers"] = {"formula": "wanted + 1"}


def _formula_over_a_nameless_trigger(fleet: list[Manifest]) -> None:
    spec = only(fleet, "ScaledObject")["spec"]
    del spec["triggers"][1]["name"]
    spec["advanced"]["scalingModifiers"] = {"formula": "wanted + 1", "target": "1"}


def _a_tolerance(fleet: list[Manifest]) -> None:
    advanced = only(fleet, "ScaledObject")["spec"]["advanced"]
    advanced["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]["tolerance"] = "0"


def _two_of_a_name(fleet: list[Manifest]) -> None:
    only(fleet, "ScaledObject")["spec"]["triggers"][1]["name"] = "wanted"


def _cron_that_never_ends(fleet: list[Manifest]) -> None:
    hours = only(fleet, "ScaledObject")["spec"]["triggers"][1]["metadata"]
    hours["end"] = hours["start"]


def _cron_without_an_end(fleet: list[Manifest]) -> None:
    del only(fleet, "ScaledObject")["spec"]["triggers"][1]["metadata"]["end"]


def _cron_by_the_second(fleet: list[Manifest]) -> None:
    only(fleet, "ScaledObject")["spec"]["triggers"][1]["metadata"]["start"] = "0 45 8 * * 1-5"


def _fallback_of_cpu_alone(fleet: list[Manifest]) -> None:
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "80"}}
    only(fleet, "ScaledObject")["spec"]["triggers"] = [cpu]


def _a_number(fleet: list[Manifest]) -> None:
    only(fleet, "ScaledObject")["spec"]["triggers"][0]["metadata"]["threshold"] = 1


def _a_second_scaler(fleet: list[Manifest]) -> None:
    fleet.append(copy.deepcopy(only(fleet, "ScaledObject")))


def _inline_s3(fleet: list[Manifest]) -> None:
    volume = {"name": "models", "csi": {"driver": "s3.csi.aws.com", "readOnly": True}}
    servers(fleet)["spec"]["template"]["spec"]["volumes"].append(volume)


PLANTED: dict[Callable[[list[Manifest]], None], str] = {
    _same_group_twice: "is repeated in the same file",
    _broken_query: "could not parse expression",
    _time_in_words: "not a valid duration string",
    _interval: "15 s is no duration",
    _fewer_at_most: "minReplicaCount 2 is above maxReplicaCount 1",
    _idle_above_least: "idleReplicaCount is not below",
    _formula_without_target: "no target",
    _formula_over_a_nameless_trigger: "needs a name for each",
    _a_tolerance: "knows no tolerance",
    _two_of_a_name: "two triggers are wanted",
    _cron_that_never_ends: "start and end are the same",
    _cron_without_an_end: "cron: ['end'] missing",
    _cron_by_the_second: "cron: not five fields",
    _fallback_of_cpu_alone: "fallback holds for no trigger",
    _a_number: "must be strings",
    _a_second_scaler: "has a second scaler",
    _inline_s3: "mounts no inline volume",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_would_be_refused_is_found(
    plant: Callable[[list[Manifest]], None], fleet: list[Manifest]
) -> None:
    planted = copy.deepcopy(fleet)
    plant(planted)
    assert any(PLANTED[plant] in each for each in refused(planted)), refused(planted)


def test_a_query_of_postgresql_needs_a_target_and_a_connection(workers: list[Manifest]) -> None:
    assert refused(workers) == []
    planted = copy.deepcopy(workers)
    only(planted, "TriggerAuthentication")["metadata"]["name"] = "another"
    del only(planted, "ScaledObject")["spec"]["triggers"][0]["metadata"]["targetQueryValue"]
    assert refused(planted) == [
        "postgresql: ['targetQueryValue'] missing",
        "postgresql: no connection",
    ]
