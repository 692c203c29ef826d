"""The OpenAPI document of the server, read once from `openapi.yaml` beside this module."""

from pathlib import Path
from typing import Any

import yaml

# libyaml reads it in a tenth of the time, which every start of the server takes.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DOCUMENT: dict[str, Any] = yaml.load(
    Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8"), _LOADER
)
