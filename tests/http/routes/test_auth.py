"""Signing in: the flow with a real provider, and in which requests the session counts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from limits import parse
from structlog.testing import capture_logs
from websockets import Origin
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.engine.fake_model import FakeModel
from tests.access.sign_in_provider import CLIENT_ID, SignInProvider
from tests.support.client import CLIP, post_recording
from tests.support.served import fake_app, served

RULES = [
    {"claim": "groups", "value": "sales", "requests_per_minute": 99, "admin": True},
    {"claim": "groups", "value": "staff"},
]
COOKIE = "verbatim-session"
OWN = {"sec-fetch-site": "same-origin"}


@contextmanager
def office() -> Iterator[SignInProvider]:
    """A server, at `page_url` of the provider at which people sign in."""
    with SignInProvider() as provider:
        provider.claims = {"groups": ["sales"]}
        settings = {**provider.settings, "rules": RULES, "require_rule": True}
        with served(fake_app(FakeModel(), access={"oidc": settings}), port=provider.page_port):
            yield provider


@pytest.fixture(scope="module")
def whole_office() -> Iterator[SignInProvider]:
    with office() as provider:
        yield provider


@pytest.fixture
def provider(whole_office: SignInProvider) -> Iterator[SignInProvider]:
    yield whole_office
    whole_office.claims, whole_office.lifetime = {"groups": ["sales"]}, 300


@pytest.fixture
def browser(provider: SignInProvider) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=provider.page_url, headers=OWN) as client:
        yield client


def consented(browser: httpx.Client, choice: str = "yes") -> str:
    """The address to which the provider sends a person back."""
    start = browser.get("auth/sign-in")
    assert start.status_code == 302
    consent = browser.get(start.headers["location"])
    fields = dict(re.findall(r'name="(\w+)" value="([^"]+)">', consent.text))
    action = httpx.URL(start.headers["location"]).join("consent")
    back = browser.post(action, data={**fields, "choice": choice})
    return back.headers["location"]


def signed_in(browser: httpx.Client) -> httpx.Response:
    return browser.get(consented(browser))


def usage(browser: httpx.Client, **headers: str) -> httpx.Response:
    return browser.get("v1/usage", headers=headers)


def test_who_signs_in_is_served_by_the_claims_in_a_cookie_that_scripts_cannot_read(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    assert usage(browser).status_code == 401
    back = signed_in(browser)
    assert (back.status_code, back.headers["location"]) == (303, provider.page_url)
    (cookie,) = [each for each in back.headers.get_list("set-cookie") if COOKIE in each]
    assert re.sub(r"=[\w.-]{100,}", "=", cookie) == (f"{COOKIE}=; HttpOnly; Path=/; SameSite=lax")
    found = usage(browser).json()
    assert (found["key"], found["limits"]["requests_per_minute"]["limit"]) == ("ada", 99)
    upload = browser.post(
        "v1/audio/transcriptions",
        data={"model": "whisper-1"},
        files={"file": (CLIP.name, CLIP.read_bytes())},
    )
    assert upload.status_code == 200
    assert browser.get("metrics").status_code == 401, "a page needs no administration"
    # The same caller as by a token of the same subject.
    token = provider.token(groups=["sales"])
    assert post_recording(provider.page_url.rstrip("/"), key=token).status_code == 200
    models = {each["model"]: each["requests"] for each in usage(browser).json()["models"]}
    assert models["starter"] == 2


def cookies(browser: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_a_socket_of_the_page_has_the_session(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    signed_in(browser)
    url, headers = provider.page_url.replace("http", "ws"), {"cookie": cookies(browser)}
    with connect(
        f"{url}stream", origin=Origin(provider.page_url.rstrip("/")), additional_headers=headers
    ):
        pass
    for origin in (None, Origin("http://localhost:1")):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{url}stream", origin=origin, additional_headers=headers)
        assert refused.value.response.status_code in (401, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "the page"},
    ],
    ids=str,
)
def test_the_cookie_alone_lets_nobody_in(
    provider: SignInProvider, browser: httpx.Client, headers: dict[str, str]
) -> None:
    """Another page can have the browser send the cookie, but not those headers."""
    signed_in(browser)
    sent = {
        name: value.replace("the page", provider.page_url.rstrip("/"))
        for name, value in headers.items()
    }
    with httpx.Client(base_url=provider.page_url, cookies=browser.cookies, headers=sent) as other:
        for method, path in (
            ("GET", "v1/usage"),
            ("POST", "v1/audio/transcriptions"),
            ("POST", "v1/realtime/client_secrets"),
        ):
            assert other.request(method, path).status_code == 401
        answers = [other.request(method, "auth/session") for method in ("POST", "DELETE")]
    assert answers[0].json()["name"] is None
    assert not any("set-cookie" in each.headers for each in answers), "nor does it sign out"
    assert usage(browser).status_code == 200


def reason(answer: httpx.Response) -> str:
    assert answer.status_code == 303
    return answer.headers["location"].partition("#not-signed-in=")[2]


def test_a_sign_in_that_fails_leads_back_to_the_page(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    assert reason(browser.get(consented(browser, "no"))) == "refused"
    back = consented(browser)
    # Of another browser, into whose page somebody would put their own account.
    assert reason(httpx.get(back)) == "refused"
    assert reason(browser.get(re.sub("state=[^&]+", "state=guessed", back))) == "refused"
    provider.claims = {"groups": ["visitors"]}
    assert reason(signed_in(browser)) == "not-allowed"
    for claims in ({"aud": "another"}, {"nonce": "another"}, {"iss": "https://evil.example"}):
        provider.claims = {"groups": ["sales"], **claims}
        assert reason(signed_in(browser)) == "refused", claims
    assert COOKIE not in browser.cookies


def test_a_code_of_another_sign_in_is_of_no_use(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    """PKCE: a code that was stolen on its way belongs to a verifier that was not."""
    with httpx.Client(base_url=provider.page_url) as victim:
        stolen = httpx.URL(consented(victim)).params["code"]
    own = httpx.URL(consented(browser))
    assert reason(browser.get(own.copy_set_param("code", stolen))) == "refused"


def session(browser: httpx.Client, method: str = "POST") -> Any:
    answer = browser.request(method, "auth/session")
    assert answer.status_code == 200
    return answer.json()


def test_a_session_ends_with_its_token_unless_the_provider_extends_it(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    assert session(browser)["name"] is None
    signed_in(browser)
    before = provider.requests.count("/realms/staff/token")
    assert 290 < session(browser)["seconds_left"] <= 300
    assert provider.requests.count("/realms/staff/token") == before, "it lasts long enough"

    provider.lifetime = -5  # within the leeway of clocks, but over
    signed_in(browser)
    over = usage(browser)
    assert (over.status_code, over.json()["error"]["message"]) == (
        401,
        "Your session has ended. Please sign in again.",
    )
    provider.lifetime = 30
    assert session(browser)["name"] == "ada"
    assert usage(browser).status_code == 200
    provider.claims = {"groups": ["staff"]}
    assert session(browser)["name"] == "ada", "by a token that is good once, and again by the next"
    assert usage(browser).json()["limits"]["requests_per_minute"] is None, "by the new claims"

    for claims in ({"sub": "somebody else", "groups": ["staff"]}, {"groups": ["visitors"]}):
        provider.claims = claims
        assert session(browser)["name"] is None
        provider.claims = {"groups": ["staff"]}
        signed_in(browser)
    signed_in(browser)
    provider.end_sessions()
    assert session(browser)["name"] is None
    assert COOKIE not in browser.cookies
    assert usage(browser).status_code == 401


def test_signing_out_ends_the_session_here_and_at_the_provider(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    provider.end_sessions()
    signed_in(browser)
    assert provider.refresh_tokens == 1
    url = session(browser, "DELETE")["url"]
    assert COOKIE not in browser.cookies
    assert usage(browser).status_code == 401
    assert provider.refresh_tokens == 0
    back = httpx.get(url)
    assert back.headers["location"].partition("?")[0] == provider.page_url
    (logout,) = provider.logouts
    assert logout["client_id"] == CLIENT_ID
    assert logout["id_token_hint"] in provider.secrets


def test_nobody_makes_the_server_flood_the_provider(
    provider: SignInProvider, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(browser)
    cookie = browser.cookies[COOKIE]
    monkeypatch.setattr("app.access.address_limits.SIGN_INS", parse("1/hour"))
    start = browser.get("auth/sign-in")
    state = httpx.URL(start.headers["location"]).params["state"]
    before = provider.requests.count("/realms/staff/token")
    guessed = f"auth/callback?code=guessed&state={state}"
    assert reason(browser.get(guessed)) == "refused"
    assert provider.requests.count("/realms/staff/token") == before + 1
    with httpx.Client(base_url=provider.page_url, cookies=start.cookies) as other:
        assert reason(other.get(guessed)) == "unavailable"
    assert provider.requests.count("/realms/staff/token") == before + 1
    asked = provider.requests.count("/realms/staff/revoke")
    for _ in range(3):
        out = browser.delete("auth/session", headers={"cookie": f"{COOKIE}={cookie}"})
        assert out.json()["url"]
        assert "Max-Age=0" in out.headers["set-cookie"]
    assert provider.requests.count("/realms/staff/revoke") == asked


def test_an_error_that_somebody_made_up_is_not_logged(
    provider: SignInProvider, browser: httpx.Client
) -> None:
    with capture_logs() as logs:
        for error in ("access_denied", "a line\nof a log"):
            assert reason(browser.get("auth/callback", params={"error": error})) == "refused"
    refused = [each["reason"] for each in logs if each["event"] == "sign_in_refused"]
    assert refused == ["access_denied", "unknown"]


def test_while_the_provider_is_down_sessions_last_and_nobody_new_signs_in() -> None:
    with office() as provider:
        provider.lifetime = 30
        with httpx.Client(base_url=provider.page_url, headers=OWN) as browser:
            signed_in(browser)
            back = consented(browser)
            provider.stop()
            try:
                assert session(browser)["name"] == "ada"
                assert reason(browser.get(back)) == "unavailable"
                assert session(browser, "DELETE")["url"].startswith(provider.url)
                assert usage(browser).status_code == 401
            finally:
                provider.restart()


def test_without_a_client_nobody_signs_in() -> None:
    with served(fake_app(FakeModel())) as url:
        assert httpx.post(f"{url}/auth/session").json() == {
            "sign_in": None,
            "name": None,
            "seconds_left": None,
        }
        assert httpx.get(f"{url}/auth/sign-in").status_code == 404
        assert httpx.get(f"{url}/auth/callback").status_code == 404
