"""Whose word on a caller's address is believed: limits count by it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from app.engine.fake_model import FakeModel
from app.setting_groups import ServerSettings
from tests.support.served import fake_app, served

HERE = "127.0.0.0/8"
"""The tests call from here: so they stand for a proxy that is trusted, or for anybody."""


@contextmanager
def one_request_a_minute(*trusted: str) -> Iterator[str]:
    app = fake_app(FakeModel(), limits={"requests_per_minute": 1})
    with served(app, trusted_proxies=trusted) as url:
        yield url


def status(url: str, *forwarded: str) -> int:
    headers = [("x-forwarded-for", each) for each in forwarded]
    return httpx.get(f"{url}/v1/models", headers=headers).status_code


def test_no_proxy_is_trusted_by_default() -> None:
    with one_request_a_minute() as url:
        assert status(url, "192.0.2.1") == 200
        assert status(url, "192.0.2.2") == 429
        assert status(url) == 429


def test_a_proxy_that_is_not_trusted_is_one_caller() -> None:
    with one_request_a_minute("10.0.0.0/8") as url:
        assert status(url, "192.0.2.1") == 200
        assert status(url, "192.0.2.2") == 429


def test_callers_behind_a_trusted_proxy_are_distinguished() -> None:
    with one_request_a_minute(HERE) as url:
        assert [status(url, "192.0.2.1"), status(url, "192.0.2.2")] == [200, 200]
        assert [status(url, "192.0.2.1"), status(url, "192.0.2.2")] == [429, 429]
        assert [status(url, "2001:db8::1"), status(url, "[2001:db8::1]:99")] == [200, 429]


def test_what_a_caller_made_up_does_not_make_it_another() -> None:
    """A proxy appends the address that it saw: what stands before it is the caller's own word."""
    with one_request_a_minute(HERE, "10.0.0.0/8") as url:
        assert status(url, "192.0.2.1") == 200
        assert status(url, "198.51.100.1, 192.0.2.1") == 429
        assert status(url, "198.51.100.2", "192.0.2.1") == 429, "in two headers"
        assert status(url, "10.1.1.1, 192.0.2.1, 10.0.0.5") == 429, "a second trusted proxy"
        assert status(url, "127.0.0.1, 192.0.2.1") == 429


@pytest.mark.parametrize("trusted", [(), (HERE,)])
@pytest.mark.parametrize("forwarded", ["127.0.0.1", "::1", "192.0.2.1"])
def test_no_caller_becomes_a_program_of_this_machine_by_a_header(
    trusted: tuple[str, ...], forwarded: str
) -> None:
    with served(fake_app(FakeModel()), trusted_proxies=trusted) as url:
        headers = {"x-forwarded-for": forwarded}
        assert httpx.post(f"{url}/internal/drain?wait=0", headers=headers).status_code == 403
        assert httpx.get(f"{url}/health/ready").status_code == 200


@pytest.mark.parametrize(("trusted", "told"), [((), False), ((HERE,), True)])
def test_only_a_trusted_proxy_is_believed_that_the_caller_came_by_tls(
    trusted: tuple[str, ...], told: bool
) -> None:
    with served(fake_app(FakeModel()), trusted_proxies=trusted) as url:
        answer = httpx.get(f"{url}/v1/models", headers={"x-forwarded-proto": "https"})
    assert ("strict-transport-security" in answer.headers) is told


@pytest.mark.parametrize("network", ["*", "proxy.example", "10.0.0.0/33", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"trusted_proxies\.0"):
        ServerSettings.model_validate({"trusted_proxies": [network]})
