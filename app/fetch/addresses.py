"""Which addresses belong to the public Internet."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has handed out of IPv6; anything else is special (RFC 4291 §2.4)."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as hosts that have only IPv6 see them (RFC 6052 §2.1)."""

_SPECIAL = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; Oracle's cloud has its metadata there
            "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
            "168.63.129.16/32",  # Azure's platform, in every virtual machine
            "2001::/23",  # protocol assignments; Teredo, which has an IPv4 address inside
            "2002::/16",  # 6to4, which has an IPv4 address inside
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
"""What `is_global` of Python 3.11 takes for public, and is not."""

_PRIVATE = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",  # shared address space (RFC 6598), which clusters use for pods
            "127.0.0.0/8",
            "::1/128",
            "fc00::/7",
        ),
    )
)

_METADATA = tuple(map(ip_network, ("100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::/32")))
"""Where Alibaba's, Amazon's and Google's clouds give credentials to their machines. The others do
at link-local addresses, and in `_SPECIAL`."""


def address_of(text: str) -> Address:
    """The address that packets to `text` reach: an IPv4 address inside an IPv6 one counts.

    Raises ValueError.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """True for an address of one machine that everybody on the Internet reaches."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not _is_in(address, _SPECIAL)


def is_private(address: Address) -> bool:
    """True for an address of one machine in a private network, or of this one, which an allowed
    name may have. Link-local addresses and services of metadata are none."""
    return _is_in(address, _PRIVATE) and not _is_in(address, _METADATA)


def _is_in(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)
