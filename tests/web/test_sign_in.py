"""People who sign in on the page, in a real browser, at a real provider."""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect

from tests.access.sign_in_provider import SignInProvider
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, reference
from tests.support.words import word_errors
from tests.web.browser import chromium, opened

CLIP = FOLDER / "12_short_clip.wav"


def sign_in(page: Page) -> None:
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="Allow").click()


def with_days(route: Route) -> None:
    """The server's answer as it is with a store (tests/access/test_daily_usage.py)."""
    days = [
        {"date": "2026-01-01", "requests": 3, "audio_seconds": 65.5},
        {"date": str(datetime.now(UTC).date()), "requests": 2, "audio_seconds": 5.0},
    ]
    # Playwright's own requests do not say that the page sends them, so the session would not count.
    answer = route.fetch(headers={**route.request.headers, "sec-fetch-site": "same-origin"})
    route.fulfill(json={**answer.json(), "days": days})


def sign_out_while_the_session_is_extended(page: Page) -> None:
    """Its end waits for the answer, whose cookie would otherwise stay."""
    extending: list[Route] = []
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))

    def hold(route: Route) -> None:
        if route.request.method == "POST" and not extending:
            extending.append(route)
        else:
            route.continue_()

    page.route("**/auth/session", hold)
    while not extending:
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_timeout(300)
    assert "DELETE" not in sent
    extending[0].continue_()


def test_a_person_signs_in_transcribes_sees_their_usage_and_signs_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with SignInProvider() as provider:
        oidc = {
            f"VERBATIM_ACCESS__OIDC__{name.upper()}": value
            for name, value in provider.settings.items()
        }
        server = LiveServer(
            *("sh", "-c", f'exec "$@" 2> {log}', "sh"),
            VERBATIM_SERVER__PORT=str(provider.page_port),
            VERBATIM_TELEMETRY__LOG_LEVEL="debug",
            VERBATIM_ACCESS__OIDC__NAME_CLAIM="preferred_username",
            VERBATIM_LIMITS__REQUESTS_PER_MINUTE="100",
            **{
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in oidc.items()
            },
        )
        provider.claims = {"preferred_username": "Ada Lovelace"}
        others = {urlsplit(provider.url).netloc}
        with (
            server,
            chromium(microphone=CLIP) as browser,
            opened(browser, provider.page_url.rstrip("/"), others) as page,
        ):
            expect(page.locator("#key-reason")).to_have_text("Sign in to use this server.")
            page.get_by_role("link", name="Sign in").click()
            page.get_by_role("button", name="Deny").click()
            expect(page.locator("#key-reason")).to_contain_text("You were not signed in")
            provider.lifetime = 50
            sign_in(page)
            expect(page.locator("#account-name")).to_have_text("Ada Lovelace")
            expect(page.get_by_role("dialog")).to_be_hidden()
            # The session ends in 50 s, and the page has it extended 45 s before.
            before = provider.requests.count("/realms/staff/token")
            page.set_input_files("#file", CLIP)
            expect(page.locator("#status")).to_contain_text("Done")
            assert word_errors(reference(CLIP.name), page.inner_text("#transcript")) == 0
            page.get_by_role("button", name="Record", exact=True).click()
            expect(page.locator("#status")).to_contain_text("Speak now")
            page.get_by_role("button", name="Stop").click()
            expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
            page.get_by_role("button", name="Usage").click()
            expect(page.locator("#usage-whose")).to_have_text("Of Ada Lovelace.")
            expect(page.locator("#usage-limits")).to_contain_text("of 100")
            expect(page.locator("#usage-models")).to_contain_text("starter")
            expect(page.locator("#usage-sums")).to_be_hidden()
            page.get_by_role("button", name="Close").click()
            page.route("**/v1/usage", with_days)
            page.get_by_role("button", name="Usage").click()
            expect(page.locator("#usage-days :is(th, td)")).to_have_text(
                ["Today (UTC)", "2", "0:05", "The last 30 days", "5", "1:10"]
            )
            page.get_by_role("button", name="Close").click()
            page.wait_for_function("document.hasFocus()")
            while provider.requests.count("/realms/staff/token") == before:
                page.wait_for_timeout(100)
            page.reload()
            expect(page.locator("#account-name")).to_have_text("Ada Lovelace")
            sign_out_while_the_session_is_extended(page)
            expect(page.locator("#key-reason")).to_have_text("Sign in to use this server.")
            assert page.url == provider.page_url
            assert page.context.cookies() == []
    assert len(provider.logouts) == 1
    lines = log.read_text()
    assert "path=/auth/callback" in lines, "or it was not the log of this"
    assert [secret for secret in provider.secrets if secret in lines] == []
