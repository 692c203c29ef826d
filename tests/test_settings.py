import re
from pathlib import Path

import pytest

from app.setting_groups import Group, LimitsSettings
from app.settings import Settings, model_id, read_settings
from tests.support.live_server import ROOT


def test_defaults_serve_whisper_base_on_loopback() -> None:
    settings = read_settings()
    assert (settings.model, settings.server.host, settings.server.port) == (
        "base",
        "127.0.0.1",
        8000,
    )
    assert settings.models.directory == Path.home() / ".cache/verbatim/models"


def test_the_command_line_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERBATIM_SERVER__PORT", "9000")
    monkeypatch.setenv("VERBATIM_SERVER__HOST", "127.0.0.2")
    settings = read_settings(model="small", server={"port": 9001})
    assert (settings.model, settings.server.port, settings.server.host) == (
        "small",
        9001,
        "127.0.0.2",
    )


def test_groups_and_lists_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERBATIM_MODEL", "large-v3-turbo")
    monkeypatch.setenv("VERBATIM_ENGINE__DEVICE_INDEXES", "[0,1]")
    monkeypatch.setenv("VERBATIM_BATCHING__MAX_BATCH_SIZE", "32")
    settings = read_settings()
    assert settings.model == "large-v3-turbo"
    assert settings.engine.device_indexes == (0, 1)
    assert settings.batching.max_batch_size == 32


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERBATIM_MODLE", "tiny"),
        ("VERBATIM_SERVR__PORT", "80"),
        ("VERBATIM_SERVER__PROT", "80"),
        ("VERBATIM_SERVER__PORT", "eighty"),
        ("VERBATIM_ENGINE__DEVICE", "tpu"),
        ("VERBATIM_ENGINE__BEAM_SIZE", "0"),
    ],
)
def test_a_misspelt_name_and_a_bad_value_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name.split("_")[-1].lower() + "|" + name):
        read_settings()


def test_a_bad_value_is_refused_in_one_line_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERBATIM_ACCESS__KEYS_FIEL", "very secret")
    monkeypatch.setenv("VERBATIM_SERVER__PORT", "eighty")
    with pytest.raises(ValueError, match="VERBATIM_ACCESS__KEYS_FIEL is not a sett") as refused:
        read_settings()
    assert "did you mean VERBATIM_ACCESS__KEYS_FILE?" in str(refused.value)
    assert "secret" not in str(refused.value)
    monkeypatch.delenv("VERBATIM_ACCESS__KEYS_FIEL")
    with pytest.raises(ValueError, match=r"^VERBATIM_SERVER__PORT: .*valid integer") as refused:
        read_settings()
    assert "eighty" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ENGINE__BEAM", "5", "is not a setting of Verbatim; did you mean .*ENGINE__BEAM_SIZE"),
        ("MODLE", "small", "is not a setting of Verbatim; did you mean VERBATIM_MODEL"),
        ("MODELS__SERVED", "large-v3", r'must be JSON, as \["large-v3"\]'),
        ("MODELS__SERVED", "tiny, [x", r'must be JSON, as \["tiny", "x"\]'),
        ("MODELS__ALIASES", "x=base", r'must be JSON, as \{"name": "value"\}'),
        ("ENGINE__DEVICE_INDEXES", "0,1", r"must be JSON, as \[0, 1\]"),
        ("ENGINE", "fast", "must be JSON"),
        ("SERVER__TRUSTED_PROXIES", '["10.0.0.0/8", "x"]', r"\[1\]: .*valid"),
    ],
)
def test_the_error_of_a_value_shows_the_json_it_should_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(f"VERBATIM_{name}", value)
    with pytest.raises(ValueError, match=f"^VERBATIM_{name}.*{complaint}") as refused:
        read_settings()
    assert "\n" not in str(refused.value)


def test_models_and_aliases_are_read_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    monkeypatch.setenv("VERBATIM_MODELS__SERVED", f'["{directory}", "org/name"]')
    monkeypatch.setenv("VERBATIM_MODELS__ALIASES", '{"gpt-4o-transcribe": "mine", "x": "org/name"}')
    monkeypatch.setenv("VERBATIM_MODELS__PINNED", '["mine"]')
    monkeypatch.setenv("VERBATIM_MODELS__MAX_RESIDENT", "2")
    models = read_settings().models
    assert models.served == (str(directory), "org/name")
    assert models.aliases == {"gpt-4o-transcribe": "mine", "x": "org/name"}
    assert (models.pinned, models.max_resident, models.idle_seconds) == (("mine",), 2, None)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"SERVED": '["base"]'}, "two models have one id; .* base, base"),
        ({"SERVED": '["tiny", "tiny"]'}, "two models have one id"),
        ({"ALIASES": '{"x": "tiny"}'}, "'x' stands for 'tiny'; the models served are base"),
        ({"ALIASES": '{"x": "whisper-1"}'}, "'x' stands for 'whisper-1'"),
        ({"SERVED": '["tiny"]', "ALIASES": '{"tiny": "base"}'}, "'tiny' is a model's own id"),
        ({"PINNED": '["tiny"]'}, "'tiny' is not served"),
        ({"SERVED": '["tiny"]', "PINNED": '["tiny"]', "MAX_RESIDENT": "1"}, "2 models are pinned"),
    ],
)
def test_settings_of_models_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], complaint: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"VERBATIM_MODELS__{name}", value)
    with pytest.raises(ValueError, match=f"^VERBATIM_MODELS__.*: {complaint}"):
        read_settings()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"SERVER__HOST": "0.0.0.0"}, "other machines reach 0.0.0.0, and there are no API keys"),
        ({"SERVER__HOST": "::"}, "other machines reach ::"),
        ({"SERVER__HOST": "verbatim.example.com"}, "other machines reach verbatim.example.com"),
        ({"ACCESS__KEYS": "x", "ACCESS__KEYS_FILE": "x"}, "can come from one only"),
        ({"ACCESS__OPEN": "true", "ACCESS__KEYS_FILE": "x"}, "OPEN=true serves everybody, while"),
        ({"ACCESS__SIGNING_KEY": "short"}, "SIGNING_KEY: Value should have at least 32"),
    ],
)
def test_contradictory_settings_of_access_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], complaint: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"VERBATIM_{name}", value)
    with pytest.raises(ValueError, match=f"^VERBATIM_.*{complaint}"):
        read_settings()


