"""The settings by group, and their rules within a group."""

import os
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    HttpUrl,
    IPvAnyNetwork,
    SecretStr,
    field_validator,
    model_validator,
)

PREFIX = "VERBATIM_"


Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")]
"""An origin as browsers send it: scheme, host and port, nothing more; `*` is any."""

HostName = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[^\s*:/]+)$")]
"""A name in a URL, without the port; `*.` before it is any name that ends so, `*` any at all."""

HostOrNetwork = Annotated[
    IPvAnyNetwork | Annotated[str, Field(pattern=r"^(\*\.)?[^\s*:/]+$")],
    Field(union_mode="left_to_right"),
]
"""A network, as `10.0.0.0/8`; or a name, `*.` before it for all names that end so."""

ObjectPrefix = Annotated[str, Field(pattern=r"^(s3|gs|az)://[^/\s]+(/\S*)?$")]
"""A bucket or container, and perhaps the beginning of the keys in it."""

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"
]  # fmt: skip
"""Asymmetric only: with a symmetric one the provider's public key would be the signing secret."""


def is_loopback(host: str) -> bool:
    """True for `localhost` and for loopback addresses, in brackets or without."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Group):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    cpus: int | None = Field(
        None, ge=1, description="CPUs to plan threads for, of those that the process may use"
    )
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
    trusted_hosts: tuple[HostName, ...] = Field(
        (), description="names by which a server without keys may be called, from pages too"
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
                password="",  # else OpenSSL prompts for one at the terminal
            )
        except OSError as error:  # SSLError is one
            raise ValueError(f"the TLS files cannot be used: {error}") from None
        return self


MAX_WEIGHT = 10
"""Of a caller among others. The turns of a weight come one after the other, so this bounds how many
windows of one caller another waits for."""


class Rule(Group):
    """Permissions of tokens with a certain claim; a limit left out is the server's default."""

    claim: str = Field(description="name of the claim, `groups` or `realm_access.roles`")
    value: str = Field(description="what it is, or what its list holds")
    requests_per_minute: int | None = Field(None, ge=1)
    audio_seconds_per_minute: float | None = Field(None, gt=0)
    max_concurrent: int | None = Field(None, ge=1)
    max_upload_bytes: int | None = Field(None, ge=1)
    max_queued_seconds: float | None = Field(None, gt=0)
    weight: int = Field(1, ge=1, le=MAX_WEIGHT)
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
    client_id: str | None = Field(None, description="people sign in on the page by this client")
    client_secret: SecretStr | None = Field(None, description="of a confidential client")
    page_url: HttpUrl | None = Field(
        None, description="of the page as people open it, as https://speech.example.com/"
    )
    scopes: tuple[str, ...] = Field(
        ("openid", "profile", "email"), description="asked for when somebody signs in"
    )

    @model_validator(mode="after")
    def _an_issuer_has_an_audience(self) -> "OidcSettings":
        # Else a token that the provider issued for any other program would be valid here.
        if self.issuer is not None and not self.audience:
            raise ValueError("an issuer needs an audience: whom its tokens must be made for")
        if self.issuer is not None and not self.issuer.startswith(("https://", "http://")):
            raise ValueError("the issuer is a URL, as https://login.example.com/realms/staff")
        return self

    @model_validator(mode="after")
    def _signing_in_is_complete_and_safe(self) -> "OidcSettings":
        if self.client_id is None:
            if self.client_secret is not None or self.page_url is not None:
                raise ValueError("client_secret and page_url are of no use without a client_id")
            return self
        if self.issuer is None or self.page_url is None:
            raise ValueError("a client_id needs an issuer and a page_url")
        if "openid" not in self.scopes:
            raise ValueError("the scopes need openid, for which a provider says who signed in")
        if self.page_url.scheme != "https" and not is_loopback(self.page_url.host or ""):
            # A session would be anybody's who reads along, and browsers would not say which page
            # sends it.
            raise ValueError("the page_url must be https, except on this machine")
        if self.page_url.query or self.page_url.fragment or self.page_url.username:
            raise ValueError("the page_url ends with its path")
        return self


