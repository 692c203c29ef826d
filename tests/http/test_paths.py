"""Other spellings of paths, and the plain ones behind them."""

import pytest

from app.http.paths import is_open_to_all, is_work, plain_path


@pytest.mark.parametrize(
    ("path", "plain", "deployment"),
    [
        ("/v1/audio/transcriptions", "/v1/audio/transcriptions", None),
        ("/v1/audio/transcriptions/", "/v1/audio/transcriptions", None),
        ("/v1/models//", "/v1/models", None),
        ("/v1/realtime/", "/v1/realtime", None),
        ("/stream/", "/stream", None),
        ("/", "/", None),
        ("//", "/", None),
        ("/openai/v1/audio/transcriptions", "/v1/audio/transcriptions", None),
        ("/openai/v1/realtime/", "/v1/realtime", None),
        ("/openai/models", "/v1/models", None),
        ("/openai/models/whisper-1", "/v1/models/whisper-1", None),
        ("/openai/realtime", "/v1/realtime", None),
        ("/openai/deployments/w/audio/transcriptions", "/v1/audio/transcriptions", "w"),
        ("/openai/deployments/w/audio/translations/", "/v1/audio/translations", "w"),
        ("/openai/deployments/org/w/audio/transcriptions", "/v1/audio/transcriptions", "org/w"),
        ("/openai/deployments/audio/audio/x", "/v1/audio/x", "audio"),
        ("/openai/deployments/w/realtime", "/v1/realtime", "w"),
        # Nothing outside of /v1 has another spelling: least of all what needs no key.
        ("/openai/../health/live", "/v1/../health/live", None),
        ("/openai/v1", "/v1/v1", None),
        ("/openai", "/openai", None),
        ("/openapi.json", "/openapi.json", None),
        ("/web/", "/web/", None),
        ("/health/", "/health/", None),
    ],
)
def test_a_path_has_one_plain_spelling(path: str, plain: str, deployment: str | None) -> None:
    assert plain_path(path) == (plain, deployment)
    assert plain_path(plain)[0] == plain


def test_no_other_spelling_of_work_is_open_to_all() -> None:
    for path in ("/openai/", "/openai//", "/openai/v1/models", "/openai/deployments/w/audio/x"):
        plain, _ = plain_path(path)
        assert not is_open_to_all(plain)
    assert is_work({"type": "http", "path": plain_path("/openai/v1/models")[0]})
