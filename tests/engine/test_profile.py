import os
import shutil
from pathlib import Path

import pytest

from app.engine.profile import ModelProfile, read_profile
from app.models.loading import local_profile
from tests.support.model_names import NO_MODELS, STARTER


def test_the_starter_has_its_own_date_whenever_it_was_cloned(tmp_path: Path) -> None:
    clone = shutil.copytree(STARTER, tmp_path / "clone")
    os.utime(clone / "model.bin", (1_600_000_000, 1_600_000_000))
    assert read_profile(clone) == read_profile(STARTER)


def test_without_a_date_of_its_own_a_model_has_that_of_its_weights(tmp_path: Path) -> None:
    assert read_profile(tmp_path) == ModelProfile()
    weights = tmp_path / "model.bin"
    weights.touch()
    os.utime(weights, (1_600_000_000, 1_600_000_000))
    assert read_profile(tmp_path).created == 1_600_000_000


def test_a_wrong_profile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "verbatim.json").write_text('{"window_seconds": 90}')
    with pytest.raises(ValueError, match="window_seconds"):
        read_profile(tmp_path)


def test_a_model_that_is_not_here_has_whispers_profile() -> None:
    assert local_profile("org/whisper", NO_MODELS) == ModelProfile()
    known = ModelProfile(description="Whisper tiny, from Systran/faster-whisper-tiny.")
    assert local_profile("tiny", NO_MODELS) == known


@pytest.mark.parametrize("name", ["large-v3-trubo", "/no/such/directory"])
def test_a_name_that_can_be_no_model_is_refused_without_the_network(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        local_profile(name, NO_MODELS)
