import asyncio
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.access.api_keys import ApiKeys, KeysFile, configured_keys
from app.access.keys_file import BadKeys, KeysDocument, dump
from app.access.principal import Allowance
from app.errors import WrongKey
from app.setting_groups import AccessSettings
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, document, keys
from tests.support.waiting import wait_until


def ending(end: datetime) -> KeysDocument:
    """The keys of the sales department, which end then."""
    found = document(admin=None, sales={"key": SALES_KEY})
    holder = found.holders[0]
    ended = holder.model_copy(update={"keys": (found.stored(SALES_KEY, end),)})
    return KeysDocument(salt=found.salt, holders=(ended,))


def test_a_key_identifies_its_caller_and_permissions() -> None:
    limits = {
        "requests_per_minute": 600,
        "audio_seconds_per_minute": 7200.0,
        "max_concurrent": 50,
        "max_upload_bytes": 1000,
    }
    known = ApiKeys(document(sales={"key": SALES_KEY, "models": ["whisper-1"], **limits}))
    sales, office = known.principal(SALES_KEY), known.principal(ADMIN_KEY)
    assert sales is not None
    assert office is not None
    assert (sales.id, sales.name) == ("key:sales", "sales")
    assert sales.allowance == Allowance(600, 7200.0, 50, 1000)
    assert sales.models == frozenset({"whisper-1"})
    assert not sales.is_administrator
    assert (office.allowance, office.models, office.is_administrator) == (Allowance(), None, True)
    assert office.weight == 1


@pytest.mark.parametrize("weight", [0, 11, -1, 1.5, "heavy"])
def test_a_weight_is_a_whole_number_from_one_to_ten(weight: object) -> None:
    assert document(sales={"key": SALES_KEY, "weight": 10}).holders[0].weight == 10
    with pytest.raises(ValueError, match="weight"):
        document(sales={"key": SALES_KEY, "weight": weight})


@pytest.mark.parametrize(
    "key", ["", "v", SALES_KEY[:-1], f"{SALES_KEY}x", SALES_KEY.upper(), "schlüssel"]
)
def test_text_that_is_almost_a_key_has_no_owner(key: str) -> None:
    assert ApiKeys(document(sales={"key": SALES_KEY})).principal(key) is None


def test_an_expired_key_is_refused_with_the_reason() -> None:
    now = datetime.now(UTC)
    live, expired = (ending(now + timedelta(hours=hours)) for hours in (1, -1))
    known = ApiKeys(live)
    principal = known.principal(SALES_KEY)
    assert principal is not None
    assert principal.key_id is not None
    assert known.is_live(principal.key_id)
    assert not known.is_live("0123456789ab")
    known.replace(expired)
    assert not known.is_live(expired.holders[0].keys[0].id)
    with pytest.raises(WrongKey, match=r"vb\*\*\*\*\*W1dM has expired"):
        known.principal(SALES_KEY)


def test_a_key_expires_at_the_second_that_was_set() -> None:
    end = datetime(2027, 6, 30, tzinfo=UTC)
    key = ending(end).holders[0].keys[0]
    assert key.is_live(end - timedelta(microseconds=1))
    assert not key.is_live(end)


class Incomparable(str):
    """Fails the test that compares it, or looks for it in a dictionary."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a key was compared")

    def __hash__(self) -> int:
        raise AssertionError("a key was looked up")


def test_only_digests_are_compared() -> None:
    known = ApiKeys(document(sales={"key": SALES_KEY}))
    assert known.principal(Incomparable(SALES_KEY)) is not None
    assert known.principal(Incomparable(SALES_KEY[:-1] + "x")) is None


def test_the_time_of_a_look_up_does_not_reveal_how_much_of_a_guess_is_right() -> None:
    """With a key so long that a comparison of it would take as long as its digest."""
    right = "k" * 100_000
    known = ApiKeys(document(sales={"key": right}))
    guesses = [right[:count] + "x" * (len(right) - count) for count in (0, 50_000, 99_999)]
    times: list[list[float]] = [[] for _ in guesses]
    for _ in range(300):
        for guess, taken in zip(guesses, times, strict=True):
            began = time.perf_counter()
            assert known.principal(guess) is None
            taken.append(time.perf_counter() - began)
    medians = [statistics.median(taken) for taken in times]
    assert max(medians) < 1.3 * min(medians), medians


def write(path: Path, text: str) -> None:
    """As `python -m app.keys` does: the name gets another file."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write(path, keys(admin=None))
    known = KeysFile(path)
    assert known.principal(SALES_KEY) is None
    write(path, keys(admin=None, sales={"key": SALES_KEY}))
    known.reload()
    assert known.principal(SALES_KEY) is not None
    write(path, keys(admin=None))
    known.reload()
    assert known.principal(SALES_KEY) is None


