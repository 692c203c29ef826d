"""`python -m grafana` writes grafana/dashboards, and the table of metrics in docs/metrics.md."""

import json
from pathlib import Path

from grafana.capacity import CAPACITY
from grafana.engine import ENGINE
from grafana.gpu import GPU
from grafana.jobs import JOBS
from grafana.live import LIVE
from grafana.overview import OVERVIEW
from grafana.reference import PAGE, page

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (OVERVIEW, ENGINE, LIVE, JOBS, CAPACITY, GPU)


def files() -> dict[Path, str]:
    """What is made, by path."""
    dashboards = {
        FOLDER / f"{each.name}.json": json.dumps(each.json(), indent=2) + "\n"
        for each in DASHBOARDS
    }
    return {**dashboards, PAGE: page()}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
