"""Who may read /metrics, and where."""

import httpx
import pytest
from structlog.testing import capture_logs

from app.engine.fake_model import FakeModel
from app.setting_groups import TelemetrySettings
from tests.access.provider import AUDIENCE, Provider
from tests.support.served import fake_app, served


def read(url: str, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.get(f"{url}/metrics", headers=headers)


def test_any_caller_of_an_open_server_may_read_them() -> None:
    with served(fake_app(FakeModel())) as url:
        for answer in (read(url), read(url, "any key")):
            assert answer.status_code == 200
            assert "stt_windows_total" in answer.text


def test_where_callers_are_known_they_are_for_administrators() -> None:
    with Provider() as provider:
        oidc = {
            "issuer": provider.url,
            "audience": [AUDIENCE],
            "rules": [{"claim": "groups", "value": "operators", "admin": True}],
        }
        with served(fake_app(FakeModel(), access={"oidc": oidc})) as url:
            assert read(url).status_code == 401
            assert read(url, "guessed").status_code == 401
            assert read(url, provider.token(groups=["sales"])).status_code == 403
            operator = read(url, provider.token(groups=["operators"]))
            assert operator.status_code == 200
            assert "stt_windows_total" in operator.text


def test_a_token_of_their_own_opens_them_and_nothing_else() -> None:
    telemetry = {"metrics_token": "täglich neu"}
    with Provider() as provider:
        access = {"oidc": {"issuer": provider.url, "audience": [AUDIENCE]}}
        with served(fake_app(FakeModel(), telemetry=telemetry, access=access)) as url:
            refused = [read(url), read(url, "t"), read(url, provider.token())]
            assert [each.status_code for each in refused] == [401, 401, 401]
            headers = {b"authorization": "Bearer täglich neu".encode()}
            assert httpx.get(f"{url}/metrics", headers=headers).status_code == 200
            assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 401


def test_on_a_port_of_their_own_they_need_no_key_and_end_with_the_server() -> None:
    app = fake_app(FakeModel(), telemetry={"metrics_port": 0})
    with capture_logs() as lines, served(app) as url:
        (port,) = [line["port"] for line in lines if line["event"] == "metrics_port"]
        assert read(url).status_code == 404
        answer = read(f"http://127.0.0.1:{port}")
        assert answer.status_code == 200
        assert "stt_windows_total" in answer.text
        assert "http_requests_total" in answer.text, "those of the web server too"
    with pytest.raises(httpx.ConnectError):
        read(f"http://127.0.0.1:{port}")


def test_a_token_does_not_guard_another_port() -> None:
    with pytest.raises(ValueError, match="metrics_token"):
        TelemetrySettings.model_validate({"metrics_port": 9000, "metrics_token": "x"})
