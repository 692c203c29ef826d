"""A recording of some minutes."""

from pathlib import Path

import pytest

from tests.support.recordings import load_sample, repeat_to


@pytest.fixture(scope="module")
def three_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "three_minutes.wav"
    repeat_to(path, load_sample("08_long_call.flac"), 180.0)
    return path
