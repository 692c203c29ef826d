"""One process at a time puts a model together."""

from pathlib import Path
from threading import Timer

import pytest

from app.models.download.lock import locked, locked_now
from app.models.download.progress import Cancelled, Progress


def test_the_second_pull_waits_and_reports_that(tmp_path: Path) -> None:
    progress = Progress()
    with locked(tmp_path / "x" / "model", Progress()):
        with locked_now(tmp_path / "x" / "model") as is_ours:
            assert not is_ours
        timer = Timer(0.3, progress.cancel)
        timer.start()
        with pytest.raises(Cancelled), locked(tmp_path / "x" / "model", progress):
            pass
        timer.join()
    assert progress.stage == "waiting for"
    with locked_now(tmp_path / "x" / "model") as is_ours:
        assert is_ours
    with locked(tmp_path / "x" / "model", Progress()):
        pass


def test_two_models_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "one", Progress()), locked_now(tmp_path / "two") as is_ours:
        assert is_ours
