"""API keys -> Principal. Keys come from the settings, or from a file that may change."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from app.access.keys_file import BadKeys, Holder, KeysDocument, StoredKey, masked, parse
from app.access.principal import Allowance, Principal
from app.errors import WrongKey
from app.setting_groups import AccessSettings

log = structlog.get_logger(__name__)

RELOAD_SECONDS = 1.0
"""Maximum time that a revoked key is still accepted."""


@dataclass(frozen=True, slots=True)
class _Entry:
    principal: Principal
    key: StoredKey


class ApiKeys:
    """Looks callers up by the digests of their keys.

    The key itself is never compared with anything, so the time of a look-up does not reveal how
    much of a guess is right: without the salt an attacker cannot choose a digest.
    """

    def __init__(self, document: KeysDocument) -> None:
        self.replace(document)

    def replace(self, document: KeysDocument) -> None:
        """Accept these keys and no others from now on."""
        entries = {
            key.digest: _Entry(_principal(holder, key), key)
            for holder in document.holders
            for key in holder.keys
        }
        self._ids = {entry.key.id: entry.key for entry in entries.values()}
        # One assignment: a look-up on another thread gets salt and entries of one document.
        self._current = (document, entries)

    def principal(self, key: str) -> Principal | None:
        """The owner of a key; None if it is unknown. Raises WrongKey for an expired key."""
        document, entries = self._current
        entry = entries.get(document.digest(key))
        if entry is None:
            return None
        if not entry.key.is_live(datetime.now(UTC)):
            raise WrongKey(f"The API key {masked(key)} has expired.")
        return entry.principal

    def is_live(self, key_id: str) -> bool:
        """False once the key is revoked or expired."""
        key = self._ids.get(key_id)
        return key is not None and key.is_live(datetime.now(UTC))


class KeysFile(ApiKeys):
    """The keys of a file, read again when it changes. Raises BadKeys if the first read fails.

    If a later read fails, the keys read before stay valid, and the failure is logged.
    """

    def __init__(self, path: Path, reload_seconds: float = RELOAD_SECONDS) -> None:
        self._path = path
        self._reload_seconds = reload_seconds
        self._version = self._file_version()
        super().__init__(_read(path))

    def reload(self) -> None:
        """Read the file if it has changed since the last read."""
        version = self._file_version()
        if version == self._version:
            return
        self._version = version
        try:
            document = _read(self._path)
        except BadKeys as error:
            log.error("keys_not_reloaded", error=str(error), note="the keys read before still hold")
            return
        self.replace(document)
        log.info("keys_reloaded", holders=len(document.holders))

    async def watch(self) -> None:
        """Reload the file every `reload_seconds` until cancelled."""
        while True:
            await asyncio.sleep(self._reload_seconds)
            await asyncio.to_thread(self.reload)

    def _file_version(self) -> tuple[int, ...] | None:
        """Differs if the file does, also if Kubernetes points a link to another file."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def configured_keys(access: AccessSettings) -> ApiKeys | None:
    """The keys that the settings name; None if they name none. Raises BadKeys."""
    if access.keys_file is not None:
        return KeysFile(access.keys_file)
    if access.keys is None:
        return None
    try:
        return ApiKeys(parse(access.keys.get_secret_value()))
    except BadKeys as error:
        raise BadKeys(f"access.keys: {error}") from None


def _read(path: Path) -> KeysDocument:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise BadKeys(f"{path}: not UTF-8") from None
    except OSError as error:
        raise BadKeys(f"{path}: {error.strerror}") from None
    except BadKeys as error:
        raise BadKeys(f"{path}: {error}") from None


def _principal(holder: Holder, key: StoredKey) -> Principal:
    return Principal(
        id=f"key:{holder.name}",
        name=holder.name,
        allowance=Allowance(
            holder.requests_per_minute,
            holder.audio_seconds_per_minute,
            holder.max_concurrent,
            holder.max_upload_bytes,
            holder.max_queued_seconds,
        ),
        weight=holder.weight,
        models=None if holder.models is None else frozenset(holder.models),
        is_administrator=holder.admin,
        key_id=key.id,
    )
