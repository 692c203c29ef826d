"""Every setting, and the only reader of the environment.

Names are `VERBATIM_` plus the path with `__` between group and field: `VERBATIM_SERVER__PORT`.
"""

import os
from pathlib import Path

from pydantic import (
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.setting_errors import check_names, setting_complaints
from app.setting_groups import (
    PREFIX,
    AccessSettings,
    AudioSettings,
    BatchingSettings,
    DiarizationSettings,
    EngineSettings,
    FetchSettings,
    JobsSettings,
    LimitsSettings,
    LiveSettings,
    ModelsSettings,
    ServerSettings,
    TelemetrySettings,
    is_loopback,
)


class Settings(BaseSettings):
    """All settings of the process, read once at start. Components get their group or values."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    model: str = "base"
    """A name (`python -m app models list`), a hub id, a CTranslate2 directory, or a prefix of an
    object store."""
    models: ModelsSettings = ModelsSettings()
    server: ServerSettings = ServerSettings()
    engine: EngineSettings = EngineSettings()
    batching: BatchingSettings = BatchingSettings()
    access: AccessSettings = AccessSettings()
    limits: LimitsSettings = LimitsSettings()
    audio: AudioSettings = AudioSettings()
    fetch: FetchSettings = FetchSettings()
    diarization: DiarizationSettings = DiarizationSettings()
    live: LiveSettings = LiveSettings()
    jobs: JobsSettings = JobsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _models_fit_together(self) -> "Settings":
        ids = [model_id(source) for source in (self.model, *self.models.served)]
        _check_models(ids, self.models)
        return self

    @model_validator(mode="after")
    def _an_open_server_is_intended(self) -> "Settings":
        access, host = self.access, self.server.host
        if not (access.is_guarded or access.open or is_loopback(host)):
            raise ValueError(
                f"{PREFIX}SERVER__HOST: other machines reach {host}, and there are no API keys: "
                f"make some with `python -m app keys` and name their file in "
                f"{PREFIX}ACCESS__KEYS_FILE, or serve everybody with {PREFIX}ACCESS__OPEN=true"
            )
        return self


def model_id(source: str) -> str:
    """The id of a model in requests: the last part of a directory or prefix, else its name.

    A hub id loses its `@` and revision.
    """
    if "://" in source or os.path.isdir(source):  # Path.is_dir raises if a name is too long
        return Path(source).absolute().name
    return source.partition("@")[0]


def _check_models(ids: list[str], models: ModelsSettings) -> None:
    """Check aliases, pins and memory against `ids`, those of all served models, the default first.

    Raises ValueError.
    """
    serves = f"the models served are {', '.join(ids)}"
    if len(set(ids)) < len(ids):
        raise ValueError(f"{PREFIX}MODELS__SERVED: two models have one id; {serves}")
    for name, served in models.aliases.items():
        if served not in ids:
            raise ValueError(f"{PREFIX}MODELS__ALIASES: '{name}' stands for '{served}'; {serves}")
        if name in ids:
            raise ValueError(f"{PREFIX}MODELS__ALIASES: '{name}' is a model's own id")
    for pinned in models.pinned:
        if pinned not in ids:
            raise ValueError(f"{PREFIX}MODELS__PINNED: '{pinned}' is not served; {serves}")
    always = len({ids[0], *models.pinned})
    if models.max_resident is not None and always > models.max_resident:
        raise ValueError(
            f"{PREFIX}MODELS__MAX_RESIDENT: {always} models are pinned, the default among them"
        )


def read_settings(**chosen: object) -> Settings:
    """Settings from the environment; `chosen` ones, by group, take precedence.

    Raises ValueError, in one line, for a bad value and for an unknown `VERBATIM_` name.
    """
    check_names(os.environ, PREFIX, Settings)
    try:
        return Settings(**chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ValueError(setting_complaints(error, PREFIX)) from None


class _ModelsAlone(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    models: ModelsSettings = ModelsSettings()


def read_models_settings() -> ModelsSettings:
    """The models' settings alone: a pull needs no valid access settings. Raises ValueError."""
    check_names(os.environ, PREFIX, Settings)
    try:
        return _ModelsAlone().models
    except ValidationError as error:
        raise ValueError(setting_complaints(error, PREFIX)) from None


def variables_set() -> list[str]:
    """Names of the environment's variables that are settings."""
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX))


def prepare_libraries() -> None:
    """Set environment variables that libraries read on import.

    One thread per BLAS call: our own threads are as many as the cores already, and unpinned,
    OpenBLAS makes features slower and the event loop late (docs/notes/engine.md). No telemetry:
    onnxruntime reports to Microsoft by default since 1.29, huggingface_hub to its maker.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