class ModelsSettings(Group):
    directory: Path = Field(
        Path(os.path.expanduser("~/.cache/verbatim/models")),  # raises nothing
        description="where models lie and are pulled to",
    )
    built_in: Path | None = Field(
        None, description="more models, read only: those that an image brought along"
    )
    offline: bool = Field(False, description="never ask the network for a model")
    served: tuple[str, ...] = Field((), description="more models, loaded when first asked for")
    aliases: dict[str, str] = Field({}, description="name -> id of a served model")
    pinned: tuple[str, ...] = Field((), description="ids loaded at start and never unloaded")
    max_resident: int | None = Field(None, ge=1, description="models in memory at once")
    idle_seconds: float | None = Field(None, gt=0, description="unload after so long unused")

    @field_validator("directory", "built_in")
    @classmethod
    def _expand_home(cls, directory: Path | None) -> Path | None:
        # The ~ of an environment file was not expanded by a shell.
        return None if directory is None else Path(os.path.expanduser(directory))


class EngineSettings(Group):
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = Field("auto", description="auto: int8 on a CPU, float16 on a GPU")
    device_indexes: tuple[int, ...] = Field((0,), min_length=1, description="GPUs, as [0,1]")
    workers: int | None = Field(None, ge=1, description="models running at once per device")
    threads_per_worker: int | None = Field(None, ge=1, description="CPU threads of one worker")
    beam_size: int = Field(5, ge=1, le=20)
    stuck_seconds: float = Field(
        120.0, gt=0, description="a device call or event loop that takes longer hangs"
    )
    fallback: bool = Field(True, description="decode a doubtful window again, at temperatures > 0")
    full_context: bool = Field(False, description="encode short windows with 30 s of context, too")
    timestamps: Literal["auto", "decoder", "alignment"] = Field(
        "auto", description="times of segments; auto: decoder on a CPU, alignment on a GPU"
    )


class BatchingSettings(Group):
    max_batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        description="windows in one decoding call, on a CPU twice as many short ones; "
        "auto: 4 on a CPU, else 16",
    )


class AccessSettings(Group):
    open: bool = Field(False, description="serve anybody on the network without a key")
    keys_file: Path | None = Field(None, description="YAML of hashed keys, by `python -m app.keys`")
    keys: SecretStr | None = Field(None, description="the same document as a value")
    signing_key: SecretStr | None = Field(
        None, min_length=32, description="of client secrets, the same for all replicas"
    )
    oidc: OidcSettings = OidcSettings()

    @property
    def is_guarded(self) -> bool:
        """True if callers must authenticate."""
        sources = (self.keys_file, self.keys, self.oidc.issuer)
        return any(source is not None for source in sources)

    @model_validator(mode="after")
    def _sources_fit_together(self) -> "AccessSettings":
        if self.keys_file is not None and self.keys is not None:
            raise ValueError(
                f"{PREFIX}ACCESS__KEYS_FILE and {PREFIX}ACCESS__KEYS: keys can come from one only"
            )
        if self.open and self.is_guarded:
            raise ValueError(
                f"{PREFIX}ACCESS__OPEN=true serves everybody, while keys or a provider say who may "
                "call: leave out one of the two"
            )
        return self


class LimitsSettings(Group):
    requests_per_minute: int | None = Field(None, ge=1, description="of one key or address")
    audio_seconds_per_minute: float | None = Field(None, gt=0, description="of one key or address")
    max_concurrent: int | None = Field(None, ge=1, description="requests of one key or address")
    store: SecretStr | None = Field(None, description="redis:// URL that replicas share")
    store_down: Literal["allow", "refuse"] = Field(
        "allow", description="what happens to requests while the store does not answer"
    )
    max_wait_seconds: float = Field(
        60.0,
        gt=0,
        description="a request is refused with a 503 if its estimated wait exceeds half of this",
    )
    deadline_seconds: float | None = Field(
        None, gt=0, description="a request not answered in time gets a 504"
    )
    max_recording_seconds: float | None = Field(None, gt=0, description="longer ones get a 400")
    max_uploads: int = Field(128, ge=1, description="bodies received at once; more get a 503")

    @field_validator("store")
    @classmethod
    def _is_redis(cls, store: SecretStr | None) -> SecretStr | None:
        schemes = ("redis://", "rediss://", "unix://")
        if store is not None and not store.get_secret_value().startswith(schemes):
            raise ValueError(f"must begin with {' or '.join(schemes)}")
        return store


class AudioSettings(Group):
    max_upload_bytes: int = Field(25 * 1024**2, ge=1, description="OpenAI's limit")
    spool_dir: DirectoryPath | None = Field(None, description="where uploads lie")
    threads: int | None = Field(None, ge=1, description="for decoding, VAD and features; cores")


