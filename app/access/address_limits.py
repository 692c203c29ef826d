"""Limits by network address for callers without a key: wrong keys, and pages that are open to all.

Counted by slowapi in this process's memory: nothing is given back and no audio is counted, which is
where slowapi fits. Callers with a key have limits of their own (limiter.py).
"""

import hashlib
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from math import ceil
from pathlib import Path
from time import time

import structlog
from limits import RateLimitItem, parse
from slowapi import Limiter

from app.errors import RateLimited

log = structlog.get_logger(__name__)

WRONG_KEYS = parse("30/minute")
"""A person mistypes a key a few times; a program that guesses sends hundreds."""

PAGES = parse("6000/minute")
"""Of the page and the documentation: a hundred a second, as an office behind one address may."""

MAX_KNOWN_TOKENS = 10_000
"""Whose digests are kept; of 32 bytes, a megabyte or two."""

_EMPTY_FILE = Path(__file__).with_name("__init__.py")
"""The configuration of slowapi, which would read `.env` of the working directory."""


class AddressLimits:
    """The counts of one process. Belongs to the event loop."""

    def __init__(self) -> None:
        limiter = Limiter(key_func=network_of, config_filename=str(_EMPTY_FILE))
        self._counts = limiter.limiter
        self._known_tokens: OrderedDict[bytes, None] = OrderedDict()

    def check_token(self, address: str, token: str) -> None:
        """Raises RateLimited after too many wrong keys from the address.

        A token that was right before is let through: another caller behind the same address, as in
        an office, does not lock it out.
        """
        is_blocked = not self._counts.test(WRONG_KEYS, network_of(address))
        if is_blocked and _digest(token) not in self._known_tokens:
            raise self._refusal(WRONG_KEYS, address, "Too many wrong API keys")

    def count_right(self, token: str) -> None:
        """The token is right, and known from now on."""
        digest = _digest(token)
        self._known_tokens[digest] = None
        self._known_tokens.move_to_end(digest)
        if len(self._known_tokens) > MAX_KNOWN_TOKENS:
            self._known_tokens.popitem(last=False)

    def count_wrong(self, address: str) -> None:
        """The address has sent a wrong key; the last one that is looked up is logged."""
        network = network_of(address)
        if self._counts.hit(WRONG_KEYS, network) and not self._counts.test(WRONG_KEYS, network):
            log.warning("too_many_wrong_keys", address=network)

    def count_page(self, address: str) -> None:
        """The address asks for a page that needs no key. Raises RateLimited."""
        if not self._counts.hit(PAGES, network_of(address)):
            raise self._refusal(PAGES, address, "Too many requests")

    def _refusal(self, item: RateLimitItem, address: str, reason: str) -> RateLimited:
        left = self._counts.get_window_stats(item, network_of(address)).reset_time - time()
        seconds = max(1, ceil(left))
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


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
