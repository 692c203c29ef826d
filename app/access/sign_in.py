"""Signing in on the page: OpenID Connect's authorization code flow with PKCE (RFC 7636)."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from pydantic import SecretStr
from starlette.requests import Request

from app.access.oidc import OidcVerifier
from app.access.oidc_provider_keys import FETCH_SECONDS, ProviderKeys
from app.access.sessions import CookieCipher, Session, SessionCookies
from app.errors import NotAllowed, ProviderUnavailable, SpeechError, WrongKey
from app.setting_groups import OidcSettings

log = structlog.get_logger(__name__)

_ERROR = re.compile(r"[a-z_]{1,40}")
"""Codes of RFC 6749 and OpenID Connect. Others are not logged: anybody can make them up."""


class SignIn:
    """Signs people in and out with the identity provider, and knows their sessions.

    Who they are is what the ID token says: providers need not issue access tokens that others than
    themselves can read.
    """

    def __init__(
        self, settings: OidcSettings, keys: ProviderKeys, signing_key: SecretStr | None
    ) -> None:
        """For settings with a client."""
        assert settings.issuer is not None
        assert settings.client_id is not None
        self.page_url = f"{str(settings.page_url).rstrip('/')}/"
        self.cookies = SessionCookies(signing_key)
        self._pending = CookieCipher(signing_key, "pending sign-ins")
        self._client_id = settings.client_id
        own = settings.model_copy(update={"audience": (settings.client_id,)})
        self._verifier = OidcVerifier(own, keys)
        secret = settings.client_secret
        self._secret = None if secret is None else secret.get_secret_value()
        # The authorities are read once: authlib has a client of httpx for each request.
        self._connection = {"timeout": FETCH_SECONDS, "verify": httpx2.create_ssl_context()}
        self._client: Any = OAuth().register(
            "provider",
            client_id=settings.client_id,
            client_secret=self._secret,
            server_metadata_url=settings.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(settings.scopes),
                "code_challenge_method": "S256",
                **self._connection,
            },
        )

    @property
    def start_url(self) -> str:
        """Where signing in begins."""
        return f"{self.page_url}auth/sign-in"

    async def begin(self, request: Request) -> tuple[str, str]:
        """The provider's URL to send the browser to, and what its cookie is to keep until then.

        Raises ProviderUnavailable.
        """
        pending: dict[str, Any] = {}
        request.scope["session"] = pending  # where authlib keeps state, nonce and verifier
        async with _provider():
            redirect = await self._client.authorize_redirect(
                request, f"{self.page_url}auth/callback"
            )
        return redirect.headers["location"], self._pending.encrypt(json.dumps(pending).encode())

    async def complete(self, request: Request, pending: str | None) -> Session:
        """The session of a browser that comes back from the provider with what it kept.

        Raises WrongKey if the provider or the check of its answer says no, NotAllowed if a rule is
        required and none fits, and ProviderUnavailable.
        """
        kept = self._pending.decrypt(pending or "")
        request.scope["session"] = {} if kept is None else json.loads(kept)
        async with _provider():
            # Checks the state, and the nonce of the ID token.
            token = await self._client.authorize_access_token(request)
            return await self._session(token)

    async def renewed(self, session: Session) -> Session | None:
        """The session for longer; None if it is over and the provider extends it no more.

        Raises ProviderUnavailable.
        """
        try:
            return await self._extended(session)
        except (WrongKey, NotAllowed):
            return None
        except ProviderUnavailable:
            if session.seconds_left > 0:
                return session
            raise

    async def _extended(self, session: Session) -> Session | None:
        if session.refresh_token is None:
            return session if session.seconds_left > 0 else None
        async with _provider():
            token = await self._client.fetch_access_token(
                grant_type="refresh_token", refresh_token=session.refresh_token
            )
            new = await self._session({"refresh_token": session.refresh_token, **token})
        # OpenID Connect Core 1.0, 12.2: the subject MUST be the same.
        return new if new.principal.id == session.principal.id else None

    async def end(self, session: Session | None) -> str:
        """Where to send the browser so that the provider, too, ends the session: the page itself
        if the provider has no such place or does not answer.
        """
        if session is not None and session.refresh_token is not None:
            with suppress(SpeechError):
                await self._revoke(session.refresh_token)
        hint = None if session is None else session.id_token
        try:
            async with _provider():
                metadata = await self._client.load_server_metadata()
                if "end_session_endpoint" not in metadata:
                    return self.page_url
                found = await self._client.create_logout_url(
                    self.page_url, hint, client_id=self._client_id
                )
                return str(found["url"])
        except SpeechError:  # here the session has ended all the same
            return self.page_url

    async def _revoke(self, refresh_token: str) -> None:
        """By RFC 7009, where the provider can. Raises WrongKey, ProviderUnavailable."""
        async with _provider():
            metadata = await self._client.load_server_metadata()
            if "revocation_endpoint" in metadata:
                async with AsyncOAuth2Client(
                    self._client_id, self._secret, **self._connection
                ) as client:
                    await client.revoke_token(
                        metadata["revocation_endpoint"], refresh_token, "refresh_token"
                    )

    async def _session(self, token: dict[str, Any]) -> Session:
        """Raises what `OidcVerifier.principal` does."""
        id_token = token.get("id_token")
        if id_token is None:
            raise WrongKey("The identity provider sends no ID token.")
        principal = await self._verifier.principal(id_token)
        # A browser needs no administration, so a page that takes a session over shall have none.
        principal = replace(principal, is_administrator=False)
        return Session(principal, token.get("refresh_token"), id_token)


@asynccontextmanager
async def _provider() -> AsyncIterator[None]:
    """Translate authlib's errors. Raises WrongKey and ProviderUnavailable."""
    try:
        yield
    except SpeechError:
        raise
    except (AuthlibBaseError, JoseError) as error:
        reason = str(error.error)
        log.info("sign_in_refused", reason=reason if _ERROR.fullmatch(reason) else "unknown")
        raise WrongKey("The identity provider, or the check of its answer, refuses.") from None
    # Any error of the network or of the provider's documents.
    except Exception as error:
        log.warning("identity_provider_failed", reason=type(error).__name__)
        raise ProviderUnavailable(
            "The identity provider cannot be reached to sign in. Please retry."
        ) from None
