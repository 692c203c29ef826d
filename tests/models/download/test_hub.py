"""Models of the hub, which is a stand-in on loopback that huggingface_hub asks."""

import hashlib
import shutil
from io import DEFAULT_BUFFER_SIZE
from pathlib import Path

import pytest

from app.errors import SetupError
from app.models import known
from app.models.directory import ModelsDirectory
from app.models.download.progress import Progress, size_of
from app.models.download.pull import pull
from app.models.manifest import read_manifest
from tests.models import small
from tests.models.command_line import CommandLine, last_line
from tests.models.servers import Hub, Storage
from tests.models.small import assert_is_whole
from tests.support.waiting import wait_until

UNKNOWN = "org/name"
OTHER = "a" * 40


@pytest.fixture
def table(table: Path) -> Path:
    """The small model is known, and lies in no wheels."""
    table.write_text(small.table(None))
    known.table.cache_clear()
    return table


@pytest.fixture
def unknown(hub: Hub) -> Hub:
    """A repository that the table does not have, with a file that is not the model's."""
    hub.repository, hub.revision = UNKNOWN, OTHER
    hub.files |= {"README.md": b"read me", "vocabulary.d/words.txt": b"", "flax_model.msgpack": b""}
    return hub


def refusal(models: ModelsDirectory, source: str) -> str:
    with pytest.raises(SetupError) as caught:
        pull(source, models, Progress())
    message = str(caught.value)
    assert "\n" not in message
    assert models.find(source) is None
    return message


@pytest.mark.parametrize("source", ["small", small.REPOSITORY])
def test_a_known_model_comes_at_its_pinned_revision(
    source: str, models: ModelsDirectory, hub: Hub
) -> None:
    folder = pull(source, models, Progress())
    assert folder == models.root / "small"
    assert_is_whole(folder)
    assert hub.asked[f"/api/models/{small.REPOSITORY}/revision/{small.REVISION}"] == 1
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == small.REVISION


def test_a_known_model_that_is_another_one_there_is_refused(
    models: ModelsDirectory, hub: Hub
) -> None:
    hub.files["tokenizer.json"] = b"another one"
    message = refusal(models, "small")
    assert "the hub: tokenizer.json from there did not have the right digest" in message


def test_an_unknown_model_is_pulled_at_its_newest_revision_which_is_recorded(
    models: ModelsDirectory, unknown: Hub
) -> None:
    folder = pull(UNKNOWN, models, Progress())
    assert folder == models.root / "org--name"
    assert_is_whole(folder)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.source, manifest.revision) == (UNKNOWN, OTHER)
    for name, content in small.FILES.items():
        assert manifest.files[name].sha256 == hashlib.sha256(content).hexdigest()
    unknown.asked.clear()
    assert pull(UNKNOWN, models, Progress()) == folder
    assert not unknown.asked


def test_a_damaged_unknown_model_is_repaired_at_the_same_revision_by_what_is_broken(
    models: ModelsDirectory, unknown: Hub
) -> None:
    folder = pull(UNKNOWN, models, Progress())
    (folder / "config.json").write_bytes(b"{}")
    unknown.sent.clear()
    pull(UNKNOWN, models, Progress())
    assert_is_whole(folder)
    assert "model.bin" not in unknown.downloads
    assert unknown.asked[f"/api/models/{UNKNOWN}/revision/{OTHER}"] == 1


@pytest.mark.parametrize("name", ["v1", "main", OTHER])
def test_a_revision_can_be_requested(name: str, models: ModelsDirectory, unknown: Hub) -> None:
    source = f"{UNKNOWN}@{name}"
    folder = pull(source, models, Progress())
    assert models.find(source) == folder
    assert models.find(f"{UNKNOWN}@v0") is None
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == OTHER
    unknown.asked.clear()
    pull(source, models, Progress())
    assert not unknown.asked


def test_weights_that_do_not_have_the_hubs_own_digest_are_refused(
    models: ModelsDirectory, unknown: Hub
) -> None:
    unknown.stated = "0" * 64
    message = refusal(models, UNKNOWN)
    assert "the hub: model.bin from there did not have the right digest" in message
    unknown.stated = hashlib.sha256(small.WEIGHTS).hexdigest()
    assert_is_whole(pull(UNKNOWN, models, Progress()))


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, "RepoNotFound", "org/name is not there, or private: HF_TOKEN says who asks"),
        (401, "RepoNotFound", "org/name is not there, or private: HF_TOKEN says who asks"),
        (
            403,
            "GatedRepo",
            "org/name is gated: accept its terms there, and say in HF_TOKEN who asks",
        ),
        (404, "RevisionNotFound", "org/name has no revision v9"),
        (503, "", "Server error '503"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    status: int, code: str, reason: str, models: ModelsDirectory, unknown: Hub
) -> None:
    unknown.refusal = status, {"x-error-code": code}
    source = f"{UNKNOWN}@v9" if code == "RevisionNotFound" else UNKNOWN
    assert reason in refusal(models, source)


def test_a_repository_without_a_model_is_named(models: ModelsDirectory, unknown: Hub) -> None:
    del unknown.files["tokenizer.json"]
    assert "the hub: no tokenizer.json in org/name" in refusal(models, UNKNOWN)
    assert not unknown.downloads


