"""Models of object stores: a directory as file://, and S3 as moto speaks it."""

import json
import os
from pathlib import Path

import pytest
from obstore.store import ObjectStore, from_url

from app.errors import SetupError
from app.models.directory import ModelsDirectory
from app.models.download.progress import Cancelled, Progress
from app.models.download.pull import pull
from app.models.manifest import read_manifest
from tests.models import small
from tests.models.command_line import CommandLine
from tests.models.s3 import S3Server
from tests.models.small import assert_is_whole

URL = "s3://bucket/speech/mine"
FOLDER = "s3--bucket--speech--mine"


class Half(Progress):
    """Is cancelled once a number of bytes is there."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def add(self, count: int) -> None:
        if self.stage == "pulling" and self.done + count >= self._limit:
            self.cancel()
        super().add(count)


@pytest.fixture
def store(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The prefix, with the small model in it."""
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    s3.empty()
    store = from_url(URL)
    for name, content in small.FILES.items():
        store.put(name, content)
    return store


def manifest_of(files: dict[str, bytes], **more: object) -> bytes:
    digests = {name: small.digest(content) for name, content in files.items()}
    return json.dumps({"source": "mine", "revision": None, "files": digests | more}).encode()


def refusal(models: ModelsDirectory, source: str) -> str:
    with pytest.raises(SetupError) as caught:
        pull(source, models, Progress())
    message = str(caught.value)
    assert "\n" not in message
    assert models.find(source) is None
    return message


def test_a_prefix_of_s3_is_pulled_and_recorded(models: ModelsDirectory, store: ObjectStore) -> None:
    store.put("verbatim.json", b"{}")
    folder = pull(URL, models, Progress())
    assert folder == models.root / FOLDER
    assert_is_whole(folder, "verbatim.json")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.source, manifest.revision) == (URL, None)
    assert set(manifest.files) == set(small.FILES)
    assert pull(URL, models, Progress()) == folder


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_directory_is_pulled_as_file(slash: str, models: ModelsDirectory, tmp_path: Path) -> None:
    source = small.write(tmp_path / "source")
    assert_is_whole(pull(f"file://{source}{slash}", models, Progress()))


def test_offline_a_directory_may_be_read_and_a_bucket_not(
    models: ModelsDirectory, tmp_path: Path
) -> None:
    offline = ModelsDirectory(models.root, offline=True)
    message = refusal(offline, URL)
    assert f"({URL}: not asked, VERBATIM_MODELS__OFFLINE is set)" in message
    pull(f"file://{small.write(tmp_path / 'source')}", offline, Progress())


def test_a_prefix_without_a_model_is_named(models: ModelsDirectory, store: ObjectStore) -> None:
    store.delete(["tokenizer.json", "model.bin"])
    assert "no model.bin and no tokenizer.json there" in refusal(models, URL)
    assert "NoSuchBucket" in refusal(models, "s3://no-bucket/mine")
    message = refusal(models, "s3://bucket/none")
    assert (
        "no config.json and no model.bin and no tokenizer.json and no vocabulary.* there" in message
    )


@pytest.mark.parametrize("source", ["file:///no/such/directory", "file://relative/path"])
def test_a_directory_that_is_not_there_is_named(source: str, models: ModelsDirectory) -> None:
    assert f"{source} cannot be pulled ({source}: Generic" in refusal(models, source)


def test_a_manifest_beside_the_files_is_obeyed(models: ModelsDirectory, store: ObjectStore) -> None:
    other = small.FILES | {"config.json": b"another one"}
    store.put("manifest.json", manifest_of(other))
    assert "config.json from there did not have the right digest" in refusal(models, URL)
    store.put("manifest.json", b"{")
    assert "manifest.json there is damaged" in refusal(models, URL)
    store.put("manifest.json", manifest_of(small.FILES))
    assert_is_whole(pull(URL, models, Progress()))


