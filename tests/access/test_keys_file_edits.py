import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.access.keys_file import BadKeys, Holder, KeysDocument, added, edit, read, revoked, rotated
from tests.support.api_keys import SALES_KEY, document

NEW_KEY = "the next key of the sales department"


def holder(document: KeysDocument, name: str, key: str) -> Holder:
    return Holder(name=name, keys=(document.stored(key, None),))


def ends(document: KeysDocument) -> list[datetime | None]:
    return [key.expires for key in document.holders[0].keys]


def test_a_rotated_name_has_two_keys_and_a_third_only_once_one_is_gone() -> None:
    one = document(None, sales={"key": SALES_KEY, "max_concurrent": 3})
    two = rotated(one, "sales", one.stored(NEW_KEY, None), None)
    assert ends(two) == [None, None]
    assert two.holders[0].max_concurrent == 3
    third = two.stored("and one key more", None)
    with pytest.raises(ValueError, match="'sales' has 2 live keys; `revoke` one"):
        rotated(two, "sales", third, None)
    left = revoked(two, "sales", one.holders[0].keys[0].id)
    assert [key.digest for key in left.holders[0].keys] == [one.digest(NEW_KEY)]
    assert len(rotated(left, "sales", third, None).holders[0].keys) == 2


def test_the_old_key_ends_when_it_is_told_but_never_later_than_it_was_to() -> None:
    now = datetime.now(UTC)
    soon, later = now + timedelta(hours=1), now + timedelta(days=1)
    one = document(None, sales={"key": SALES_KEY})
    two = rotated(one, "sales", one.stored(NEW_KEY, later), soon)
    assert ends(two) == [soon, later]
    left = revoked(two, "sales", two.holders[0].keys[1].id)
    assert ends(rotated(left, "sales", left.stored(NEW_KEY, None), later)) == [soon, None]


def test_expired_keys_are_forgotten_at_the_next_rotation() -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    empty = document(None)
    old = Holder(name="sales", keys=(empty.stored(SALES_KEY, past),))
    one = added(empty, old)
    assert ends(rotated(one, "sales", one.stored(NEW_KEY, None), None)) == [None]


def test_a_name_is_gone_with_its_last_key() -> None:
    two = document(None, sales={"key": SALES_KEY}, support={"key": NEW_KEY})
    key = two.holders[0].keys[0]
    for left in (revoked(two, "sales", None), revoked(two, "sales", key.id)):
        assert [each.name for each in left.holders] == ["support"]


def test_what_does_not_fit_is_refused() -> None:
    one = document(None, sales={"key": SALES_KEY})
    refused: list[tuple[Callable[[], KeysDocument], str]] = [
        (lambda: added(one, holder(one, "sales", NEW_KEY)), "'sales' has a key already"),
        (lambda: added(one, holder(one, "other", SALES_KEY)), "a key of 'other' stands twice"),
        (lambda: rotated(one, "sales", one.stored(SALES_KEY, None), None), "stands twice"),
        (lambda: rotated(one, "nobody", one.stored(NEW_KEY, None), None), "no key for 'nobody'"),
        (lambda: revoked(one, "nobody", None), "no key for 'nobody'"),
        (lambda: revoked(one, "sales", "0123"), "'sales' has no key with the id '0123'"),
    ]
    for change, complaint in refused:
        with pytest.raises(ValueError, match=complaint):
            change()


def test_keys_that_are_made_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"

    def add(number: int) -> None:
        edit(
            path,
            lambda found: added(found, holder(found, f"team-{number}", f"a key of team {number}")),
            may_be_new=True,
        )

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {each.name for each in read(path).holders}
    assert names == {f"team-{number}" for number in range(20)}
    assert [each.name for each in tmp_path.iterdir()] == ["keys.yaml"]


def test_the_file_is_its_owners_alone_and_a_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "secret.yaml", tmp_path / "keys.yaml"
    link.symlink_to(path)
    edit(link, lambda found: added(found, holder(found, "sales", SALES_KEY)), may_be_new=True)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    edit(link, lambda found: revoked(found, "sales", None), may_be_new=False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(link).holders == ()


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("salt: broken")
    with pytest.raises(BadKeys):
        edit(path, lambda found: found, may_be_new=True)
    assert path.read_text() == "salt: broken"
    with pytest.raises(FileNotFoundError):
        edit(tmp_path / "none.yaml", lambda found: found, may_be_new=False)
    assert [each.name for each in tmp_path.iterdir()] == ["keys.yaml"]
