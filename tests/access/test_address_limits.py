"""Limits by address, for callers without a key."""

import pytest
from structlog.testing import capture_logs

from app.access import address_limits
from app.access.address_limits import WRONG_KEYS, AddressLimits, network_of
from app.errors import RateLimited

ADDRESS = "192.0.2.1"


def test_an_address_that_sends_wrong_keys_is_refused_and_others_are_not() -> None:
    limits = AddressLimits()
    with capture_logs() as logs:
        for number in range(WRONG_KEYS.amount):
            limits.check_token(ADDRESS, f"guess {number}")
            limits.count_wrong(ADDRESS)
    assert [each["address"] for each in logs] == [ADDRESS]
    with pytest.raises(RateLimited, match="Too many wrong API keys from this address") as refused:
        limits.check_token(ADDRESS, "one more")
    assert 1 <= refused.value.retry_after_seconds <= 60
    limits.check_token("192.0.2.2", "one more")


def test_a_token_that_was_right_before_is_not_locked_out_by_its_neighbours() -> None:
    limits = AddressLimits()
    limits.count_right("right")
    for _ in range(WRONG_KEYS.amount):
        limits.count_wrong(ADDRESS)
    limits.check_token(ADDRESS, "right")
    with pytest.raises(RateLimited):
        limits.check_token(ADDRESS, "wrong")


def test_only_the_last_tokens_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_limits, "MAX_KNOWN_TOKENS", 2)
    limits = AddressLimits()
    for token in ("first", "second", "third"):
        limits.count_right(token)
    for _ in range(WRONG_KEYS.amount):
        limits.count_wrong(ADDRESS)
    limits.check_token(ADDRESS, "third")
    with pytest.raises(RateLimited):
        limits.check_token(ADDRESS, "first")


def test_pages_have_a_limit_of_their_own() -> None:
    limits = AddressLimits()
    for _ in range(address_limits.PAGES.amount):
        limits.count_page(ADDRESS)
    with pytest.raises(RateLimited, match="Too many requests from this address"):
        limits.count_page(ADDRESS)
    limits.check_token(ADDRESS, "a key")


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
