"""Usage of the last minute, without a clock."""

import random
from math import inf

import pytest

from app.access.sliding_window import Claim, SlidingWindow


def claim(amount: float, limit: float = 10.0) -> Claim:
    return Claim(limit, amount, min(amount, limit))


def test_what_fits_is_added_and_what_does_not_changes_nothing() -> None:
    window = SlidingWindow()
    assert window.charge(0.5, claim(6.0)).used == 6.0
    refused = window.charge(0.6, claim(5.0))
    assert (refused.is_accepted, refused.used) == (False, 6.0)
    assert window.charge(0.7, claim(4.0)).used == 10.0


def test_an_amount_counts_for_a_minute_less_a_part_of_its_bucket() -> None:
    window = SlidingWindow()
    window.charge(3.25, claim(10.0))
    refused = window.charge(62.75, claim(1.0))
    assert not refused.is_accepted
    assert refused.wait_seconds == pytest.approx(0.25)
    assert window.charge(63.0, claim(1.0)).used == 1.0


def test_no_minute_has_more_than_the_limit_and_waits_are_exact() -> None:
    rolls = random.Random(1)
    window, now, accepted = SlidingWindow(), 0.0, []
    for _ in range(3000):
        wanted = claim(rolls.choice([0.5, 1.0, 3.0]))
        result = window.charge(now, wanted)
        if result.is_accepted:
            accepted.append((now, wanted.amount))
            now += rolls.random()
        else:
            assert result.wait_seconds <= 60
            before = window.charge(now + result.wait_seconds - 0.01, wanted)
            assert not before.is_accepted, "not before the wait is over"
            now += result.wait_seconds
            assert window.charge(now, wanted).is_accepted, "right after the wait"
            accepted.append((now, wanted.amount))
    for begin, _ in accepted:
        assert sum(amount for at, amount in accepted if begin <= at < begin + 59.5) <= 10.0


def test_more_than_the_limit_needs_an_empty_window_and_then_counts_in_full() -> None:
    window = SlidingWindow()
    assert window.charge(0.0, claim(25.0)).used == 25.0
    assert not window.charge(1.0, claim(0.1)).is_accepted
    window = SlidingWindow()
    window.charge(0.0, claim(0.1))
    refused = window.charge(1.0, claim(25.0))
    assert (refused.is_accepted, refused.wait_seconds) == (False, 59.0)


def test_an_unknown_amount_needs_some_room() -> None:
    window = SlidingWindow()
    window.charge(0.0, claim(9.9))
    assert window.charge(0.0, Claim(10.0, 5.0, 0.0)).used == 14.9
    assert not window.charge(0.0, Claim(10.0, 0.0, 0.0)).is_accepted


def test_the_wait_ends_when_enough_amounts_have_left() -> None:
    window = SlidingWindow()
    for second in range(10):
        window.charge(float(second), claim(1.0))
    assert window.charge(10.0, claim(1.0)).wait_seconds == 50.0
    assert window.charge(10.0, claim(4.0)).wait_seconds == 53.0
    assert window.charge(10.0, claim(4.0)).reset_seconds == 50.0


def test_a_refund_makes_room_at_once_and_only_in_a_bucket_that_still_counts() -> None:
    window = SlidingWindow()
    result = window.charge(0.0, claim(10.0))
    window.refund(result.bucket, 7.5)
    assert window.charge(1.0, claim(7.5)).used == 10.0
    window.refund(result.bucket - 100, 5.0)
    assert window.charge(1.0, Claim(inf, 0.0, 0.0)).used == 10.0


def test_rounding_does_not_refuse_the_last_fraction() -> None:
    window = SlidingWindow()
    for _ in range(100):
        assert window.charge(0.0, claim(0.1, limit=10.0)).is_accepted
    assert not window.charge(0.0, claim(0.1, limit=10.0)).is_accepted


def test_a_window_is_empty_once_every_amount_has_left() -> None:
    window = SlidingWindow()
    assert window.is_empty(0.0)
    window.charge(0.0, claim(1.0))
    assert (window.is_empty(59.9), window.is_empty(60.0)) == (False, True)
