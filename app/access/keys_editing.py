"""Changes to the document of API keys, and the file that holds it."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app.access.keys_document import Holder, KeysDocument, StoredKey, dump, new_document, parse

LIVE_KEYS = 2
"""Of one name: the key that callers come from, and the one that they move to."""


def added(document: KeysDocument, holder: Holder) -> KeysDocument:
    """Raises ValueError if there is one of that name."""
    if any(each.name == holder.name for each in document.holders):
        raise ValueError(f"'{holder.name}' has a key already; `rotate` makes another")
    return _with(document, *document.holders, holder)


def rotated(
    document: KeysDocument, name: str, new: StoredKey, old_ends: datetime | None
) -> KeysDocument:
    """With another key for the name; its old one ends at `old_ends`, or sooner as it was to.

    Expired keys are forgotten. Raises ValueError for an unknown name, or one with two live keys.
    """
    holder = _holder(document, name)
    old = [key for key in holder.keys if key.is_live(datetime.now(UTC))]
    if len(old) >= LIVE_KEYS:
        raise ValueError(f"'{name}' has {len(old)} live keys; `revoke` one of them first")
    if old_ends is not None:
        old = [
            key.model_copy(update={"expires": min(old_ends, key.expires or old_ends)})
            for key in old
        ]
    return _replaced(document, holder, (*old, new))


def revoked(document: KeysDocument, name: str, key_id: str | None) -> KeysDocument:
    """Without one key of the name, or without any of them; a name without keys is gone.

    Raises ValueError if there is no such name or key.
    """
    holder = _holder(document, name)
    if key_id is None:
        return _replaced(document, holder, ())
    left = tuple(key for key in holder.keys if key.id != key_id)
    if len(left) == len(holder.keys):
        raise ValueError(f"'{name}' has no key with the id '{key_id}'")
    return _replaced(document, holder, left)


def read(path: Path) -> KeysDocument:
    """Raises BadKeys, OSError."""
    return parse(path.read_text(encoding="utf-8"))


def edit(path: Path, change: Callable[[KeysDocument], KeysDocument], *, may_be_new: bool) -> None:
    """Changes a file as a whole or not at all, and one after the other.

    The file is readable for its owner alone. Raises BadKeys, OSError and what `change` raises.
    """
    path = path.resolve()  # the file that a link leads to is replaced, not the link
    with _alone_in(path.parent):
        document = read(path) if path.exists() or not may_be_new else new_document()
        text = dump(change(document))
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name with no content
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keys that two scripts make at once must both be there afterwards."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _holder(document: KeysDocument, name: str) -> Holder:
    for holder in document.holders:
        if holder.name == name:
            return holder
    raise ValueError(f"there is no key for '{name}'")


def _replaced(document: KeysDocument, holder: Holder, keys: tuple[StoredKey, ...]) -> KeysDocument:
    changed = [holder.model_copy(update={"keys": keys})] if keys else []
    at = document.holders.index(holder)
    return _with(document, *document.holders[:at], *changed, *document.holders[at + 1 :])


def _with(document: KeysDocument, *holders: Holder) -> KeysDocument:
    """Checked anew: no name and no key may stand twice."""
    return KeysDocument(salt=document.salt, holders=holders)