def test_a_file_that_has_not_changed_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.yaml"
    write(path, keys())
    known = KeysFile(path)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("it was read"))
    known.reload()


def test_the_links_of_a_kubernetes_secret_are_followed(tmp_path: Path) -> None:
    for version, text in (("1", keys()), ("2", keys(admin=None, sales={"key": SALES_KEY}))):
        (tmp_path / version).mkdir()
        (tmp_path / version / "keys.yaml").write_text(text)
        os.utime(tmp_path / version / "keys.yaml", (1_700_000_000, 1_700_000_000))
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "keys.yaml").symlink_to("..data/keys.yaml")
    known = KeysFile(tmp_path / "keys.yaml")
    (tmp_path / "..data_tmp").symlink_to("2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    known.reload()
    assert known.principal(SALES_KEY) is not None
    assert known.principal(ADMIN_KEY) is None


def test_a_file_that_is_bad_or_gone_leaves_the_keys_and_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write(path, keys(sales={"key": SALES_KEY}))
    known = KeysFile(path)
    for spoil, reason in (
        (lambda: write(path, "salt: ]"), "not YAML, line 1"),
        (lambda: path.write_bytes(b"\xff\xfe\xfd"), "not UTF-8"),
        (path.unlink, "No such file or directory"),
    ):
        spoil()
        with capture_logs() as logs:
            known.reload()
            known.reload()
        assert [(each["log_level"], each["error"]) for each in logs] == [
            ("error", f"{path}: {reason}")
        ]
        assert known.principal(SALES_KEY) is not None
    write(path, keys())
    known.reload()
    assert known.principal(SALES_KEY) is None


async def test_the_file_is_watched_until_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write(path, keys(admin=None))
    known = KeysFile(path, reload_seconds=0.01)
    watching = asyncio.create_task(known.watch())
    write(path, keys(admin=None, sales={"key": SALES_KEY}))
    await asyncio.to_thread(wait_until, lambda: known.principal(SALES_KEY) is not None)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


def test_the_error_of_a_bad_source_names_it(tmp_path: Path) -> None:
    missing = AccessSettings(keys_file=tmp_path / "keys.yaml")
    with pytest.raises(BadKeys, match=f"^{tmp_path}/keys.yaml: No such file or directory$"):
        configured_keys(missing)
    with pytest.raises(BadKeys, match=r"^access\.keys: salt: Field required$"):
        configured_keys(AccessSettings(keys=SecretStr("holders: []")))


def test_keys_come_from_the_settings_too_or_there_are_none() -> None:
    known = configured_keys(AccessSettings(keys=SecretStr(keys())))
    assert known is not None
    assert known.principal(ADMIN_KEY) is not None
    assert configured_keys(AccessSettings()) is None


def test_a_key_that_is_in_both_files_is_never_refused_while_the_file_changes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.yaml"
    first = document(sales={"key": SALES_KEY})
    sales = [holder for holder in first.holders if holder.name == "sales"]
    both = [first, KeysDocument(salt=first.salt, holders=tuple(sales))]
    path.write_text(dump(both[0]))
    known = KeysFile(path)
    is_over = threading.Event()

    def ask() -> int:
        """The number of refusals."""
        refused = 0
        while not is_over.is_set():
            principal = known.principal(SALES_KEY)
            refused += principal is None or not known.is_live(str(principal.key_id))
        return refused

    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        for number in range(100):
            new = tmp_path / f"{number}.yaml"
            new.write_text(dump(both[number % 2]))
            new.rename(path)
            known.reload()
        is_over.set()
        assert sum(each.result() for each in asking) == 0
