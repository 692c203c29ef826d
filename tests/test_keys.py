"""python -m app.keys, as people and scripts run it."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.access.api_keys import ApiKeys
from app.access.keys_file import read
from app.access.principal import Allowance
from app.keys import main
from tests.support.live_server import ROOT

OLD_KEY = "sk-an old key of another server"
NAME = "VERBATIM_ACCESS__KEYS_FILE"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.yaml"
    monkeypatch.setenv(NAME, str(path))
    return path


def run(file: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.keys", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], NAME: str(file)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_key_is_created_shown_once_listed_and_revoked(file: Path) -> None:
    made = run(
        file,
        *("create", "--name", "sales-emea", "--expires", "2127-06-30"),
        *("--requests-per-minute", "600", "--audio-seconds-per-minute", "7200"),
        *("--max-concurrent", "50", "--max-upload-bytes", "26214400"),
        *("--max-queued-seconds", "36000"),
        *("--weight", "3", "--models", "whisper-1,starter", "--admin"),
    )
    assert made.returncode == 0
    key = made.stdout.removesuffix("\n")
    assert key.startswith("vb_")
    assert made.stderr == f"'sales-emea' has a key in {file}. It is shown this once:\n"
    assert key not in file.read_text()

    principal = ApiKeys(read(file)).principal(key)
    assert principal is not None
    assert principal.name == "sales-emea"
    assert principal.allowance == Allowance(600, 7200, 50, 26214400, 36000)
    assert principal.weight == 3
    assert principal.models == frozenset({"whisper-1", "starter"})
    assert principal.is_administrator
    stored = read(file).holders[0].keys[0]
    assert stored.expires == datetime(2127, 6, 30, tzinfo=UTC)

    listed = run(file, "list")
    assert listed.returncode == 0
    head, row = listed.stdout.splitlines()
    assert head.split() == ["NAME", "ID", "KEY", "CREATED", "EXPIRES", "LIMITS"]
    assert row.split() == [
        "sales-emea",
        stored.id,
        f"vb*****{key[-4:]}",
        stored.created.strftime("%Y-%m-%dT%H:%MZ"),
        "2127-06-30T00:00Z",
        "requests_per_minute=600",
        "audio_seconds_per_minute=7200",
        "max_concurrent=50",
        "max_upload_bytes=26214400",
        "max_queued_seconds=36000",
        "weight=3",
        "models=whisper-1,starter",
        "admin",
    ]
    gone = run(file, "revoke", "--name", "sales-emea", "--key-id", stored.id)
    assert gone.returncode == 0
    assert ApiKeys(read(file)).principal(key) is None


def test_a_key_from_elsewhere_is_read_from_stdin_and_not_printed(file: Path) -> None:
    taken = run(file, "create", "--name", "old", "--key-from-stdin", stdin=f"{OLD_KEY}\n")
    assert (taken.returncode, taken.stdout) == (0, "")
    assert OLD_KEY not in taken.stderr
    assert OLD_KEY not in file.read_text()
    assert ApiKeys(read(file)).principal(OLD_KEY) is not None
    again = run(file, "create", "--name", "new", "--key-from-stdin", stdin=OLD_KEY)
    assert (again.returncode, again.stderr) == (1, "app.keys: a key of 'new' stands twice\n")
    weak = run(file, "create", "--name", "weak", "--key-from-stdin", stdin="password\n")
    assert weak.returncode == 1
    assert weak.stderr == "app.keys: a key has at least 16 characters, all of them printable\n"


def test_both_keys_of_a_rotated_name_are_accepted_until_the_old_one_expires(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = []
    for arguments in (
        ["create", "--name", "sales"],
        ["rotate", "--name", "sales", "--keep", "24h", "--expires", "90d"],
    ):
        assert main(arguments) == 0
        keys.append(capsys.readouterr().out.strip())
    known = ApiKeys(read(file))
    names = {principal.name for key in keys if (principal := known.principal(key)) is not None}
    assert (len(set(keys)), names) == (2, {"sales"})
    old, new = read(file).holders[0].keys
    assert old.expires is not None
    assert new.expires is not None
    day = timedelta(days=1)
    assert abs(old.expires - old.created - day) < timedelta(minutes=2)
    assert abs(new.expires - new.created - 90 * day) < timedelta(minutes=2)

    assert main(["rotate", "--name", "sales"]) == 1
    assert "'sales' has 2 live keys" in capsys.readouterr().err
    assert main(["revoke", "--name", "sales"]) == 0
    assert read(file).holders == ()


def test_the_table_shows_keys_that_have_expired_or_never_will(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["create", "--name", "past", "--expires", "2020-01-01T12:00+02:00"])
    main(["create", "--name", "always"])
    capsys.readouterr()
    assert main(["list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("past", "expired", "-"),
        ("always", "never", "-"),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["create", "--name", "a b"], "name: String should match pattern"),
        (["create", "--name", "a", "--max-concurrent", "0"], "max_concurrent: Input should be gr"),
        (["revoke", "--name", "a"], "No such file or directory"),
        (["list"], "No such file or directory"),
    ],
)
def test_an_impossible_change_is_refused_in_one_line_and_changes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("app.keys: ")
    assert complaint in said.err
    assert said.err.count("\n") == 1
    assert not file.exists()


@pytest.mark.parametrize("expires", ["soon", "90", "-1d", "2027-13-01"])
def test_a_malformed_expiry_is_wrong_usage(
    file: Path, capsys: pytest.CaptureFixture[str], expires: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["create", "--name", "a", f"--expires={expires}"])
    assert ended.value.code == 2
    assert f"'{expires}' is not like" in capsys.readouterr().err
    assert not file.exists()


def test_without_a_file_the_error_explains_how_to_name_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list"]) == 1
    assert "--file or VERBATIM_ACCESS__KEYS_FILE" in capsys.readouterr().err
