"""The queries of dashboards and rules, and the metrics in them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.support.live_server import ROOT

FOLDER = ROOT / "grafana"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
RULES = sorted((FOLDER / "rules").glob("*.yml"))

Board = dict[str, Any]

# As promtool would see them: names before a selector, a range or an operator, not functions.
_METRIC = re.compile(
    r"\b((?:DCGM|kube|kubelet|http|process|stt)[_:][\w:]+|up\b(?= ==))(\{[^}]*\})?"
)


def boards() -> Iterator[Board]:
    for path in DASHBOARDS:
        yield json.loads(path.read_text())


def panels(board: Board) -> list[Board]:
    """Those that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def selectors(expr: str) -> list[str]:
    """The series that an expression looks at, with their matchers."""
    return [match.group(0) for match in _METRIC.finditer(expr)]


def metrics(expr: str) -> set[str]:
    return {match.group(1) for match in _METRIC.finditer(expr)}


def filled(expr: str) -> str:
    """As Grafana sends it, with all chosen; the scrapes of the tests are a second apart."""
    values = {
        "$__rate_interval": "10s",
        "$namespace": ".*",
        "$job": ".*",
        "$model": ".*",
        "$gpu": ".*",
        "$price": "1.5",
    }
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in expr.replace("|$", ""), expr
    return expr
