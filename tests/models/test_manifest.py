"""Which files a model has, and what of them is not as it should be."""

from pathlib import Path

import pytest

from app.errors import SetupError
from app.models.manifest import (
    Digest,
    Manifest,
    differences,
    digest_of,
    has_digest,
    is_model_file,
    missing_files,
    read_manifest,
)
from tests.models import small


def manifest_of(folder: Path) -> Manifest:
    return Manifest(source="x", files={name: digest_of(folder / name) for name in small.FILES})


def test_a_manifest_is_written_and_read(tmp_path: Path) -> None:
    manifest = manifest_of(small.write(tmp_path))
    manifest.write(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert manifest.size == sum(map(len, small.FILES.values()))
    assert read_manifest(tmp_path / "none") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*small.FILES, "manifest.json"]
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        '{"source": "x", "files": {"model.bin": {"size": -1, "sha256": "' + "0" * 64 + '"}}}',
        '{"source": "x", "files": {"model.bin": {"size": 1, "sha256": "0"}}}',
        '{"source": "x", "files": {}, "more": 1}',
    ],
)
def test_a_damaged_manifest_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SetupError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value) == f"{tmp_path}/manifest.json is damaged"


def test_each_file_that_differs_is_named(tmp_path: Path) -> None:
    expected = manifest_of(small.write(tmp_path)).files
    assert list(differences(tmp_path, expected)) == []
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "vocabulary.txt").write_bytes(b"one\nsix\n")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").mkdir()
    (tmp_path / "preprocessor_config.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"read me")
    assert list(differences(tmp_path, expected)) == [
        "config.json has 2 bytes instead of 30",
        "tokenizer.json is missing",
        "vocabulary.txt does not have its digest",
        "preprocessor_config.json is not one of its files",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "vocabulary.txt.bak",
        "vocabulary.d/words.txt",
        "vocabulary./../../x",
        "../config.json",
        "x/model.bin",
        "Model.bin",
        "model.bin\n",
        "manifest.json",
    ],
)
def test_no_other_name_is_a_models_file(name: str) -> None:
    assert not is_model_file(name)


def test_files_that_are_missing_are_named() -> None:
    assert missing_files(["config.json", "model.bin", "tokenizer.json", "vocabulary.json"]) == []
    assert missing_files(["model.bin", "vocabulary.txt.part"]) == [
        "config.json",
        "tokenizer.json",
        "vocabulary.*",
    ]


def test_no_file_has_an_unknown_digest(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    digest = digest_of(path)
    assert has_digest(path, digest)
    assert not has_digest(path, None)
    assert not has_digest(tmp_path / "y", digest)
    assert not has_digest(path, Digest(size=2, sha256=digest.sha256))


def test_the_progress_of_digests_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes((2 << 20) + 5))
    told: list[int] = []
    digest_of(path, told.append)
    assert told == [1 << 20, 1 << 20, 5]
