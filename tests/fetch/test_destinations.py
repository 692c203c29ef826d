"""Hosts, addresses, schemes and ports that may be requested, without a network."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from app.errors import UnfetchableUrl
from app.fetch.addresses import Address, address_of
from app.fetch.destinations import MAX_URL_CHARS, NO_ADDRESS, Destinations
from app.setting_groups import FetchSettings


def destinations(**settings: Any) -> Destinations:
    return Destinations(FetchSettings.model_validate(settings))


def may_have(host: str, *addresses: str, **settings: Any) -> bool:
    try:
        destinations(**settings).check_addresses(host, addresses)
    except UnfetchableUrl as error:
        # Its words are the same, so that nobody learns which internal names there are.
        return str(error) != NO_ADDRESS
    return True


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:2800:21f::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822", "1.1.1.1"],
)
def test_public_addresses_may_be_requested(address: str) -> None:
    assert may_have("example.com", address)


NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1"),
    *("192.168.1.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "169.254.170.2"),
    *("168.63.129.16", "192.0.0.192", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:db8::1", "2001:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "ff0e::1", "0:0:0:0:0:ffff:7f00:1", "no address"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_may_be_requested(address: str) -> None:
    assert not may_have("example.com", address)
    # One among public ones is what an attacker's name server answers.
    assert not may_have("example.com", "93.184.216.34", address)


def test_a_host_without_an_address_is_refused_with_the_words_for_a_private_one() -> None:
    assert not may_have("no-such-name.corp.example")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("files.corp.example", "10.1.2.3"),
        ("FILES.Corp.Example.", "192.168.7.7"),
        ("files.corp.example", "fd12::1"),
        ("files.corp.example", "100.64.3.4"),
        ("any.name", "172.20.1.1"),
        ("any.name", "::ffff:172.20.1.1"),
        ("localhost", "127.0.0.1"),
    ],
)
def test_internal_names_and_networks_may_be_allowed(host: str, address: str) -> None:
    assert not may_have(host, address)
    assert may_have(host, address, allow=["*.corp.example", "172.20.0.0/16", "localhost"])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("corp.example", "10.1.2.3"),
        ("evilcorp.example", "10.1.2.3"),
        ("files.corp.example.evil.com", "10.1.2.3"),
        ("files.corp.example", "169.254.169.254"),
        ("files.corp.example", "fd00:ec2::254"),
        ("files.corp.example", "100.100.100.200"),
        ("files.corp.example", "168.63.129.16"),
        ("files.corp.example", "0.0.0.0"),
        ("files.corp.example", "224.0.0.1"),
        ("any.name", "172.21.0.1"),
    ],
)
def test_an_allowed_name_opens_neither_others_nor_services_of_metadata(
    host: str, address: str
) -> None:
    assert not may_have(host, address, allow=["*.corp.example", "172.20.0.0/16"])


def test_what_is_denied_is_refused_even_where_it_is_allowed_or_public() -> None:
    rules: dict[str, Any] = {
        "allow": ["*.corp.example", "10.0.0.0/8"],
        "deny": ["secrets.corp.example", "10.9.0.0/16", "93.184.216.34", "64:ff9b::/96"],
    }
    assert may_have("files.corp.example", "10.1.2.3", **rules)
    assert not may_have("files.corp.example", "10.9.2.3", **rules)
    assert not may_have("example.com", "93.184.216.34", **rules)
    assert not may_have("example.com", "::ffff:93.184.216.34", **rules)
    assert not may_have("example.com", "64:ff9b::101:101", **rules)
    with pytest.raises(UnfetchableUrl, match="no public address"):
        destinations(**rules).checked("https://Secrets.corp.example./a.wav")


def test_the_operator_names_networks_and_names_alike() -> None:
    rules = FetchSettings.model_validate({"allow": ["10.0.0.0/8", "10.1.1.1", "*.corp.example"]})
    assert [str(each) for each in rules.allow] == ["10.0.0.0/8", "10.1.1.1/32", "*.corp.example"]
    for wrong in ("*", "https://host", "10.0.0.1/8", "host:80", "a b"):
        with pytest.raises(ValueError, match="allow"):
            FetchSettings.model_validate({"allow": [wrong]})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/a.wav", "begin with https://"),
        ("file:///etc/passwd", "begin with https://"),
        ("gopher://example.com/", "begin with https://"),
        ("data:audio/wav;base64,AAAA", "begin with https://"),
        ("example.com/a.wav", "begin with https://"),
        ("//example.com/a.wav", "begin with https://"),
        ("https://", "names no host"),
        ("https:///a.wav", "names no host"),
        ("https://user:password@example.com/", "user name or password"),
        ("https://user@example.com/", "user name or password"),
        ("https://example.com:22/", "port must be 443 or 80"),
        ("https://example.com:0/", "port must be 443 or 80"),
        ("https://example.com:99999/", "port|not valid"),
        ("https://127.0.0.1/", "no public address"),
        ("https://[::1]/", "no public address"),
        ("https://[::ffff:169.254.169.254]/", "no public address"),
        ("https://169.254.169.254/latest/meta-data/", "no public address"),
        ("https://exa mple.com/\r\nhost: evil", "not valid"),
        ("https://example.com/\x00", "not valid"),
        ("https://[::1/", "not valid"),
        ("https://example.com/" + "a" * MAX_URL_CHARS, "longer than"),
    ],
)
def test_a_url_of_another_form_is_refused_before_anything_is_looked_up(
    url: str, reason: str
) -> None:
    with pytest.raises(UnfetchableUrl, match=reason) as caught:
        destinations().checked(url)
    assert caught.value.param == "url"


@given(ip_addresses(v=4, network="10.0.0.0/8") | ip_addresses(v=4, network="169.254.0.0/16"))
def test_a_private_address_is_refused_inside_any_other(inner: IPv4Address) -> None:
    number = int(inner)
    embedded = (
        number,  # IPv4-compatible
        0xFFFF << 32 | number,  # IPv4-mapped
        0x64FF9B << 96 | number,  # NAT64
        0x2002 << 112 | number << 80 | 1,  # 6to4
        0x20010000 << 96 | (number ^ 0xFFFFFFFF),  # Teredo
    )
    assert not may_have("example.com", str(inner))
    for each in embedded:
        assert not may_have("example.com", str(IPv6Address(each)))


@given(ip_addresses(v=4) | ip_addresses(v=6))
def test_what_python_knows_to_be_private_is_never_public(address: Address) -> None:
    if may_have("example.com", str(address)):
        reached = address_of(str(address))
        assert reached.is_global
        for kind in ("private", "multicast", "link_local", "loopback", "unspecified", "reserved"):
            assert not getattr(reached, f"is_{kind}")
