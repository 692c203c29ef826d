import pytest
import yaml

from app.access.keys_file import BadKeys, dump, masked, new_document, new_key, parse
from tests.support.api_keys import ADMIN_KEY, SALES_KEY, document, keys

SALT = "00" * 16
DIGEST = "ab" * 32
HOLDER = f"{{name: a, keys: [{{digest: {DIGEST}, shown: x, created: 2026-11-21T10:00:00Z}}]}}"


def test_it_is_read_as_it_was_written() -> None:
    written = document(sales={"key": SALES_KEY, "models": ["whisper-1"], "max_concurrent": 3})
    text = dump(written)
    assert parse(text) == written
    assert text.startswith("# API keys of Verbatim, written by `python -m app.keys`")
    assert [each["name"] for each in yaml.safe_load(text)["holders"]] == ["sales", "office"]


def test_no_key_stands_in_it() -> None:
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
def test_of_a_short_key_nothing_is_shown(key: str, shown: str) -> None:
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
def test_what_is_bad_is_named_in_one_line_without_keys_and_digests(
    text: str, complaint: str
) -> None:
    with pytest.raises(BadKeys, match=f"^{complaint}") as refused:
        parse(text)
    said = str(refused.value)
    assert "\n" not in said
    assert DIGEST not in said
    assert SALES_KEY not in said


def test_a_person_may_write_it_too() -> None:
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
