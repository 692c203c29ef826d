"""The import direction of docs/architecture.md, checked on the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A layer imports only layers below it; layers in one row do not import each other.
LAYERS = [
    ("__main__", "probe"),
    ("check",),
    ("serve", "keys"),
    ("application",),
    ("jobs",),
    ("transcriptions", "sockets"),
    ("http",),
    ("intake",),
    ("services",),
    ("access", "pipeline", "openai", "fetch"),
    ("models", "diarization"),
    ("audio", "engine"),
    ("process",),
    ("settings", "setting_groups", "setting_errors", "domain", "errors", "languages", "telemetry"),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted((ROOT / "app").rglob("*.py"))


def _layer(module: str) -> str:
    return module.split(".")[1]


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names |= {
        f"app.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "app"
        for alias in node.names
    }
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in names if name.startswith("app.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_layers_below_its_own(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module.endswith("__init__"):
        assert path.read_text() == "", "packages have nothing to say"
        return
    own = _layer(module)
    for imported in _imported(path):
        below = _layer(imported)
        assert below == own or RANK[below] > RANK[own] or {own, below} <= set(LAYERS[-1]), imported


def test_every_part_of_the_application_has_a_layer() -> None:
    assert {_layer(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in MODULES} - {
        "__init__"
    } == set(RANK)


def test_the_document_has_the_layers_in_this_order() -> None:
    text = " ".join((ROOT / "docs/architecture.md").read_text().split())
    assert f"`{' > '.join(', '.join(names) for names in LAYERS)}`" in text


WALL_CLOCK = {
    "app/access/sessions.py": "sessions end with the ID token, at a Unix second",
    "app/access/address_limits.py": "slowapi's own, and put right after a jump",
    "app/access/api_keys.py": "keys expire at a date",
    "app/access/client_secrets.py": "secrets expire at a Unix second that clients read",
    "app/access/daily_usage.py": "days are those of UTC",
    "app/access/keys_file.py": "keys are created and expire at a date",
    "app/access/metering.py": "GET /v1/usage says since when",
    "app/keys.py": "the command line of keys",
    "app/sockets/realtime/conversation.py": "sessions say when they end, in a Unix second",
}
"""Modules that ask for the time of day, and why. Limits, waits and deadlines have a monotonic
clock: one that is put an hour forward or back ends no request and frees no caller."""


def test_the_time_of_day_is_asked_for_where_it_is_meant() -> None:
    asked = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("time.time", "datetime.now", "datetime.utcnow", "date.today")
    }
    assert asked == set(WALL_CLOCK)
