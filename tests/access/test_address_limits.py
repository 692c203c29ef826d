"""Limits by address, for callers without a key."""

import time

import pytest
from structlog.testing import capture_logs

from app.access import address_limits
from app.access.address_limits import WRONG_KEYS, AddressLimits, network_of
from app.errors import RateLimited

ADDRESS = "192.0.2.1"


def test_an_address_that_sends_wrong_keys_is_refused_and_others_are_not() -> None:
    limits = AddressLimits()
    with capture_logs() as logs:
        for _ in range(WRONG_KEYS.amount):
            limits.count_wrong(ADDRESS)
    assert [each["address"] for each in logs] == [ADDRESS]
    with pytest.raises(RateLimited, match="Too many wrong API keys from this address") as refused:
        limits.count_wrong(ADDRESS)
    assert 1 <= refused.value.retry_after_seconds <= 60
    limits.count_wrong("192.0.2.2")


def test_pages_and_sign_ins_have_limits_of_their_own() -> None:
    limits = AddressLimits()
    for count, limit, reason in (
        (limits.count_page, address_limits.PAGES, "Too many requests"),
        (limits.count_sign_in, address_limits.SIGN_INS, "Too many sign-ins"),
    ):
        for _ in range(limit.amount):
            count(ADDRESS)
        with pytest.raises(RateLimited, match=f"{reason} from this address"):
            count(ADDRESS)
    limits.count_wrong(ADDRESS)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_an_hour_does_not_lock_an_address_out(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    limits = AddressLimits()
    for _ in range(address_limits.PAGES.amount):
        limits.count_page(ADDRESS)
    now += jump
    limits.count_page(ADDRESS)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_counts_with_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
