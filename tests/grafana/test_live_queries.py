"""A real server, a real Prometheus: every panel has something to show and every rule to judge."""

import asyncio
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.grafana.prometheus import Prometheus, prometheus
from tests.grafana.queries import boards, filled, panels, rules, selectors
from tests.grafana.traffic import TOKEN, all_at_once, busy_server, one_after_another, talk
from tests.support.waiting import wait_until

PANELS = [
    pytest.param(panel, id=f"{board['uid']}: {panel['title']}")
    for board in boards()
    for panel in panels(board)
]


@dataclass(frozen=True)
class Seen:
    """What Prometheus saw of a server that had some of everything to do."""

    prometheus: Prometheus
    start: float
    end: float

    def has(self, query: str) -> bool:
        """A number, be it 0, for any moment of that time."""
        series = self.prometheus.lately(query, self.start, self.end)
        return any(not math.isnan(float(value)) for each in series for _, value in each["values"])


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    with busy_server() as server, prometheus(server.port, TOKEN) as running:
        start = time.time()
        wait_until(running.look_again())  # at what begins at 0
        for _ in range(2):  # a series that begins between two scrapes has no rate yet
            one_after_another(server)
            all_at_once(server)
            asyncio.run(talk(server))
            wait_until(running.look_again())
            wait_until(running.look_again())
        yield Seen(running, start, time.time())


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_shows_something(seen: Seen, panel: dict[str, list[dict[str, str]]]) -> None:
    for query in panel["targets"]:
        assert seen.has(filled(query["expr"])), query["expr"]


def test_variables_have_values(seen: Seen) -> None:
    for metric, label, value in (
        ("stt_requests_in_flight", "namespace", "stt"),
        ("stt_requests_in_flight", "job", "verbatim"),
        ("stt_engine_info", "model", "starter"),
        ("DCGM_FI_DEV_GPU_UTIL", "gpu", "0"),
    ):
        assert value in seen.prometheus.get(f"label/{label}/values", **{"match[]": metric})


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, id=rule.get("record") or rule.get("alert")) for rule in rules()]
)
def test_a_rule_has_something_to_judge(seen: Seen, rule: dict[str, str]) -> None:
    if "record" in rule:
        assert seen.has(rule["record"])
    for selector in selectors(rule["expr"]):
        assert seen.has(selector), selector


def test_prometheus_could_apply_every_rule_and_only_what_is_wrong_is_alerted(seen: Seen) -> None:
    groups = seen.prometheus.get("rules")["groups"]
    applied = [rule for group in groups for rule in group["rules"]]
    assert len(applied) == len(list(rules()))
    assert {rule["health"] for rule in applied} == {"ok"}
    firing = {rule["name"] for rule in applied if rule.get("state") == "firing"}
    assert firing == set(), "nothing has lasted for long enough"
