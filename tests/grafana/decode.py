"""Dashboards as Grafana's own types read them.

.venv/deploy/bin/python tests/grafana/decode.py DASHBOARD.json...

On stdout a JSON object of uid -> panels, each with its title, its unit and its queries.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.plugins import (  # type: ignore[import-not-found]
    register_default_plugins,
)
from grafana_foundation_sdk.models.dashboard import (  # type: ignore[import-not-found]
    Dashboard,
    Panel,
)


def main() -> None:
    register_default_plugins()  # Prometheus' queries among them
    boards = [Dashboard.from_json(json.loads(Path(each).read_text())) for each in sys.argv[1:]]
    json.dump(
        {board.uid: [_said(panel) for panel in _panels(board)] for board in boards}, sys.stdout
    )


def _panels(board: Dashboard) -> list[Panel]:
    return [panel for panel in board.panels or [] if isinstance(panel, Panel)]


def _said(panel: Panel) -> list[object]:
    unit = panel.field_config.defaults.unit if panel.field_config else None
    return [panel.title, unit, [target.expr for target in panel.targets or []]]


if __name__ == "__main__":
    main()