def test_a_manifest_cannot_reach_outside(
    models: ModelsDirectory, store: ObjectStore, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    up = "../" * len(models.partial(URL).parts) + str(mine).lstrip("/")
    names = {up: small.digest(b"x"), str(mine): small.digest(b"x")}
    store.put("manifest.json", manifest_of(small.FILES, **names))
    folder = pull(URL, models, Progress())
    assert mine.read_text() == "mine"
    manifest = read_manifest(folder)
    assert manifest is not None
    assert set(manifest.files) == set(small.FILES)


def test_weird_names_are_left_where_they_are(
    models: ModelsDirectory, store: ObjectStore, s3: S3Server, tmp_path: Path
) -> None:
    for name in ("older/model.bin", "vocabulary.d/vocabulary.txt", "vocabulary.txt.bak", "x%2Fy"):
        store.put(name, b"other")
    for key in ("speech/mine/../../config.json", "speech/mine/model.bin/"):
        s3.put(key, b"other")
    before = sorted(path for path in tmp_path.rglob("*") if models.root not in path.parents)
    assert_is_whole(pull(URL, models, Progress()))
    after = sorted(path for path in tmp_path.rglob("*") if models.root not in path.parents)
    assert set(after) - set(before) <= {models.root}
    models.remove(URL)
    s3.put("speech/mine//model.bin", b"other")
    assert "invalid path" in refusal(models, URL)


def test_a_broken_pull_resumes_where_it_broke(models: ModelsDirectory, store: ObjectStore) -> None:
    with pytest.raises(Cancelled):
        pull(URL, models, Half(500_000))
    parts = {path.name.split(".", 1)[1] for path in models.partial(URL).iterdir()}
    assert parts == {"config.json.part", "model.bin.part"}
    (part,) = models.partial(URL).glob("*.model.bin.part")
    with part.open("r+b") as file:
        file.truncate(400_000)
    was = part.stat().st_ino
    progress = Progress()
    began: list[int] = []
    begin = progress.begin

    def note(stage: str, total: int | None, done: int = 0) -> None:
        began.append(done)
        begin(stage, total, done)

    progress.begin = note  # type: ignore[method-assign]
    folder = pull(URL, models, progress)
    assert_is_whole(folder)
    assert began == [400_030, 0]
    assert (folder / "model.bin").stat().st_ino == was


def test_an_object_that_was_replaced_between_two_pulls_is_not_joined_with_its_old_half(
    models: ModelsDirectory, store: ObjectStore
) -> None:
    with pytest.raises(Cancelled):
        pull(URL, models, Half(500_000))
    new = bytes(reversed(small.WEIGHTS))
    store.put("model.bin", new)
    folder = pull(URL, models, Progress())
    assert (folder / "model.bin").read_bytes() == new


def test_only_damaged_files_are_fetched_where_a_manifest_has_digests(
    models: ModelsDirectory, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("manifest.json", manifest_of(small.FILES))
    folder = pull(URL, models, Progress())
    was = (folder / "model.bin").stat().st_ino
    (folder / "config.json").write_bytes(b"{}")
    pull(URL, models, Progress())
    assert_is_whole(folder)
    assert (folder / "model.bin").stat().st_ino == was


def test_an_empty_object_is_refused(models: ModelsDirectory, store: ObjectStore) -> None:
    store.put("manifest.json", manifest_of(small.FILES))
    store.put("model.bin", b"")
    assert "model.bin from there did not have the right digest" in refusal(models, URL)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_that_cannot_be_reached_is_one_line_in_time(
    scheme: str, command: CommandLine
) -> None:
    # Google's store asks first who it is, at the machine's own address.
    message = command.refused(
        "pull",
        f"{scheme}://bucket/mine",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ALLOW_HTTP="true",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        GCE_METADATA_HOST="127.0.0.1:9",
        GCE_METADATA_ROOT="127.0.0.1:9",
        GCE_METADATA_IP="127.0.0.1:9",
    )
    assert message.startswith(
        f"Verbatim: {scheme}://bucket/mine cannot be pulled ({scheme}://bucket"
    )
    assert f"Generic {'GCS' if scheme == 'gs' else 'S3'} error" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://b/a b", "s3://b/a-b"),
        ("s3://b/a/b", "s3://b/a--b"),
        ("s3://b/é", "s3://b/ü"),
        (f"s3://b/{'x' * 500}", f"s3://b/{'x' * 501}"),
        ("s3://b/x", "gs://b/x"),
    ],
)
def test_two_prefixes_have_two_folders(one: str, other: str, models: ModelsDirectory) -> None:
    names = [models.partial(source).name for source in (one, other)]
    assert names[0] != names[1]
    assert all(len(os.fsencode(name)) < 200 and "/" not in name for name in names)
    assert all(name.isascii() for name in names)
