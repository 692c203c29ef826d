import pytest

from app.config import read_settings


def test_defaults_serve_the_starter_on_loopback() -> None:
    settings = read_settings()
    assert (settings.model, settings.server.host, settings.server.port) == (
        "starter",
        "127.0.0.1",
        8000,
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
