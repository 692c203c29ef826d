from bench.soak import Plan, soak, text
from tests.support.model_names import STARTER


def test_thirty_mixed_requests_leak_nothing() -> None:
    """`make soak` sends 2,000, which is enough to judge memory as well."""
    report = soak(Plan(requests=30, warm_up=10, limit_seconds=60.0, model=str(STARTER)))
    assert report.tally.wrong == []
    assert report.tally.right > 0
    assert report.tally.cancelled > 0
    assert report.after.countable == report.before.countable, text(report)
