"""Groups of settings whose values must fit together: the port, and an identity provider."""

import ssl
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FilePath, IPvAnyNetwork, model_validator

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")]
"""As browsers send it: scheme, host and port, and nothing behind them; `*` is any."""

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"
]  # fmt: skip
"""Never symmetric ones: whoever knows the provider's public key could sign with it as a secret."""


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Group):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    drain_seconds: int = Field(300, ge=0, description="how long requests may finish after SIGTERM")
    keep_alive_seconds: float = Field(
        30.0, ge=0.0, description="a silent answer sends a comment or white space; 0: never"
    )
    idle_connection_seconds: int = Field(
        75, ge=1, description="a connection without a request is closed; longer than a proxy's own"
    )
    tls_certificate_file: FilePath | None = Field(None, description="PEM; HTTPS with the key file")
    tls_key_file: FilePath | None = Field(None, description="PEM, without a password")
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (), description="networks whose X-Forwarded-For and -Proto are believed"
    )
    cors_origins: tuple[Origin, ...] = Field((), description="pages of other hosts that may call")
    docs: bool = Field(True, description="serve /docs and /openapi.json")
    web_page: bool = Field(True, description="serve the page at /")

    @model_validator(mode="after")
    def _tls_files_are_a_pair(self) -> "ServerSettings":
        if self.tls_certificate_file is None and self.tls_key_file is None:
            return self
        if self.tls_certificate_file is None or self.tls_key_file is None:
            raise ValueError("tls_certificate_file and tls_key_file are of no use alone")
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                self.tls_certificate_file,
                self.tls_key_file,
                password="",  # or OpenSSL would ask for one at the terminal
            )
        except OSError as error:  # SSLError is one
            raise ValueError(f"the TLS files cannot be used: {error}") from None
        return self


class Rule(Group):
    """What tokens with a certain claim may do; a limit left out is the server's own."""

    claim: str = Field(description="name of the claim, `groups` or `realm_access.roles`")
    value: str = Field(description="what it is, or what its list holds")
    requests_per_minute: int | None = Field(None, ge=1)
    audio_seconds_per_minute: float | None = Field(None, gt=0)
    max_concurrent: int | None = Field(None, ge=1)
    max_upload_bytes: int | None = Field(None, ge=1)
    models: tuple[str, ...] | None = None
    admin: bool = False


class OidcSettings(Group):
    issuer: str | None = Field(None, description="the provider's URL; tokens are taken if set")
    audience: tuple[str, ...] = Field((), description="any of them must be in a token's `aud`")
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256"), min_length=1)
    leeway_seconds: int = Field(30, ge=0, description="how wrong clocks may be")
    keys_cache_seconds: float = Field(3600.0, gt=0, description="age of JWKS that are still used")
    name_claim: str = Field("sub", description="what a caller is called in logs and usage")
    rules: tuple[Rule, ...] = Field((), description="the first that fits a token holds")
    require_rule: bool = Field(False, description="refuse tokens that no rule fits")

    @model_validator(mode="after")
    def _an_issuer_has_an_audience(self) -> "OidcSettings":
        # Else a token that the provider made for any other program would open this one.
        if self.issuer is not None and not self.audience:
            raise ValueError("an issuer needs an audience: whom its tokens must be made for")
        if self.issuer is not None and not self.issuer.startswith(("https://", "http://")):
            raise ValueError("the issuer is a URL, as https://login.example.com/realms/staff")
        return self
