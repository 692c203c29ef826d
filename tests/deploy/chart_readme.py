"""The table of values in helm-chart/README.md, made from values.yaml and its comments.

`python -m tests.deploy.chart_readme` writes it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from tests.deploy.helm import CHART

README = CHART / "README.md"
START, END = "<!-- values -->\n", "<!-- /values -->"


@dataclass(frozen=True)
class Value:
    """One row: `path` with dots, `default` as it stands in the file, `comment` in one line."""

    path: str
    default: object
    comment: str


def values() -> list[Value]:
    """What values.yaml documents: keys with a comment. A comment above a key is about that key."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    return [Value(path, _at(defaults, path), comment) for path, comment in _commented(text)]


def table() -> str:
    every = values()
    inner = [each.path.rpartition(".")[0] for each in every]
    rows = [
        f"| `{each.path}` | {_shown(each.default, each.path in inner)} | {each.comment} |"
        for each in every
    ]
    return "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *rows]) + "\n"


def with_table(text: str) -> str:
    """`text` with the table between its marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}{table()}{END}{rest.partition(END)[2]}"


def _commented(text: str) -> Iterator[tuple[str, str]]:
    groups: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if found := re.match(r" *# ?(.*)", line):
            comment.append(found[1])
            continue
        if found := re.match(r"( *)(\w+):", line):
            groups = [*groups[: len(found[1]) // 2], found[2]]
            if comment:
                yield ".".join(groups), " ".join(comment)
        comment = []


def _at(values: object, path: str) -> object:
    for name in path.split("."):
        assert isinstance(values, dict)
        values = values[name]
    return values


def _shown(default: object, is_group: bool) -> str:
    if is_group:
        return ""
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= 60 else "[see there](values.yaml)"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
