"""`python -m app keys`: create, list, rotate and revoke API keys in a file.

Only a new key goes to stdout, so that a script can read it; messages go to stderr.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from app.access.keys_file import (
    MIN_KEY_CHARS,
    Holder,
    KeysDocument,
    StoredKey,
    added,
    edit,
    new_key,
    read,
    revoked,
    rotated,
)
from app.setting_errors import complaints
from app.settings import read_settings

LIMITS = (
    *("requests_per_minute", "audio_seconds_per_minute", "max_concurrent"),
    *("max_upload_bytes", "max_queued_seconds"),
)

UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 after one line on stderr. Wrong usage: 2."""
    parser = argparse.ArgumentParser(prog="python -m app.keys", description=__doc__)
    add_commands(parser)
    return run(parser.parse_args(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Run the parsed command; returns as `main` does."""
    try:
        file = arguments.file or read_settings().access.keys_file
        if file is None:
            raise ValueError("no file is named, by --file or VERBATIM_ACCESS__KEYS_FILE")
        action: Callable[[argparse.Namespace, Path], None] = arguments.action
        action(arguments, file)
    except ValidationError as error:
        return _failed(complaints(error))
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        return _failed(str(error))
    return 0


def _create(arguments: argparse.Namespace, file: Path) -> None:
    key = _key(arguments)

    def change(document: KeysDocument) -> KeysDocument:
        holder = Holder(
            name=arguments.name,
            **{limit: getattr(arguments, limit) for limit in LIMITS},
            weight=arguments.weight,
            models=arguments.models,
            admin=arguments.admin,
            keys=(document.stored(key, arguments.expires),),
        )
        return added(document, holder)

    edit(file, change, may_be_new=True)
    _show(arguments, key, f"'{arguments.name}' has a key in {file}.")


def _rotate(arguments: argparse.Namespace, file: Path) -> None:
    key = _key(arguments)
    old_ends = None if arguments.keep is None else _now() + arguments.keep
    edit(
        file,
        lambda document: rotated(
            document, arguments.name, document.stored(key, arguments.expires), old_ends
        ),
        may_be_new=False,
    )
    until = "it is revoked" if old_ends is None else _date(old_ends)
    outcome = f"'{arguments.name}' has a new key in {file}; the old one holds until {until}."
    _show(arguments, key, outcome)


def _revoke(arguments: argparse.Namespace, file: Path) -> None:
    name, key_id = arguments.name, arguments.key_id
    edit(file, lambda document: revoked(document, name, key_id), may_be_new=False)
    print(f"'{name}': {key_id or 'all keys'} revoked.", file=sys.stderr)


def _list(_: argparse.Namespace, file: Path) -> None:
    rows = [("NAME", "ID", "KEY", "CREATED", "EXPIRES", "LIMITS")]
    for holder in read(file).holders:
        for key in holder.keys:
            created, expires = _date(key.created), _expiry(key)
            rows.append((holder.name, key.id, key.shown, created, expires, _limits(holder)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _key(arguments: argparse.Namespace) -> str:
    """A new key, or one from stdin. Raises ValueError if the latter is easy to guess."""
    if not arguments.key_from_stdin:
        return new_key()
    key = sys.stdin.readline().strip()
    if len(key) < MIN_KEY_CHARS or not key.isprintable():
        raise ValueError(f"a key has at least {MIN_KEY_CHARS} characters, all of them printable")
    return key


def _show(arguments: argparse.Namespace, key: str, outcome: str) -> None:
    if arguments.key_from_stdin:
        print(outcome, file=sys.stderr)
    else:
        print(outcome, "It is shown this once:", file=sys.stderr)
        print(key)


def _limits(holder: Holder) -> str:
    limits = {limit: getattr(holder, limit) for limit in LIMITS}
    shown = [f"{name}={value:.12g}" for name, value in limits.items() if value is not None]
    if holder.weight > 1:
        shown.append(f"weight={holder.weight}")
    if holder.models is not None:
        shown.append(f"models={','.join(holder.models)}")
    if holder.admin:
        shown.append("admin")
    return " ".join(shown) or "-"


def _expiry(key: StoredKey) -> str:
    if key.expires is None:
        return "never"
    return _date(key.expires) if key.is_live(_now()) else "expired"


def _date(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _failed(reason: str) -> int:
    print(f"app.keys: {reason}", file=sys.stderr)
    return 1


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([dhms])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not like 90d, 24h, 30m or 10s")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _end(text: str) -> datetime:
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        return _now() + _span(text)
    return end if end.tzinfo is not None else end.replace(tzinfo=UTC)


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add subcommands; each sets `run`, which takes the arguments and returns the exit status."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, action: object, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=run, action=action)
        sub.add_argument("--file", type=Path, help="default: VERBATIM_ACCESS__KEYS_FILE")
        return sub

    create = command("create", _create, "a key for a new name; the file is made if need be")
    rotate = command("rotate", _rotate, "a second key for a name, to move to")
    revoke = command("revoke", _revoke, "take away one key of a name, or the name")
    command("list", _list, "all keys, their ends and limits")
    for sub in (create, rotate, revoke):
        sub.add_argument("--name", required=True, help="stands in logs and metrics")
    for sub in (create, rotate):
        sub.add_argument(
            "--expires", type=_end, metavar="WHEN", help="2027-06-30 (0:00 UTC), or 90d, 24h"
        )
        sub.add_argument(
            "--key-from-stdin", action="store_true", help="a key you have, in place of a new one"
        )
    create.add_argument("--requests-per-minute", type=int, metavar="N")
    create.add_argument("--audio-seconds-per-minute", type=float, metavar="N")
    create.add_argument("--max-concurrent", type=int, metavar="N", help="requests at once")
    create.add_argument("--max-upload-bytes", type=int, metavar="N", help="of one request")
    create.add_argument(
        "--max-queued-seconds", type=float, metavar="N", help="audio in unfinished jobs"
    )
    create.add_argument(
        "--weight", type=int, default=1, metavar="N", help="turns of 1 to 10 among others'"
    )
    create.add_argument(
        "--models", type=lambda names: names.split(","), metavar="A,B", help="default: all"
    )
    create.add_argument(
        "--admin", action="store_true", help="may load and unload models, and drain"
    )
    rotate.add_argument("--keep", type=_span, metavar="SPAN", help="24h: when the old key ends")
    revoke.add_argument("--key-id", help="as `list` has it; default: all keys of the name")


if __name__ == "__main__":
    sys.exit(main())
