"""Where models lie: names, folders, what is there by hand, what came with an image."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import SetupError
from app.models.directory import (
    ModelsDirectory,
    complete,
    folder_name,
    is_directory,
    source_of,
    split_revision,
)
from app.models.download.progress import Progress
from app.models.download.pull import pull
from app.models.manifest import FILE_NAME
from tests.models import small


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("base", "base"),
        ("turbo", "large-v3-turbo"),
        ("large", "large-v3"),
        ("Systran/faster-whisper-base", "base"),
        ("Systran/faster-whisper-base@ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", "base"),
        ("Systran/faster-whisper-base@v2", "Systran--faster-whisper-base"),
        ("org/name", "org--name"),
        ("org/name@v1", "org--name"),
        ("org/name@refs/pr/3", "org--name"),
        ("s3://bucket/speech/mine/", "s3--bucket--speech--mine"),
        ("gs://bucket", "gs--bucket"),
        ("file:///opt/mine", "file--opt--mine"),
    ],
)
def test_a_model_has_a_folder_by_its_name(source: str, folder: str) -> None:
    assert folder_name(source) == folder


@pytest.mark.parametrize(
    "source",
    [
        "",
        "bas",
        "org--name",
        "org/../name",
        "org/name/more",
        "org/na..me",
        "../../etc",
        "/etc",
        "-/-",
        ".hidden/x",
        "org/é",
        "org/name\n",
        "org/" + "x" * 500,
        "x" * 5000,
        "http://host/model",
        "s3://",
        "org/name@",
        "org/name@../..",
    ],
)
def test_what_can_be_no_model_is_one_line(source: str) -> None:
    if source == "org/name@../..":  # a strange revision, and in no path
        assert folder_name(source) == "org--name"
        return
    with pytest.raises(
        SetupError, match=" is no model: neither a directory, nor a hub id"
    ) as message:
        folder_name(source)
    assert len(str(message.value)) < 600


def test_no_two_models_of_the_table_share_a_folder_with_others() -> None:
    assert folder_name("s3://a/b") != folder_name("s3://a--b")
    with pytest.raises(SetupError):
        folder_name("a--b/c")
    with pytest.raises(SetupError):
        folder_name("a/b--c")


def test_a_folder_never_leaves_the_models_directory(tmp_path: Path) -> None:
    for source in ("s3://b/../../x", "s3://../..", "file:///../../x", "s3://b/./x", "s3://."):
        name = folder_name(source)
        assert "/" not in name
        assert not name.startswith(".")
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()


def test_a_path_is_recognised_by_its_form_or_its_existence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "org" / "here").mkdir(parents=True)
    assert [is_directory(each) for each in ("/x", "./x", "../x", "~/x", "mine", "org/here")] == (
        [True] * 6
    )
    others = ("base", "org/name", "s3://b/x", "file:///x", "x" * 5000, "new\0line")
    assert not any(map(is_directory, others))


def test_a_tilde_stands_for_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    mine = small.write(tmp_path / "mine")
    assert ModelsDirectory(tmp_path / "models").find("~/mine") == mine


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (["model.bin"], "model.bin is missing or empty"),
        (["tokenizer.json"], "tokenizer.json is missing or empty"),
        (["vocabulary.txt", "config.json"], "config.json and vocabulary.* are missing or empty"),
    ],
)
def test_a_directory_that_holds_no_model_is_named(
    without: list[str], message: str, tmp_path: Path
) -> None:
    folder = small.write(tmp_path)
    for name in without:
        (folder / name).write_bytes(b"")
    with pytest.raises(SetupError) as caught:
        complete(folder)
    assert str(caught.value) == f"{folder} is no CTranslate2 Whisper model: {message}"
    with pytest.raises(SetupError, match="is no directory"):
        complete(folder / "none")


def test_a_directory_is_compared_with_the_manifest_beside_it(tmp_path: Path) -> None:
    models = ModelsDirectory(tmp_path / "models")
    folder = pull("org/name", replace(models, root=_by_hand(tmp_path)), Progress())
    assert models.check(str(folder)) == folder
    (folder / "config.json").write_bytes(b"{}")
    with pytest.raises(SetupError) as caught:
        models.check(str(folder))
    assert str(caught.value) == (
        f"the model in {folder} is damaged: config.json has 2 bytes instead of 30; copy it again"
    )


def _by_hand(tmp_path: Path) -> Path:
    small.write(tmp_path / "by-hand" / "org--name")
    return tmp_path / "by-hand"


def test_built_in_models_are_searched_second(models: ModelsDirectory, tmp_path: Path) -> None:
    built_in = tmp_path / "built-in"
    small.write(built_in / "small")
    both = replace(models, built_in=built_in)
    assert both.check("small") == built_in / "small"
    assert list(both.installed()) == [built_in / "small"]
    assert not both.remove("small")
    small.write(models.root / "small")
    assert both.check("small") == models.root / "small"
    assert both.remove("small")
    assert both.check("small") == built_in / "small"


def test_a_damaged_model_of_the_image_is_passed_over_by_a_pull(
    models: ModelsDirectory, tmp_path: Path, packages: Path
) -> None:
    built_in = tmp_path / "built-in"
    small.write(built_in / "small")
    (built_in / "small" / "config.json").write_bytes(b"{}")
    small.write(models.partial("small"))
    both = replace(models, built_in=built_in)
    with pytest.raises(SetupError, match="is damaged: config"):
        both.check("small")
    assert pull("small", both, Progress()) == models.root / "small"
    both.check("small")


def test_hidden_folders_and_other_files_are_no_models(models: ModelsDirectory) -> None:
    small.write(models.root / ".hidden")
    small.write(models.root / ".partial" / "small")
    (models.root / "empty").mkdir()
    (models.root / "file").write_text("")
    assert list(models.installed()) == []


def test_the_source_of_a_folder_is_read_from_its_manifest(models: ModelsDirectory) -> None:
    by_hand = small.write(models.root / "org--name")
    assert source_of(by_hand) == "org/name"
    assert source_of(small.write(models.root / "small")) == "small"
    pull("org/name", models, Progress())
    (by_hand / FILE_NAME).write_text((by_hand / FILE_NAME).read_text().replace("org/name", "o/n"))
    assert source_of(by_hand) == "o/n"
    (by_hand / FILE_NAME).write_text("{")
    assert source_of(by_hand) == "org/name"


def test_rm_deletes_a_link_and_not_what_it_points_to(
    models: ModelsDirectory, tmp_path: Path
) -> None:
    elsewhere = small.write(tmp_path / "elsewhere")
    models.root.mkdir()
    (models.root / "small").symlink_to(elsewhere)
    assert models.check("small")
    assert models.remove("small")
    assert not os.path.lexists(models.root / "small")
    assert len(list(elsewhere.iterdir())) == len(small.FILES)


def test_without_a_home_the_setting_is_named(models: ModelsDirectory) -> None:
    homeless = replace(models, root=Path("~/.cache/verbatim/models"))
    with pytest.raises(SetupError) as caught:
        pull("small", homeless, Progress())
    assert str(caught.value) == (
        "there is no home directory for ~/.cache/verbatim/models: "
        "name where models are kept in VERBATIM_MODELS__DIRECTORY"
    )


def test_a_revision_is_split_off_hub_ids_alone() -> None:
    assert split_revision("org/name@v1") == ("org/name", "v1")
    assert split_revision("org/name") == ("org/name", None)
    assert split_revision("s3://b/a@v1") == ("s3://b/a@v1", None)


def test_a_directory_that_may_not_be_read_is_named(models: ModelsDirectory) -> None:
    folder = small.write(models.root / "small")
    for forbidden in (folder / "model.bin", folder, models.root):
        forbidden.chmod(0)
        if os.geteuid() == 0:  # who may read everything
            models.root.parent.chmod(0o755)
            for parent in models.root.parents[1:3]:
                parent.chmod(0o755)
            os.seteuid(65534)
        try:
            with pytest.raises(SetupError) as caught:
                models.check("small")
        finally:
            os.seteuid(os.getuid())
            forbidden.chmod(0o755)
        assert str(caught.value).endswith(
            ": Permission denied; VERBATIM_MODELS__DIRECTORY names where models are kept"
        )
