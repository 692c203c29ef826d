"""Verbatim: a transcription server that speaks OpenAI's API.

Settings are environment variables, VERBATIM_…; docs/settings.md has all of them.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from app import check, keys, serve
from app.jobs import command as jobs
from app.models import command as models


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, by default `serve`; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "serve")
    parsed = _parser().parse_args(words)
    status: int = parsed.run(parsed)
    return status


COMMANDS = ("serve", "models", "keys", "jobs", "check")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"Verbatim {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "serve the API; what is done without a command"
    serve.add_arguments(commands.add_parser("serve", help=about, description=about))
    about = "pull, list, verify and remove models"
    models.add_commands(commands.add_parser("models", help=about, description=about))
    about = "create, list, rotate and revoke API keys"
    keys.add_commands(commands.add_parser("keys", help=about, description=about))
    about = "put the store of jobs right"
    jobs.add_commands(commands.add_parser("jobs", help=about, description=about))
    about = "say what is wrong with the settings, the model, the device, the port and Redis"
    check.add_arguments(commands.add_parser("check", help=about, description=about))
    return parser


def _version() -> str:
    try:
        return version("verbatim")
    except PackageNotFoundError:  # run from a clone
        return "from a clone"


if __name__ == "__main__":
    sys.exit(main())
