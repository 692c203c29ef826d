"""Errors -> status, body and headers."""

import pytest

from app import errors
from app.openai.error_replies import reply, routing_reply


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidRequest("m", "p"), 400, "invalid_value"),
        (errors.MissingParameter("m", "p"), 400, "missing_required_parameter"),
        (errors.AudioTooShort("m", "p"), 400, "audio_too_short"),
        (errors.TooLarge("m"), 413, None),
        (errors.NotAuthenticated("m"), 401, None),
        (errors.WrongKey("m"), 401, "invalid_api_key"),
        (errors.UnknownModel("m", "model"), 404, "model_not_found"),
        (errors.Overloaded("m"), 503, None),
        (errors.EngineFailed("m"), 500, None),
    ],
)
def test_an_error_has_its_status_and_code(
    error: errors.SpeechError, status: int, code: str | None
) -> None:
    answer = reply(error)
    assert answer.status == status
    assert answer.body["error"]["code"] == code
    assert answer.body["error"]["message"] == "m"
    assert set(answer.body["error"]) == {"message", "type", "param", "code"}


def test_every_speech_error_is_in_the_table() -> None:
    def all_kinds(kind: type[errors.SpeechError]) -> list[type[errors.SpeechError]]:
        return [sub for direct in kind.__subclasses__() for sub in [direct, *all_kinds(direct)]]

    for kind in all_kinds(errors.SpeechError):
        assert reply(kind("known")).body["error"]["message"] == "known"
        assert reply(kind("known")).status != 500 or kind is errors.EngineFailed


def test_an_unknown_error_keeps_its_message_to_the_log() -> None:
    answer = reply(RuntimeError("/secret/path"))
    assert answer.status == 500
    assert "/secret" not in str(answer.body)


def test_an_overload_has_the_seconds_until_a_retry() -> None:
    assert reply(errors.Overloaded("m", retry_after_seconds=7)).headers == {
        "x-should-retry": "true",
        "retry-after": "7",
    }


@pytest.mark.parametrize(
    ("error", "should_retry"),
    [
        (errors.InvalidRequest("m"), "false"),
        (errors.NotAuthenticated("m"), "false"),
        (errors.UnknownModel("m"), "false"),
        (errors.TooLarge("m"), "false"),
        (errors.EngineFailed("m"), "false"),
        (errors.ModelBusy("m"), "true"),
        (errors.RateLimited("m"), "true"),
        (errors.ModelUnavailable("m"), "true"),
        (RuntimeError("m"), None),
    ],
)
def test_should_retry_is_true_only_where_a_retry_can_succeed(
    error: Exception, should_retry: str | None
) -> None:
    assert reply(error).headers.get("x-should-retry") == should_retry


def test_an_unknown_route_is_named() -> None:
    answer = routing_reply(404, "POST", "/v1/x")
    assert answer.body["error"]["message"] == "Invalid URL (POST /v1/x)"
