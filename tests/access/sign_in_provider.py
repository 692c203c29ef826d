"""An identity provider at which people sign in: authorization code flow with PKCE, a page of
consent, refresh tokens that are good once, revocation, and logout."""

import base64
import hashlib
import secrets
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.access.provider import AUDIENCE, Answer, Provider
from tests.support.waiting import free_port

CLIENT_ID = "verbatim-page"
CLIENT_SECRET = "client-secret-of-the-page"


class SignInProvider(Provider):
    """It checks what a provider must (RFC 6749, RFC 7636), and answers errors as one does."""

    def __init__(self) -> None:
        super().__init__()
        # A setting, so it must be known before the server starts.
        self.page_port = free_port()
        # Another site than the provider's, which is 127.0.0.1.
        self.page_url = f"http://localhost:{self.page_port}/"
        self.redirect_uri = f"{self.page_url}auth/callback"
        self.settings = {
            "issuer": self.url,
            "audience": [AUDIENCE],
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "page_url": self.page_url,
        }
        """Of the server whose page it is."""
        self.claims: dict[str, Any] = {}
        """More claims of its ID tokens."""
        self.lifetime: float = 300
        """Of ID tokens, in seconds."""
        self.grants_refresh = True
        self.secrets: set[str] = {CLIENT_SECRET}
        """Whatever nobody else may read: codes, verifiers, tokens."""
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh_tokens: set[str] = set()
        self.logouts: list[dict[str, str]] = []

    def documents(self) -> dict[str, Any]:
        paths = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "revocation_endpoint": "revoke",
            "end_session_endpoint": "logout",
        }
        found = super().documents()
        found["/realms/staff/.well-known/openid-configuration"] |= {
            name: f"{self.url}/{path}" for name, path in paths.items()
        }
        return found

    @property
    def refresh_tokens(self) -> int:
        """How many are good."""
        return len(self._refresh_tokens)

    def end_sessions(self) -> None:
        """As an administrator does."""
        self._refresh_tokens.clear()

    def answer(self, method: str, target: str, headers: dict[str, str], body: str) -> Answer:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        match method, parts.path.removeprefix("/realms/staff/"):
            case "GET", "authorize":
                return self._asks(query)
            case "POST", "consent":
                return self._consented(form)
            case "POST", "token":
                return self._tokens(headers, form)
            case "POST", "revoke":
                assert self._is_client(headers)
                self._refresh_tokens.discard(form["token"])
                return Answer(HTTPStatus.OK, "")
            case "GET", "logout":
                self.logouts.append(query)
                assert query["post_logout_redirect_uri"] == self.page_url
                return redirect(self.page_url, state=query["state"])
        return super().answer(method, target, headers, body)

    def _asks(self, query: dict[str, str]) -> Answer:
        assert query["client_id"] == CLIENT_ID
        assert query["redirect_uri"] == self.redirect_uri
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        assert "openid" in query["scope"].split()
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{query[name]}">'
            for name in ("state", "nonce", "code_challenge")
        )
        return Answer(
            HTTPStatus.OK,
            f'<!doctype html><title>Staff</title><link rel="icon" href="data:,">'
            f'<form method="post" action="consent">{fields}'
            '<button name="choice" value="yes">Allow</button>'
            '<button name="choice" value="no">Deny</button></form>',
            {"content-type": "text/html"},
        )

    def _consented(self, form: dict[str, str]) -> Answer:
        if form["choice"] != "yes":
            return redirect(self.redirect_uri, state=form["state"], error="access_denied")
        code = self._secret()
        self._codes[code] = form
        return redirect(self.redirect_uri, state=form["state"], code=code)

    def _tokens(self, headers: dict[str, str], form: dict[str, str]) -> Answer:
        if not self._is_client(headers):
            return refused("invalid_client", HTTPStatus.UNAUTHORIZED)
        nonce = None
        if form["grant_type"] == "authorization_code":
            asked = self._codes.pop(form["code"], None)
            self.secrets.add(form["code_verifier"])
            if asked is None or asked["code_challenge"] != challenge(form["code_verifier"]):
                return refused("invalid_grant")
            assert form["redirect_uri"] == self.redirect_uri
            nonce = asked["nonce"]
        else:
            if form["refresh_token"] not in self._refresh_tokens:
                return refused("invalid_grant")
            self._refresh_tokens.remove(form["refresh_token"])  # good once
        claims = {"aud": CLIENT_ID, "nonce": nonce, "exp": self.now() + self.lifetime}
        id_token = self.token(**{**claims, **self.claims})
        tokens = {"access_token": self._secret(), "token_type": "Bearer", "id_token": id_token}
        self.secrets.add(id_token)
        if self.grants_refresh:
            tokens["refresh_token"] = self._secret()
            self._refresh_tokens.add(tokens["refresh_token"])
        return Answer.of(tokens)

    def _secret(self) -> str:
        secret = secrets.token_urlsafe(40)
        self.secrets.add(secret)
        return secret

    def _is_client(self, headers: dict[str, str]) -> bool:
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        return headers.get("authorization") == f"Basic {expected}"


def challenge(verifier: str) -> str:
    """RFC 7636 §4.2."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def redirect(url: str, **query: str) -> Answer:
    return Answer(HTTPStatus.FOUND, "", {"location": f"{url}?{urlencode(query)}"})


def refused(error: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Answer:
    return Answer.of({"error": error}, status)
