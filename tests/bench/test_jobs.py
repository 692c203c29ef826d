import pytest

from bench.jobs.plan import Plan
from bench.jobs.report import text
from bench.jobs.soak import soak


@pytest.mark.timeout(240)
def test_jobs_survive_the_death_of_workers_and_of_the_database() -> None:
    """`make soak-jobs` has 4,000 jobs and 150 faults."""
    faults = ("kill worker", "stop worker", "store errors", "restart database")
    report = soak(Plan(jobs=24, faults=faults, workers=2, limit_seconds=90.0))
    assert report.failures() == [], text(report)
    assert report.faults == dict.fromkeys(faults, 1)
