"""CPUs that the process may use: a container's limit, not the machine's number."""

import os
import sys
from collections.abc import Iterator
from math import ceil, inf
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def available_cpus(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """The smallest of affinity and the CPU limits of the process's cgroups, rounded up; at least 1.

    A container of 2 CPUs on a machine of 64 would otherwise start 64 threads and be throttled.
    """
    limits = [_limit(folder) for folder in _folders(cgroups, own)]
    return max(1, ceil(min([*limits, _affinity()])))


def planned_cpus(most: int | None) -> int:
    """The CPUs to plan threads for: those available, and no more than `most`.

    A container that requests CPUs without a limit on them shows its request nowhere.
    """
    return min(available_cpus(), most or sys.maxsize)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """The folders that limit the process: its own cgroup and those around it, of both versions.

    In a container its own is the root of what is mounted, whatever path the kernel reports.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        parts = PurePosixPath(path).parts[1:]
        for depth in range(len(parts) + 1):
            folder = root.joinpath(*parts[:depth])
            if folder.is_dir():
                yield folder


def _limit(folder: Path) -> float:
    """Quota over period, in CPUs; infinite without a quota (cgroup-v2.rst, `cpu.max`)."""
    try:
        if (file := folder / "cpu.max").is_file():
            quota, period = file.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return inf
