"""`python -m app models`: pull, list, verify and remove models."""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

from tqdm import tqdm

from app.errors import SetupError
from app.models.directory import ModelsDirectory, folder_name, is_directory, source_of
from app.models.download.progress import LOOK_SECONDS, Progress
from app.models.download.pull import pull
from app.models.known import known_name, table
from app.models.manifest import model_files, read_manifest
from app.settings import read_models_settings

LINE_SECONDS = 5.0
"""Interval between lines of progress without a terminal."""

Action = Callable[[argparse.Namespace], None]


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands; each sets `run`, from the arguments to the exit status."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, action: Action, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=partial(_run, action))
        sub.add_argument(
            "--directory",
            type=Path,
            help="default: VERBATIM_MODELS__DIRECTORY",
        )
        return sub

    sub = command("pull", _pull, "bring a model here, verified; goes on where a broken pull ended")
    sub.add_argument("model", help="a name (see list), a hub id, or a prefix, as s3://…")
    command("list", _list, "the models that are here and those that have a name")
    sub = command("verify", _verify, "compare every file with its digest")
    sub.add_argument("model", nargs="?", help="default: all that are here")
    sub = command("rm", _remove, "delete a model, and what a broken pull left of it")
    sub.add_argument("model")


def _run(action: Action, arguments: argparse.Namespace) -> int:
    """Run a command; the exit status is 0, or 2 after one line on stderr."""
    try:
        action(arguments)
    except ValueError as error:
        print(f"Verbatim: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Verbatim: {error}", file=sys.stderr)
        return 2
    return 0


def _directory(arguments: argparse.Namespace) -> ModelsDirectory:
    settings = read_models_settings()
    root = arguments.directory or settings.directory
    return ModelsDirectory(root, settings.built_in, settings.offline)


def _pull(arguments: argparse.Namespace) -> None:
    models, progress = _directory(arguments), Progress()
    result: list[Path | Exception] = []

    def work() -> None:
        try:
            result.append(pull(arguments.model, models, progress))
        except Exception as error:
            result.append(error)

    # On a thread of its own, so that the bar moves while the source blocks.
    thread = Thread(target=work, name="pull", daemon=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    thread.start()
    try:
        if sys.stderr.isatty():
            _show_bar(arguments.model, progress, thread)
        else:
            _show_lines(arguments.model, progress, thread)
    except KeyboardInterrupt:
        progress.cancel()
        thread.join(2.0)  # for the pull to end cleanly
        raise SetupError("interrupted; the next pull goes on from here") from None
    (outcome,) = result
    if isinstance(outcome, Exception):
        raise outcome
    print(outcome)


def _show_bar(model: str, progress: Progress, thread: Thread) -> None:
    """Draw a bar until the thread ends: bytes, pace and remaining time."""
    stage, bar = "", tqdm(disable=True)
    while True:
        is_alive = thread.is_alive()
        seen = progress.stage, progress.total, progress.done
        if seen[0] != stage or seen[2] < bar.n:
            if stage and progress.ended[0] == stage:
                bar.update(progress.ended[1] - bar.n)
            bar.close()
            stage = seen[0]
            bar = tqdm(
                desc=f"{stage} {model}",
                total=seen[1],
                initial=seen[2],
                unit="B",
                unit_scale=True,
                mininterval=LOOK_SECONDS,
            )
        bar.total = seen[1]
        bar.update(seen[2] - bar.n)
        if not is_alive:
            break
        thread.join(LOOK_SECONDS)
    bar.close()


def _show_lines(model: str, progress: Progress, thread: Thread) -> None:
    """Print lines of progress until the thread ends, for a log or a pipe."""
    while thread.is_alive():
        thread.join(LINE_SECONDS)
        if thread.is_alive():
            left = progress.seconds_left
            more = "" if left is None else f", {left:.0f} s left"
            of = "" if progress.total is None else f" of {progress.total / 1e6:.0f}"
            print(
                f"{progress.stage} {model}: {progress.done / 1e6:.0f}{of} MB{more}",
                file=sys.stderr,
                flush=True,
            )


def _list(arguments: argparse.Namespace) -> None:
    models = _directory(arguments)
    rows = [("NAME", "SIZE", "WHERE", "SOURCE")]
    here = set()
    for folder in models.installed():
        name = source_of(folder)
        here.add(name)
        size = sum(path.stat().st_size for path in model_files(folder))
        rows.append((name, f"{size / 1e6:.0f} MB", str(folder), _origin(folder)))
    for name, model in table().items():
        if name not in here:
            total = sum(digest.size for digest in model.files.values())
            size_text = f"{total / 1e6:.0f} MB" if total else "-"
            where = "package index, hub" if model.wheels else "hub"
            rows.append((name, size_text, "-", f"{where}: {model.repository}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _origin(folder: Path) -> str:
    try:
        manifest = read_manifest(folder)
    except SetupError:
        return "its manifest is damaged"
    if manifest is None:
        return "put there by hand"
    at = f" at {manifest.revision[:12]}" if manifest.revision else ""
    return f"{manifest.source}{at}"


def _verify(arguments: argparse.Namespace) -> None:
    models = _directory(arguments)
    sources = [arguments.model] if arguments.model else map(source_of, models.installed())
    wrong = []
    for source in dict.fromkeys(sources):
        try:
            folder = models.check(source)
        except SetupError as error:
            wrong.append(str(error))
        else:
            recorded = read_manifest(folder) or known_name(source)
            print(f"{source}: {'intact' if recorded else 'no digests are known'}")
    if wrong:
        raise SetupError("; ".join(wrong))


def _remove(arguments: argparse.Namespace) -> None:
    if is_directory(arguments.model):
        raise SetupError(f"{arguments.model} is not in the models directory: delete it yourself")
    models = _directory(arguments)
    if not models.remove(arguments.model):
        raise SetupError(f"{folder_name(arguments.model)} is not in {models.root}")