def test_the_token_is_sent(
    models: ModelsDirectory, unknown: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown.token = "hf_secret"
    refusal(models, UNKNOWN)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert_is_whole(pull(UNKNOWN, models, Progress()))


def test_weights_come_from_where_the_hub_sends_one_without_the_token(
    models: ModelsDirectory, unknown: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    unknown.token = "hf_secret"
    storage = Storage(small.WEIGHTS)
    unknown.elsewhere = storage.url
    with storage.running():
        storage.breaks_at = "model.bin"
        refusal(models, UNKNOWN)
        storage.breaks_at = None
        assert_is_whole(pull(UNKNOWN, models, Progress()))
    assert storage.sent["/model.bin"] == len(small.WEIGHTS)


def test_a_broken_transfer_resumes_where_it_broke(models: ModelsDirectory, unknown: Hub) -> None:
    unknown.breaks_at = "model.bin"
    # Each try gets half of what is left: after five of them the rest is another pull's.
    assert "the hub: peer closed connection" in refusal(models, UNKNOWN)
    assert unknown.downloads["model.bin"] == pytest.approx(len(small.WEIGHTS) * 31 / 32, rel=0.01)
    unknown.breaks_at = None
    assert_is_whole(pull(UNKNOWN, models, Progress()))
    assert unknown.downloads["model.bin"] == len(small.WEIGHTS)


def test_a_killed_pull_resumes_in_the_middle_of_a_file(
    models: ModelsDirectory, unknown: Hub, command: CommandLine, tmp_path: Path
) -> None:
    unknown.stops_at = "model.bin"
    process = command.start("pull", UNKNOWN, HF_ENDPOINT=unknown.url)
    half = len(small.WEIGHTS) // 2 - DEFAULT_BUFFER_SIZE  # the rest may not be written yet
    wait_until(lambda: size_of(models.partial(UNKNOWN)) > half)
    process.kill()
    process.communicate()
    assert models.find(UNKNOWN) is None
    unknown.stops_at = None
    assert_is_whole(pull(UNKNOWN, models, Progress()))
    sizes = {name: len(content) for name, content in small.FILES.items()}
    again = unknown.downloads["model.bin"] - sizes["model.bin"]
    assert 0 <= again < len(small.WEIGHTS) // 4
    assert unknown.downloads == {**sizes, "model.bin": sizes["model.bin"] + again}


def test_a_pull_from_the_hub_ends_at_once_when_it_is_interrupted(
    unknown: Hub, command: CommandLine
) -> None:
    unknown.stops_at = "model.bin"
    process = command.start("pull", UNKNOWN, HF_ENDPOINT=unknown.url)
    unknown.wait_for_half("model.bin")
    process.terminate()
    output, errors = process.communicate(timeout=50)  # the hub goes on after a minute
    message = last_line(process.returncode, output, errors)
    assert message == "Verbatim: interrupted; the next pull goes on from here"


def test_parts_of_another_revision_are_not_resumed(models: ModelsDirectory, unknown: Hub) -> None:
    unknown.breaks_at = "model.bin"
    refusal(models, UNKNOWN)
    unknown.breaks_at, unknown.revision = None, "b" * 40
    unknown.files["model.bin"] = new = bytes(900_000)
    unknown.stated = hashlib.sha256(new).hexdigest()
    folder = pull(UNKNOWN, models, Progress())
    assert (folder / "model.bin").read_bytes() == new


def cached(folder: Path, repository: str, revision: str, files: dict[str, bytes]) -> None:
    """Lay files where huggingface_hub keeps those that any program has downloaded."""
    root = folder / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / revision
    for each in (snapshot, root / "blobs", root / "refs"):
        each.mkdir(parents=True)
    (root / "refs" / "main").write_text(revision)
    for name, content in files.items():
        # Files of LFS are called by their digest there, others by git's.
        blob = hashlib.sha256(small.FILES[name]).hexdigest()
        blob = blob if name == "model.bin" else blob[:40]
        (root / "blobs" / blob).write_bytes(content)
        (snapshot / name).symlink_to(Path("../../blobs") / blob)


@pytest.mark.parametrize("offline", [False, True])
def test_a_model_in_the_hubs_cache_is_copied_from_there(
    offline: bool, models: ModelsDirectory, tmp_path: Path
) -> None:
    models = ModelsDirectory(models.root, offline=offline)
    cached(tmp_path, UNKNOWN, OTHER, small.FILES)
    folder = pull(UNKNOWN, models, Progress())
    assert_is_whole(folder)
    assert not any(path.is_symlink() for path in folder.iterdir())
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == OTHER
    assert (tmp_path / "hub" / "models--org--name" / "blobs").is_dir()


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_a_damaged_cache_is_passed_over(
    name: str, models: ModelsDirectory, hub: Hub, tmp_path: Path
) -> None:
    cached(tmp_path, small.REPOSITORY, small.REVISION, small.FILES | {name: b"damaged"})
    assert_is_whole(pull("small", models, Progress()))
    assert hub.downloads[name] == len(small.FILES[name])


def test_an_incomplete_cache_is_passed_over(
    models: ModelsDirectory, unknown: Hub, tmp_path: Path
) -> None:
    some = {name: small.FILES[name] for name in ("config.json", "model.bin")}
    cached(tmp_path, UNKNOWN, OTHER, some)
    assert_is_whole(pull(UNKNOWN, models, Progress()))


def test_the_hubs_own_offline_mode_is_obeyed(
    command: CommandLine, models: ModelsDirectory, tmp_path: Path
) -> None:
    message = command.refused("pull", UNKNOWN, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert "the hub: Cannot reach" in message
    assert "offline mode is enabled" in message
    cached(tmp_path, UNKNOWN, OTHER, small.FILES)
    result = command.run("pull", UNKNOWN, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert_is_whole(models.root / "org--name")
    shutil.rmtree(tmp_path / "hub")


@pytest.mark.parametrize(
    "source", ["org/na me", "org/name/more", "../name", "org/..", "org/a--b", "a--b/c", "é/ü"]
)
def test_a_name_that_the_hub_cannot_have_is_no_model(source: str, models: ModelsDirectory) -> None:
    with pytest.raises(SetupError, match=" is no "):
        pull(source, models, Progress())
    assert not models.root.exists()
