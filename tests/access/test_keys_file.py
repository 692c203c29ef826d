"""The document of API keys, and changes of its file."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from app.access.keys_file import (
    BadKeys,
    Holder,
    KeysDocument,
    added,
    dump,
    edit,
    masked,
    new_document,
    new_key,
    parse,
    read,
    revoked,
    rotated,
)
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, document, keys

SALT = "00" * 16
DIGEST = "ab" * 32
HOLDER = f"{{name: a, keys: [{{digest: {DIGEST}, shown: x, created: 2026-11-21T10:00:00Z}}]}}"
NEW_KEY = "the next key of the sales department"


def test_a_document_is_read_as_it_was_written() -> None:
    written = document(sales={"key": SALES_KEY, "models": ["whisper-1"], "max_concurrent": 3})
    text = dump(written)
    assert parse(text) == written
    assert text.startswith("# API keys of Verbatim, written by `python -m app.keys`")
    assert [each["name"] for each in yaml.safe_load(text)["holders"]] == ["sales", "office"]


def test_a_document_contains_no_key() -> None:
    text = keys(sales={"key": SALES_KEY})
    assert ADMIN_KEY not in text
    assert SALES_KEY[:12] not in text
    assert SALES_KEY[-12:] not in text


def test_a_digest_depends_on_the_salt() -> None:
    one, other = new_document(), new_document()
    assert one.digest(SALES_KEY) == one.digest(SALES_KEY) != other.digest(SALES_KEY)


def test_new_keys_have_256_random_bits() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    # 43 characters of 6 bits hold 32 bytes.
    assert {(key[:3], len(key)) for key in made} == {("vb_", 46)}


@pytest.mark.parametrize(
    ("key", "shown"),
    [("", "*****"), ("123456789012345", "*****"), ("1234567890123456", "12*****3456")],
)
def test_a_mask_shows_nothing_of_a_short_key(key: str, shown: str) -> None:
    assert masked(key) == shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Input should be a valid dictionary"),
        ("salt: ]", "not YAML, line 1"),
        ("salt: x\nholders: }", "not YAML, line 2"),
        ("salt: x\x00", "not YAML"),
        ("salt: x", "salt: String should match pattern"),
        ("holders: []", "salt: Field required"),
        (f"{{salt: '{SALT}', keys: []}}", "keys: Extra inputs are not permitted"),
        (f"{{salt: '{SALT}', {SALES_KEY}: 1}}", "…: Extra inputs are not permitted"),
        (
            f"{{salt: '{SALT}', holders: [{{name: a b, keys: []}}]}}",
            r"holders\.0\.name: String should match.*; holders\.0\.keys: Tuple should have",
        ),
        (
            f"{{salt: '{SALT}', holders: [{HOLDER.replace('2026-11', '2026-13')}]}}",
            r"holders\.0\.keys\.0\.created: Input should be a valid datetime",
        ),
        (
            f"{{salt: '{SALT}', holders: [{HOLDER.replace('10:00:00Z', '10:00:00')}]}}",
            r"holders\.0\.keys\.0\.created: Input should have timezone info",
        ),
        (
            f"{{salt: '{SALT}', holders: [{HOLDER.replace(DIGEST, SALES_KEY)}]}}",
            r"holders\.0\.keys\.0\.digest: String should match pattern",
        ),
        (f"{{salt: '{SALT}', holders: [{HOLDER}, {HOLDER}]}}", "the name 'a' stands twice"),
        (
            f"{{salt: '{SALT}', holders: [{HOLDER}, {HOLDER.replace('name: a', 'name: b')}]}}",
            "a key of 'b' stands twice",
        ),
    ],
)
def test_an_error_is_one_line_without_keys_and_digests(text: str, complaint: str) -> None:
    with pytest.raises(BadKeys, match=f"^{complaint}") as refused:
        parse(text)
    message = str(refused.value)
    assert "\n" not in message
    assert DIGEST not in message
    assert SALES_KEY not in message


def test_a_document_may_be_written_by_hand() -> None:
    text = f"""
        salt: {SALT}
        holders:
        - name: 2026
          admin: yes
          max_concurrent: 3
          models: [1.5]
          keys:
          - digest: {"12" * 32}
            shown: x
            created: 2026-11-21 10:00:00+00:00
        """
    (holder,) = parse(text).holders
    assert (holder.name, holder.admin, holder.max_concurrent) == ("2026", True, 3)
    assert holder.models == ("1.5",)


def test_yaml_that_would_make_objects_is_refused() -> None:
    with pytest.raises(BadKeys):
        parse("!!python/object/apply:os.getcwd []")


# --- changes -------------------------------------------------------------------------------------


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


def test_the_old_key_expires_when_requested_but_never_later_than_before() -> None:
    now = datetime.now(UTC)
    soon, later = now + timedelta(hours=1), now + timedelta(days=1)
    one = document(None, sales={"key": SALES_KEY})
    two = rotated(one, "sales", one.stored(NEW_KEY, later), soon)
    assert ends(two) == [soon, later]
    left = revoked(two, "sales", two.holders[0].keys[1].id)
    assert ends(rotated(left, "sales", left.stored(NEW_KEY, None), later)) == [soon, None]


def test_expired_keys_are_dropped_at_the_next_rotation() -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    empty = document(None)
    old = Holder(name="sales", keys=(empty.stored(SALES_KEY, past),))
    one = added(empty, old)
    assert ends(rotated(one, "sales", one.stored(NEW_KEY, None), None)) == [None]


def test_a_name_is_removed_with_its_last_key() -> None:
    two = document(None, sales={"key": SALES_KEY}, support={"key": NEW_KEY})
    key = two.holders[0].keys[0]
    for left in (revoked(two, "sales", None), revoked(two, "sales", key.id)):
        assert [each.name for each in left.holders] == ["support"]


def test_a_change_that_does_not_fit_the_document_is_refused() -> None:
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


def test_keys_created_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
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


def test_only_the_owner_can_read_the_file_and_a_link_stays_a_link(tmp_path: Path) -> None:
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
