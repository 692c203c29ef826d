"""Which URLs may be requested, and which addresses their hosts may have."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

import httpx

from app.errors import UnfetchableUrl
from app.fetch.addresses import Address, address_of, is_private, is_public
from app.setting_groups import FetchSettings, HostOrNetwork

MAX_URL_CHARS = 8192
"""A presigned URL has about 2,000."""

NO_ADDRESS = "The host of the url has no public address."
"""For names without an address as well: callers must not learn which internal names there are."""


class Destinations:
    """The operator's rules on hosts, ports and schemes, over the rule that hosts are public."""

    def __init__(self, settings: FetchSettings) -> None:
        self._schemes = settings.schemes
        self._ports = settings.ports
        self._allowed = _Hosts(settings.allow)
        self._denied = _Hosts(settings.deny)

    def checked(self, text: str) -> httpx.URL:
        """The URL, without its fragment; its host's addresses are still to be checked.

        Raises UnfetchableUrl.
        """
        if len(text) > MAX_URL_CHARS:
            raise UnfetchableUrl(f"The url is longer than {MAX_URL_CHARS} characters.")
        try:
            url = httpx.URL(text).copy_with(fragment=None)
        except (httpx.InvalidURL, ValueError):
            raise UnfetchableUrl("The url is not valid.") from None
        if url.scheme not in self._schemes:
            beginnings = _or(f"{scheme}://" for scheme in self._schemes)
            raise UnfetchableUrl(f"The url must begin with {beginnings}.")
        host = url.raw_host.decode("ascii")
        if not host:
            raise UnfetchableUrl("The url names no host.")
        if url.userinfo:
            raise UnfetchableUrl("The url must not have a user name or password.")
        if port_of(url) not in self._ports:
            raise UnfetchableUrl(f"The url's port must be {_or(self._ports)}.")
        if self._denied.has_name(_name(host)):
            raise UnfetchableUrl(NO_ADDRESS)
        if _is_address(host):
            self.check_addresses(host, [host])
        return url

    def check_addresses(self, host: str, addresses: Sequence[str]) -> None:
        """Raises UnfetchableUrl unless each of the host's addresses may be connected to.

        One that may not among others is what an attacker's DNS server would answer.
        """
        name = _name(host)
        if not addresses or not all(self._may_have(name, address) for address in addresses):
            raise UnfetchableUrl(NO_ADDRESS)

    def _may_have(self, name: str, text: str) -> bool:
        try:
            address = address_of(text)
            seen = ip_address(text)
        except ValueError:
            return False
        if self._denied.has_address(address) or self._denied.has_address(seen):
            return False
        if self._allowed.has_address(address):
            return True
        if self._allowed.has_name(name) and is_private(address):
            return True
        return is_public(address)


def port_of(url: httpx.URL) -> int:
    """The port, that of the scheme if the URL names none."""
    return {"http": 80, "https": 443}[url.scheme] if url.port is None else url.port


class _Hosts:
    """Names, some with `*.` before them, and networks."""

    def __init__(self, listed: Sequence[HostOrNetwork]) -> None:
        self._networks = [each for each in listed if isinstance(each, IPv4Network | IPv6Network)]
        self._names = [each.lower() for each in listed if isinstance(each, str)]

    def has_name(self, name: str) -> bool:
        return any(
            name.endswith(each[1:]) if each.startswith("*.") else name == each
            for each in self._names
        )

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _name(host: str) -> str:
    return host.lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _or(words: Iterable[object]) -> str:
    return " or ".join(map(str, words))