class FetchSettings(Group):
    enabled: bool = Field(False, description="fetch recordings whose url is sent instead of a file")
    schemes: tuple[Literal["https", "http"], ...] = Field(("https",), min_length=1)
    ports: tuple[int, ...] = Field((443, 80), min_length=1, description="that urls may name")
    allow: tuple[HostOrNetwork, ...] = Field(
        (), description="internal names and networks, beside public addresses"
    )
    deny: tuple[HostOrNetwork, ...] = Field((), description="names and networks, allowed or public")
    sources: tuple[ObjectPrefix, ...] = Field(
        (), description="prefixes of object stores whose recordings every caller may name"
    )
    max_seconds: float = Field(600.0, gt=0, description="a fetch that takes longer fails")


class DiarizationSettings(Group):
    model: FilePath | None = Field(
        None, description="ONNX encoder of voices with its description; the one built in"
    )


class LiveSettings(Group):
    max_sessions: int = Field(64, ge=1, description="sockets at once; more get a 503")
    idle_seconds: float = Field(300.0, gt=0, description="without audio a session is closed")
    max_session_seconds: float = Field(3600.0, gt=0, description="OpenAI's 60 minutes")
    max_backlog_seconds: float = Field(
        60.0, gt=0, description="audio that waits to be heard before the socket is closed"
    )


def _data_directory() -> Path:
    """PostgreSQL refuses to run as root, and no other user can look into root's home."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/verbatim")
    return Path(os.path.expanduser("~/.local/share/verbatim"))  # raises nothing


class JobsSettings(Group):
    enabled: bool = Field(False, description="jobs, files and batches: work whose caller leaves")
    role: Literal["all", "api", "worker"] = Field(
        "all", description="api takes jobs and runs none; worker runs them and takes none"
    )
    database: SecretStr | None = Field(
        None, description="postgresql:// URL; without it the server runs a PostgreSQL of its own"
    )
    objects: str | None = Field(
        None,
        pattern="^(s3|gs|az|file)://",
        description="prefix of an object store for recordings and results, as s3://bucket/jobs",
    )
    directory: Path = Field(
        _data_directory(), description="where an own PostgreSQL and objects without a store lie"
    )
    concurrency: int = Field(8, ge=1, le=256, description="recordings of jobs at once")
    max_file_bytes: int = Field(2 * 1024**3, ge=1, description="of one recording or batch file")
    max_queued_seconds: float | None = Field(
        None, gt=0, description="audio of one caller that may wait; more gets a 429"
    )
    max_stored_bytes: int | None = Field(
        None, ge=1, description="files of one caller; in a folder as much as is then free, too"
    )
    keep_days: int = Field(30, ge=1, description="results are deleted after so long")
    heartbeat_seconds: float = Field(5.0, gt=0, description="a worker renews its leases")
    stalled_seconds: float = Field(30.0, gt=0, description="a lease not renewed for so long ends")
    max_attempts: int = Field(3, ge=1, description="a job that ended its workers as often fails")

    @field_validator("directory")
    @classmethod
    def _expand_home(cls, directory: Path) -> Path:
        return Path(os.path.expanduser(directory))

    @field_validator("database")
    @classmethod
    def _is_postgresql(cls, database: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://")
        if database is not None and not database.get_secret_value().startswith(schemes):
            raise ValueError(f"must begin with {' or '.join(schemes)}")
        return database

    @model_validator(mode="after")
    def _a_lease_outlives_some_heartbeats(self) -> "JobsSettings":
        if self.stalled_seconds < 2 * self.heartbeat_seconds:
            raise ValueError("stalled_seconds must be at least twice heartbeat_seconds")
        return self


class TelemetrySettings(Group):
    metrics_port: int | None = Field(None, ge=0, le=65535, description="/metrics there, not here")
    metrics_token: SecretStr | None = Field(None, description="bearer token of /metrics")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    audit_batches: bool = Field(False, description="log who shares each device call with whom")
    otlp_endpoint: HttpUrl | None = Field(None, description="where traces go")
    trace_ratio: float = Field(1.0, ge=0, le=1, description="the share of requests traced")

    @model_validator(mode="after")
    def _one_guard(self) -> "TelemetrySettings":
        if self.metrics_port is not None and self.metrics_token is not None:
            raise ValueError("metrics_token guards /metrics on the server's own port only")
        return self
