"""`python -m app.models`: pull, list, verify and remove models, as `python -m app models` does."""

import argparse
import sys

from app.models.command import add_commands

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m app.models", description=__doc__)
    add_commands(parser)
    arguments = parser.parse_args()
    sys.exit(arguments.run(arguments))
