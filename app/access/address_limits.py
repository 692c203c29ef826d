"""Limits by network address for callers without a key: wrong keys, and pages that are open to all.

Counted by slowapi in this process's memory: nothing is given back and no audio is counted, which is
where slowapi fits. Callers with a key have limits of their own (limiter.py).
"""

import time
from ipaddress import IPv6Address, ip_address
from math import ceil
from pathlib import Path

import structlog
from limits import RateLimitItem, parse
from slowapi import Limiter

from app.errors import RateLimited

log = structlog.get_logger(__name__)

WRONG_KEYS = parse("30/minute")
"""A person mistypes a key a few times; a program that guesses sends hundreds."""

PAGES = parse("6000/minute")
"""Of the page and the documentation: a hundred a second, as an office behind one address may."""

SIGN_INS = parse("600/minute")
"""Requests that make the server ask the identity provider: it must not flood the provider, and an
office may come in the morning."""

_EMPTY_FILE = Path(__file__).with_name("__init__.py")
"""The configuration of slowapi, which would read `.env` of the working directory."""


class AddressLimits:
    """The counts of one process. Belongs to the event loop."""

    def __init__(self) -> None:
        limiter = Limiter(key_func=network_of, config_filename=str(_EMPTY_FILE))
        self._counts = limiter.limiter

    def count_wrong(self, address: str) -> None:
        """The address has sent a wrong key. Raises RateLimited after too many.

        Right keys are not counted, and never refused here: however many wrong ones a neighbour
        behind the same address sends, it locks no caller out. So each key is looked up first, which
        takes 5 µs, and the signature of a token 50 to 100 µs.
        """
        network = network_of(address)
        if not self._hit(WRONG_KEYS, network):
            raise self._refusal(WRONG_KEYS, address, "Too many wrong API keys")
        if not self._counts.test(WRONG_KEYS, network):
            log.warning("too_many_wrong_keys", address=network)

    def count_page(self, address: str) -> None:
        """The address asks for a page that needs no key. Raises RateLimited."""
        if not self._hit(PAGES, network_of(address)):
            raise self._refusal(PAGES, address, "Too many requests")

    def count_sign_in(self, address: str) -> None:
        """The address makes the server ask the identity provider. Raises RateLimited."""
        if not self._hit(SIGN_INS, network_of(address)):
            raise self._refusal(SIGN_INS, address, "Too many sign-ins")

    def _hit(self, item: RateLimitItem, network: str) -> bool:
        """Count one; False if there are too many."""
        if self._counts.hit(item, network):
            return True
        if self._seconds_left(item, network) <= item.get_expiry():
            return False
        # slowapi has the clock of the wall, which was put back: the minute would last for long.
        self._counts.clear(item, network)
        return self._counts.hit(item, network)

    def _seconds_left(self, item: RateLimitItem, network: str) -> float:
        return float(self._counts.get_window_stats(item, network).reset_time - time.time())

    def _refusal(self, item: RateLimitItem, address: str, reason: str) -> RateLimited:
        seconds = max(1, ceil(self._seconds_left(item, network_of(address))))
        return RateLimited(f"{reason} from this address. Please try again in {seconds}s.", seconds)


def network_of(address: str) -> str:
    """The address, or of IPv6 its /64, which is the least that one customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a name, as in tests
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
