"""What a dashboard is made of, and its JSON as Grafana imports it (schema 39, Grafana 10 on)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grafana.queries import OURS, Query

Json = dict[str, object]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `unit` is Grafana's id of it; `width` is in 24ths of the page."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Literal["timeseries", "stat", "heatmap", "table"] = "timeseries"
    width: int = 8
    height: int = 8
    stacked: bool = False
    maximum: float | None = None
    """The top of the axis; None: as the data needs it."""
    warn_above: float | None = None
    """Where a stat turns orange, and a line is drawn."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of the page: from a `query` of labels, or `text` to type over."""

    name: str
    label: str
    query: str = ""
    text: str = ""

    def json(self) -> Json:
        if self.text:
            choice: Json = {"text": self.text, "value": self.text}
            return {
                "type": "textbox",
                "name": self.name,
                "label": self.label,
                "query": self.text,
                "current": choice,
                "options": [choice],
            }
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": SOURCE,
            "query": {"query": self.query, "refId": self.name},
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
            "sort": 1,
        }


NAMESPACE = Variable("namespace", "Namespace", "label_values(stt_requests_in_flight, namespace)")
JOB = Variable("job", "Job", 'label_values(stt_requests_in_flight{namespace=~"$namespace"}, job)')
MODEL = Variable("model", "Model", f"label_values(stt_engine_info{{{OURS}}}, model)")


@dataclass(frozen=True, slots=True)
class Dashboard:
    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]

    def json(self) -> Json:
        source: Json = {
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "current": {},
        }
        return {
            "uid": f"verbatim-{self.name}",
            "title": f"Verbatim / {self.title}",
            "description": self.description,
            "tags": ["verbatim"],
            "schemaVersion": 39,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [
                {
                    "type": "dashboards",
                    "title": "Verbatim",
                    "tags": ["verbatim"],
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "templating": {"list": [source, *(each.json() for each in self.variables)]},
            "panels": list(self._panels()),
        }

    def _panels(self) -> list[Json]:
        placed: list[Json] = []
        top = 0
        for row in self.rows:
            place: Json = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
            heading: Json = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
            placed.append({"id": len(placed) + 1, **heading, "gridPos": place})
            top += 1
            left = height = 0
            for panel in row.panels:
                if left + panel.width > _COLUMNS:
                    left, top, height = 0, top + height, 0
                place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
                placed.append({"id": len(placed) + 1, **_panel(panel), "gridPos": place})
                left, height = left + panel.width, max(height, panel.height)
            top += height
        return placed


def _panel(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.warn_above is not None:
        steps.append({"color": "orange", "value": panel.warn_above})
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": _custom(panel),
    }
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [_target(panel, index, query) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "transformations": _TRANSFORMATIONS[panel.kind],
    }


def _target(panel: Panel, index: int, query: Query) -> Json:
    formats = {"heatmap": "heatmap", "table": "table"}
    return {
        "refId": chr(ord("A") + index),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": "{{le}}" if panel.kind == "heatmap" else query.legend,
        "format": formats.get(panel.kind, "time_series"),
        "instant": panel.kind == "table",
        "range": panel.kind != "table",
    }


def _custom(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 25 if panel.stacked else 8,
        "showPoints": "never",
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if panel.warn_above is None else "dashed"},
    }


def _options(panel: Panel) -> Json:
    options = _OPTIONS[panel.kind]
    return options | {"yAxis": {"unit": panel.unit}} if panel.kind == "heatmap" else options


_OPTIONS: dict[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "auto",
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}


# Of the series behind a table only their labels are of interest.
_LABELS_ONLY: Json = {"excludeByName": {"Time": True, "Value": True}}
_TRANSFORMATIONS: dict[str, list[Json]] = {
    "timeseries": [],
    "stat": [],
    "heatmap": [],
    "table": [{"id": "organize", "options": _LABELS_ONLY}],
}
