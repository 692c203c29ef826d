from bench.access import measure


async def test_authentication_and_limits_are_cheap_also_with_many_callers() -> None:
    """0.3 ms is the promise; `python -m bench.access` measures 10,000 requests by themselves."""
    cost = await measure(callers=5_000, requests=5_000, rounds=1)
    assert 0 < cost.added < 0.3, cost
