"""The dashboards as files: made by `python -m grafana`, and complete."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from grafana.__main__ import files
from tests.deploy.terraform import PYTHON
from tests.grafana.queries import Board, boards, metrics, panels, rules
from tests.support.live_server import ROOT, LiveServer
from tests.support.programs import missing

BOARDS = list(boards())
FOREIGN = re.compile(r"DCGM_FI_|kube_|kubelet_|up$|stt:")
"""Of dcgm-exporter, kube-state-metrics, the kubelet and Prometheus itself, and of our rules."""

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_the_files_are_what_the_modules_make(path: Path) -> None:
    assert path.read_text() == files()[path], "run `python -m grafana`"


def test_grafanas_own_types_read_all_of_them() -> None:
    if not PYTHON.exists():
        missing(f"{PYTHON.relative_to(ROOT)} is missing: make test")
    dashboards = [str(path) for path in files() if path.suffix == ".json"]
    command = [str(PYTHON), str(Path(__file__).with_name("decode.py")), *dashboards]
    read = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert read == {
        board["uid"]: [
            [
                panel["title"],
                panel["fieldConfig"]["defaults"].get("unit"),
                [target["expr"] for target in panel.get("targets", [])],
            ]
            for panel in board["panels"]
            if panel["type"] != "row"
        ]
        for board in BOARDS
    }


def test_they_can_lie_side_by_side() -> None:
    assert len(BOARDS) == 6
    for field in ("uid", "title"):
        assert len({board[field] for board in BOARDS}) == len(BOARDS)


@each_board
def test_panels_have_distinct_titles_descriptions_and_units(board: Board) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@each_board
def test_no_panel_covers_another(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@each_board
def test_the_data_source_is_the_readers_choice(board: Board) -> None:
    for panel in panels(board):
        for source in (panel["datasource"], *(query["datasource"] for query in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}


@each_board
def test_every_choice_is_used_and_every_use_has_its_choice(board: Board) -> None:
    variables = board["templating"]["list"]
    chosen = {variable["name"] for variable in variables} - {"datasource"}
    text = [query["expr"] for panel in panels(board) for query in panel["targets"]]
    in_panels = set(re.findall(r"\$(\w+)", " ".join(text))) - {"__rate_interval"}
    assert in_panels == chosen
    assert {"datasource", "namespace"} < {variable["name"] for variable in variables}


@each_board
def test_rates_follow_the_scrape_interval(board: Board) -> None:
    for panel in panels(board):
        for query in panel["targets"]:
            windows = re.findall(r"\[(.+?)\]", query["expr"])
            assert set(windows) <= {"$__rate_interval", "24h"}, panel["title"]


def test_every_metric_that_is_looked_at_is_one_of_the_servers(server: LiveServer) -> None:
    server.client.models.list()
    text = httpx.get(f"{server.url}/metrics").text
    exposed = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[0] != "#"}
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    for name, kind in kinds.items():  # those with labels that nobody has had yet
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        exposed |= {name + part for part in parts}
    queries = [query for board in BOARDS for panel in panels(board) for query in panel["targets"]]
    for each in (*queries, *rules()):
        for name in metrics(each["expr"]):
            assert FOREIGN.match(name) or name in exposed, name


def test_every_rule_that_is_looked_at_exists() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    queries = [query for board in BOARDS for panel in panels(board) for query in panel["targets"]]
    for each in (*queries, *rules()):
        used = {name for name in metrics(each["expr"]) if name.startswith("stt:")}
        assert used <= recorded
