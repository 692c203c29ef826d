"""`python -m tests.grafana.pictures FOLDER`: the dashboards of a short run, as pictures to look at.

Not Grafana's own rendering: the same queries, titles and units, drawn by matplotlib.
"""

import asyncio
import math
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.grafana.prometheus import Prometheus, prometheus
from tests.grafana.queries import Board, boards, filled, panels
from tests.grafana.traffic import TOKEN, all_at_once, busy_server, one_after_another, talk

RUN_SECONDS = 45.0


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with busy_server() as server, prometheus(server.port, TOKEN) as running:
        start = time.time()
        one_after_another(server)
        while time.time() < start + RUN_SECONDS:
            all_at_once(server)
            asyncio.run(talk(server))
        for board in boards():
            draw(running, board, folder / f"{board['uid']}.png", start, time.time())


def draw(running: Prometheus, board: Board, path: Path, start: float, end: float) -> None:
    shown = panels(board)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in shown)
    figure = plt.figure(figsize=(18, height / 2.6))
    grid = figure.add_gridspec(height, 24, hspace=1.2, wspace=4)
    for panel in shown:
        at = panel["gridPos"]
        axes = figure.add_subplot(
            grid[at["y"] : at["y"] + at["h"] - 1, at["x"] : at["x"] + at["w"]]
        )
        unit = panel["fieldConfig"]["defaults"]["unit"]
        axes.set_title(f"{panel['title']} [{unit}]", fontsize=8, loc="left")
        axes.tick_params(labelsize=6)
        for query in panel["targets"]:
            series = running.lately(filled(query["expr"]), start, end)
            if panel["type"] == "stat":
                show_number(axes, series)
            else:
                show_lines(axes, series, query["legendFormat"], start)
        if panel["type"] != "stat":
            axes.set_ylim(bottom=0, top=panel["fieldConfig"]["defaults"].get("max"))
            axes.legend(fontsize=5, loc="upper left")
    figure.savefig(path, dpi=70, bbox_inches="tight")
    plt.close(figure)


def show_number(axes: Axes, series: list[Board]) -> None:
    axes.axis("off")
    values = [each["values"][-1][1] for each in series] or ["no data"]
    axes.text(0, 0.3, " ".join(values)[:9], fontsize=22)


def show_lines(axes: Axes, series: list[Board], legend: str, start: float) -> None:
    for each in series:
        label = legend or ", ".join(each["metric"].values())
        for name, value in each["metric"].items():
            label = label.replace("{{" + name + "}}", value)
        points = [(at - start, float(value)) for at, value in each["values"]]
        finite = [(at, value) for at, value in points if math.isfinite(value)]
        if finite:
            axes.plot(*zip(*finite, strict=True), linewidth=1, label=label)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
