"""The document of API keys: holders, limits and digests of the keys, never the keys themselves.

A digest is HMAC-SHA256 of the key under the document's salt. A key of 256 random bits cannot be
guessed, however fast the hash is; a slow one, made for passwords, would only cost every request
its time. The salt makes the digests useless with any table and in any other document.
"""

import fcntl
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.setting_errors import complaints
from app.setting_groups import MAX_WEIGHT

LIVE_KEYS = 2
"""Per name: the key that callers use, and the one that they move to."""

MIN_KEY_CHARS = 16
"""Of a key from elsewhere: a shorter one is easy to guess, and its mask shows much of it."""

KEY_PREFIX = "vb_"

_HEADER = """\
# API keys of Verbatim, written by `python -m app.keys`; running servers read it when it changes.
# It holds digests: the keys themselves were shown once. Who can write here can let anybody in.
# Comments are lost when a key is created or revoked.
"""

# It returns every value as text, so that the models below convert it and report errors.
# libyaml reads a thousand keys in 60 ms; Python's own loader takes 0.3 s.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class BadKeys(ValueError):
    """The document is invalid. The message is one line without keys and digests."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredKey(_Part):
    """One key of a holder."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    shown: str
    """The key as error messages show it, so that people recognise theirs."""
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @property
    def id(self) -> str:
        """Identifies the key wherever the key itself must not appear."""
        return self.digest[:12]

    def is_live(self, now: datetime) -> bool:
        return self.expires is None or now < self.expires


class Holder(_Part):
    """A named owner of keys; a limit left out is the server's default."""

    # Appears in logs, metrics and the limits' store.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    requests_per_minute: int | None = Field(None, ge=1)
    audio_seconds_per_minute: float | None = Field(None, gt=0)
    max_concurrent: int | None = Field(None, ge=1)
    max_upload_bytes: int | None = Field(None, ge=1)
    max_queued_seconds: float | None = Field(None, gt=0)
    weight: int = Field(1, ge=1, le=MAX_WEIGHT)
    """Share of the server while it is busy, in relation to those of other holders."""
    models: tuple[str, ...] | None = None
    admin: bool = False
    keys: tuple[StoredKey, ...] = Field(min_length=1)


class KeysDocument(_Part):
    """All holders of keys."""

    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32,}$")]
    holders: tuple[Holder, ...] = ()

    @model_validator(mode="after")
    def _nothing_occurs_twice(self) -> "KeysDocument":
        names = set[str]()
        digests = set[str]()
        for holder in self.holders:
            if holder.name in names:
                raise ValueError(f"the name '{holder.name}' stands twice")
            names.add(holder.name)
            for key in holder.keys:
                if key.digest in digests:
                    raise ValueError(f"a key of '{holder.name}' stands twice")
                digests.add(key.digest)
        return self

    def digest(self, key: str) -> str:
        """The digest of a key under this document's salt, in hexadecimal digits."""
        return hmac.digest(bytes.fromhex(self.salt), key.encode(), "sha256").hex()

    def stored(self, key: str, expires: datetime | None) -> StoredKey:
        """The entry of a key in this document."""
        now = datetime.now(UTC).replace(microsecond=0)
        return StoredKey(digest=self.digest(key), shown=masked(key), created=now, expires=expires)


def new_document() -> KeysDocument:
    return KeysDocument(salt=secrets.token_hex(16))


def new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def parse(text: str) -> KeysDocument:
    """The document in a YAML text. Raises BadKeys."""
    try:
        return KeysDocument.model_validate(yaml.load(text, _Loader))
    except yaml.YAMLError as error:
        # Not the error's own text: the text quotes the document.
        mark = getattr(error, "problem_mark", None)
        raise BadKeys(f"not YAML, line {mark.line + 1}" if mark else "not YAML") from None
    except ValidationError as error:
        raise BadKeys(_SECRET.sub("…", complaints(error))) from None


_SECRET = re.compile(r"[\w-]{40,}")
"""A key or digest in place of the name of a field; error messages would show it."""


def dump(document: KeysDocument) -> str:
    content = document.model_dump(mode="json", exclude_defaults=True)
    return _HEADER + yaml.safe_dump(content, sort_keys=False)


def masked(key: str) -> str:
    """The first 2 and last 4 characters of a key; nothing of one shorter than MIN_KEY_CHARS."""
    return f"{key[:2]}*****{key[-4:]}" if len(key) >= MIN_KEY_CHARS else "*****"


def added(document: KeysDocument, holder: Holder) -> KeysDocument:
    """The document with another holder. Raises ValueError if the name is in use."""
    if any(each.name == holder.name for each in document.holders):
        raise ValueError(f"'{holder.name}' has a key already; `rotate` makes another")
    return _with(document, *document.holders, holder)


def rotated(
    document: KeysDocument, name: str, new: StoredKey, old_ends: datetime | None
) -> KeysDocument:
    """The document with another key for the name; its old one expires at `old_ends` or sooner.

    Expired keys are dropped. Raises ValueError for an unknown name, or one with two live keys.
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
    """The document without one key of the name, or all of them; a name without keys is removed.

    Raises ValueError for an unknown name or key.
    """
    holder = _holder(document, name)
    if key_id is None:
        return _replaced(document, holder, ())
    left = tuple(key for key in holder.keys if key.id != key_id)
    if len(left) == len(holder.keys):
        raise ValueError(f"'{name}' has no key with the id '{key_id}'")
    return _replaced(document, holder, left)


def read(path: Path) -> KeysDocument:
    """The document in a file. Raises BadKeys, OSError."""
    return parse(path.read_text(encoding="utf-8"))


def edit(path: Path, change: Callable[[KeysDocument], KeysDocument], *, may_be_new: bool) -> None:
    """Replace a file atomically by a changed document; concurrent edits are serialised.

    Only the file's owner can read it. Raises BadKeys, OSError and what `change` raises.
    """
    path = path.resolve()  # replace the target of a link, not the link
    with _locked(path.parent):
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
def _locked(directory: Path) -> Iterator[None]:
    """Exclusive lock: keys that two scripts create at the same time must both be kept."""
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
    """A new document, validated: no name and no key may occur twice."""
    return KeysDocument(salt=document.salt, holders=holders)
