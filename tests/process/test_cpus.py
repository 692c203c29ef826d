from pathlib import Path

import pytest

from app.process import cpus


@pytest.fixture(autouse=True)
def machine_of_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "_affinity", lambda: 64)


def available(tmp_path: Path, own: str, **files: str) -> int:
    """With these lines of /proc/self/cgroup, and files by path with __ for /, and cpu.max first."""
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        path = tmp_path / "fs" / name.replace("__", "/").replace("cpu_max", "cpu.max")
        path = path.with_name(path.name.replace("cpu_cfs", "cpu.cfs"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return cpus.available_cpus(tmp_path / "fs", tmp_path / "own")


def test_a_machine_without_limits_has_all_its_cpus(tmp_path: Path) -> None:
    assert available(tmp_path, "0::/\n", cpu_max="max 100000\n") == 64
    assert cpus.available_cpus(tmp_path / "none", tmp_path / "none") == 64


@pytest.mark.parametrize(
    ("limit", "count"), [("200000 100000", 2), ("250000 100000", 3), ("50000 100000", 1)]
)
def test_a_container_has_its_limit_rounded_up(tmp_path: Path, limit: str, count: int) -> None:
    assert available(tmp_path, "0::/\n", cpu_max=limit) == count


def test_the_smallest_limit_around_the_process_counts(tmp_path: Path) -> None:
    own = "0::/pods/one\n"
    files = {"pods__cpu_max": "300000 100000", "pods__one__cpu_max": "max 100000"}
    assert available(tmp_path, own, **files) == 3


def test_limits_of_the_first_version_count_too(tmp_path: Path) -> None:
    own = "4:memory:/a\n3:cpu,cpuacct:/a\n0::/\n"
    files = {"cpu__a__cpu_cfs_quota_us": "400000", "cpu__a__cpu_cfs_period_us": "100000"}
    assert available(tmp_path, own, **files) == 4
    files["cpu__a__cpu_cfs_quota_us"] = "-1"
    assert available(tmp_path, own, **files) == 64


def test_a_container_whose_path_is_the_hosts_finds_its_limit_at_the_root(tmp_path: Path) -> None:
    assert available(tmp_path, "0::/kubepods/pod1/abc\n", cpu_max="200000 100000") == 2


@pytest.mark.parametrize(("most", "count"), [(2, 2), (96, 64), (None, 64)])
def test_threads_are_planned_for_the_cpus_that_were_asked_for(
    most: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpus, "available_cpus", lambda: 64)
    assert cpus.planned_cpus(most) == count
