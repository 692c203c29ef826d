import os
from functools import partial
from pathlib import Path

import pytest

from bench import cold_start, random_model


def test_of_several_runs_the_least_counts_and_each_begins_anew() -> None:
    calls: list[str] = []
    taken = iter([(5.0, 1.0), (2.0, 3.0), (9.0, 2.0)])

    def timed() -> cold_start.Taken:
        calls.append("timed")
        return next(taken)

    assert cold_start.least(3, partial(calls.append, "before"), timed) == (2.0, 1.0)
    assert calls == ["before", "timed"] * 3


def test_an_image_is_packed_and_unpacked_with_all_of_its_files(tmp_path: Path) -> None:
    files = tmp_path / "root/opt"
    files.mkdir(parents=True)
    (files / "zeros").write_bytes(bytes(1_000_000))
    (files / "random").write_bytes(os.urandom(1_000_000))
    (files / "link").symlink_to("zeros")
    assert cold_start.size_of(tmp_path / "root") == 2_000_000
    (part,) = cold_start.unpacking(tmp_path / "root")
    assert part.name == "image of 2 MB: unpacked"
    assert 1_000_000 < part.size < 1_100_000, "as a registry has it"


def test_weights_are_read_and_loaded_in_both_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = random_model.Dimensions(80, 64, 1, 1, 1, 99)
    monkeypatch.setitem(random_model.DIMENSIONS, "small", small)
    parts = list(cold_start.loading(tmp_path, "small", "cpu", runs=1))
    assert [each.name for each in parts] == [
        "small, float16: read",
        "small, float16: read and loaded on the cpu",
        "small, int8: read",
        "small, int8: read and loaded on the cpu",
    ]
    assert parts[0].size == parts[1].size > parts[2].size
    assert parts[0].row().startswith("| small, float16: read | ")
