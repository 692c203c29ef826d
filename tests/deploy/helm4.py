"""Helm 4, as the shared library that PyPI's helm-python-sdk brings.

.venv/deploy/bin/python tests/deploy/helm4.py CHART KUBERNETES < {"NAME": VALUES}

Prints its version, and for each name what its linter says and the documents that it renders.
"""

import json
import sys
from typing import Any

import helm_python  # type: ignore[import-not-found]


def judged(chart: Any, path: str, kubernetes: str, values: dict[str, Any]) -> dict[str, Any]:
    """The linter's messages of warnings and errors, and the rendered files."""
    chart.validate_schema(values)
    report = helm_python.lint(
        path, values, strict=True, namespace="speech", kube_version=kubernetes
    )
    return {
        "complaints": [each["error"] for each in report["messages"] if each["severity"] > 1],
        "files": chart.render(values, name="verbatim", namespace="speech"),
    }


def main(path: str, kubernetes: str) -> None:
    given = json.load(sys.stdin)
    with helm_python.Chart.load(path) as chart:
        shapes = {name: judged(chart, path, kubernetes, each) for name, each in given.items()}
    print(json.dumps({"version": helm_python.helm_sdk_version(), "shapes": shapes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
