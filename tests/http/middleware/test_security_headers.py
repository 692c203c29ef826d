"""What browsers are told on every answer, whatever made it."""

from collections.abc import Iterator

import httpx
import pytest

from app.engine.fake_model import FakeModel
from app.http.middleware.security_headers import HEADERS
from tests.support.served import fake_app, served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    settings = {"cors_origins": ["https://app.example"]}
    app = fake_app(FakeModel(), server=settings)
    with served(app) as address:
        yield address


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("POST", "/v1/audio/transcriptions", 400),
        ("DELETE", "/v1/models/fake", 403),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/models", 405),
    ],
)
def test_api_answers_are_not_kept_not_guessed_and_not_framed(
    url: str, method: str, path: str, status: int
) -> None:
    answer = httpx.request(method, url + path)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_keep_their_own_policy_and_files_that_never_change_may_be_kept(url: str) -> None:
    page = httpx.get(f"{url}/docs")
    assert page.headers.get_list("content-security-policy")[0].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    script = httpx.get(f"{url}/docs/assets/swagger-ui-bundle.js")
    assert script.headers["etag"]
    assert "cache-control" not in script.headers
    assert script.headers["x-content-type-options"] == "nosniff"


def test_an_answer_to_a_preflight_has_them_too(url: str) -> None:
    answer = httpx.options(
        f"{url}/v1/models",
        headers={"origin": "https://app.example", "access-control-request-method": "GET"},
    )
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
