"""`python -m grafana` writes grafana/dashboards from the modules beside this one."""

import json
from pathlib import Path

from grafana.capacity import CAPACITY
from grafana.engine import ENGINE
from grafana.gpu import GPU
from grafana.live import LIVE
from grafana.overview import OVERVIEW

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (OVERVIEW, ENGINE, LIVE, CAPACITY, GPU)


def files() -> dict[Path, str]:
    """What is in the folder, by path."""
    return {
        FOLDER / f"{each.name}.json": json.dumps(each.json(), indent=2) + "\n"
        for each in DASHBOARDS
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
