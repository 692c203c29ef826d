"""The model that a bench runs on: real Whisper base, or another by its name."""

import argparse
import sys
from pathlib import Path

from app.errors import SetupError
from app.models.directory import how_to_pull
from app.services import models_directory
from app.settings import read_settings

DEFAULT = "base"


def add_argument(parser: argparse._ActionsContainer, default: str | None = DEFAULT) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME",
        default=default,
        help=f"a name, a hub id or a directory; default: {DEFAULT}",
    )


def directory_of(model: str) -> Path:
    """The directory of a model. Exits with status 2 and one line if there is none."""
    try:
        models = models_directory(read_settings())
        folder = models.find(model)
        if folder is None:
            raise SetupError(f"{model} is not in {models.root}; {how_to_pull(model)}")
    except (SetupError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    return folder
