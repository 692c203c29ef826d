"""The table of our own metrics in docs/metrics.md."""

from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from app.telemetry import metrics

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
_BEGIN, _END = "<!-- made by `python -m grafana` -->\n", "<!-- end -->"


def page() -> str:
    """The page as it is, with the table as it should be."""
    text = PAGE.read_text()
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}{table()}{_END}{after}"


def table() -> str:
    rows = ["| Metric | Kind | Labels | |", "|---|---|---|---|"]
    for constant, metric in vars(metrics).items():
        if constant.isupper() and isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"
