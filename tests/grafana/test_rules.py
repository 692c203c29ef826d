"""The rules by promtool, and that none is without a test or a runbook."""

import subprocess
from typing import Any

import pytest
import yaml

from tests.grafana.queries import FOLDER, RULES, rules
from tests.support.live_server import ROOT
from tests.support.programs import require

TESTS = sorted((FOLDER / "rules" / "tests").glob("*.yml"))
ALERTS = [rule for rule in rules() if "alert" in rule]
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def promtool(*arguments: object) -> str:
    command = [require("promtool"), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expectations() -> list[dict[str, Any]]:
    return [
        expected
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for expected in test["promql_expr_test"]
    ]


def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", *RULES)
    promtool("check", "config", "--syntax-only", FOLDER / "prometheus.yml")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: object) -> None:
    promtool("test", "rules", path)


def test_every_recorded_series_is_tested() -> None:
    text = " ".join(expected["expr"] for expected in expectations() if expected["exp_samples"])
    for rule in rules():
        if "record" in rule:
            assert rule["record"] in text.replace("(", " ").replace(",", " ").split()


@each_alert
def test_an_alert_is_seen_to_fire_and_to_be_silent(alert: dict[str, Any]) -> None:
    name = f'alertname="{alert["alert"]}"'
    mine = [expected["exp_samples"] for expected in expectations() if name in expected["expr"]]
    assert [] in mine
    assert [{"labels": f"{{{name}}}", "value": 1}] in mine


@each_alert
def test_an_alert_says_what_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    notes = alert["annotations"]
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    page = (ROOT / notes["runbook_url"]).read_text()
    assert alert["alert"] in page
    for heading in ("## What it means", "## Look at", "## Do"):
        assert heading in page


def test_every_runbook_belongs_to_an_alert() -> None:
    pages = {f"docs/runbooks/{path.name}" for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {alert["annotations"]["runbook_url"] for alert in ALERTS}
