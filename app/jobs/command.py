"""`python -m app jobs`: what operators do with the store of jobs."""

import argparse
import asyncio
import sys

from app.errors import Overloaded, SetupError
from app.settings import Settings, read_settings
from app.telemetry import logging


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands; each sets `run`, from the arguments to the exit status."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "make rows, queue and objects agree, while no server runs"
    sub = commands.add_parser("reconcile", help=about, description=about)
    sub.add_argument(
        "--after-restore",
        action="store_true",
        required=True,
        help="the database was restored to an earlier time, and the object store was not",
    )
    sub.add_argument(
        "--adopt-uploads",
        metavar="OWNER",
        help="uploads that came after the backup become files of this owner, as key:NAME",
    )
    sub.set_defaults(run=_reconcile)


def _reconcile(arguments: argparse.Namespace) -> int:
    """The exit status is 0, or 2 after one line on stderr."""
    logging.configure("warning", "console", audit_batches=False)
    try:
        lines = asyncio.run(_after_restore(read_settings(), arguments.adopt_uploads))
    except (ValueError, SetupError, Overloaded) as error:
        print(f"Verbatim: {error.__cause__ or error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


async def _after_restore(settings: Settings, owner: str | None) -> list[str]:
    # A database's client and a queue, which other commands do without.
    from app.jobs.restore import reconcile_after_restore
    from app.jobs.store import JobStore

    store = JobStore(settings.jobs, settings.access.signing_key)
    try:
        await store.open()
        found = await reconcile_after_restore(store, owner)
    finally:
        await store.close()
    return [
        f"queued: {found.queued} jobs and batches",
        f"with a result from after the backup, run again: {found.run_again} jobs",
        f"of batches, without their results, run again: {found.lines_run_again} lines",
        f"deleted, as their objects are: {found.deleted_files} files, {found.deleted_jobs} jobs",
        f"uploads from after the backup: {len(found.uploads)}, adopted: {found.adopted}",
        *found.uploads,
    ]