@pytest.mark.parametrize(
    "settings",
    [
        {"SERVER__HOST": "127.1.2.3"},
        {"SERVER__HOST": "::1"},
        {"SERVER__HOST": "localhost"},
        {"SERVER__HOST": "0.0.0.0", "ACCESS__OPEN": "true"},
        {"SERVER__HOST": "0.0.0.0", "ACCESS__KEYS_FILE": "x"},
        {"SERVER__HOST": "0.0.0.0", "ACCESS__KEYS": "x"},
    ],
    ids=str,
)
def test_the_network_is_served_with_keys_or_if_open_is_set(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"VERBATIM_{name}", value)
    access = read_settings().access
    assert access.is_guarded == any(name.startswith("ACCESS__KEYS") for name in settings)


CLIENT = {"ISSUER": "https://login.example.com", "AUDIENCE": '["api"]', "CLIENT_ID": "page"}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"CLIENT_SECRET": "hunter2"}, "of no use without a client_id"),
        ({"CLIENT_ID": "page"}, "a client_id needs an issuer and a page_url"),
        (CLIENT, "a client_id needs an issuer and a page_url"),
        (CLIENT | {"PAGE_URL": "http://speech.example.com"}, "must be https, except on this"),
        (CLIENT | {"PAGE_URL": "https://a.example/?x=1"}, "the page_url ends with its path"),
        (CLIENT | {"PAGE_URL": "https://a.example", "SCOPES": '["email"]'}, "scopes need openid"),
        (CLIENT | {"PAGE_URL": "speech"}, "PAGE_URL: .*valid URL"),
    ],
    ids=str,
)
def test_signing_in_is_set_up_wholly_and_without_risk_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], complaint: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"VERBATIM_ACCESS__OIDC__{name}", value)
    with pytest.raises(ValueError, match=f"^VERBATIM_ACCESS__OIDC.*{complaint}") as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("page", ["https://a.example", "http://localhost:8000", "http://[::1]:80/"])
def test_a_page_is_signed_in_at_over_tls_or_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    for name, value in (CLIENT | {"PAGE_URL": page}).items():
        monkeypatch.setenv(f"VERBATIM_ACCESS__OIDC__{name}", value)
    oidc = read_settings().access.oidc
    assert str(oidc.page_url).rstrip("/") == page.rstrip("/").removesuffix(":80")


def test_the_default_model_may_be_named_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERBATIM_MODELS__PINNED", '["base"]')
    monkeypatch.setenv("VERBATIM_MODELS__MAX_RESIDENT", "1")
    assert read_settings().models.pinned == ("base",)


def test_the_id_of_a_directory_is_its_last_part(tmp_path: Path) -> None:
    directory = tmp_path / "whisper-de"
    directory.mkdir()
    assert model_id(str(directory)) == model_id(f"{directory}/") == "whisper-de"
    assert model_id("Systran/faster-whisper-tiny") == "Systran/faster-whisper-tiny"
    assert model_id("Systran/faster-whisper-tiny@main") == "Systran/faster-whisper-tiny"
    assert model_id("s3://bucket/models/whisper-de/") == "whisper-de"
    assert model_id("base") == "base"


def _names(group: type[Settings | Group], prefix: str) -> set[str]:
    names: set[str] = set()
    for field, about in group.model_fields.items():
        inner, name = about.annotation, f"{prefix}{field.upper()}"
        if isinstance(inner, type) and issubclass(inner, Group):
            names |= _names(inner, f"{name}__")
        else:
            names.add(name)
    return names


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = re.findall(r"^\| `(VERBATIM_\w+)`", (ROOT / "docs/settings.md").read_text(), re.M)
    assert sorted(documented) == sorted(_names(Settings, "VERBATIM_"))


def test_the_document_explains_the_longest_wait_as_the_setting_does() -> None:
    """A request is refused at half of it (pipeline/admission), so both must say so."""
    description = LimitsSettings.model_fields["max_wait_seconds"].description
    assert description is not None
    assert "half" in description
    assert f"| {description}, with `retry-after`" in (ROOT / "docs/settings.md").read_text()


def test_a_store_of_an_unknown_scheme_is_refused_without_showing_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERBATIM_LIMITS__STORE", "memcached://:hunter2@cache")
    with pytest.raises(
        ValueError, match=r"^VERBATIM_LIMITS__STORE: must begin with redis://"
    ) as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)
