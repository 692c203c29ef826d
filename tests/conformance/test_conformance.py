"""Every case by every client; `make conformance` makes the table of docs/conformance.md."""

import re
from collections.abc import Callable
from typing import get_args

import pytest

from tests.conformance.case import Answer, Case, ClientName, Json
from tests.conformance.cases import CASES
from tests.conformance.clients.python import ANNOUNCEMENTS
from tests.conformance.schemas import check

PAIRS = [
    pytest.param(client, case, id=f"{client} {case.id}")
    for client in get_args(ClientName)
    for case in CASES
    if client not in case.cannot
]
pytestmark = pytest.mark.timeout(300)  # LiteLLM takes its time to start

SCHEMAS = {
    ("transcriptions", "json"): "CreateTranscriptionResponseJson",
    ("transcriptions", "verbose_json"): "CreateTranscriptionResponseVerboseJson",
    ("transcriptions", "diarized_json"): "CreateTranscriptionResponseDiarizedJson",
    ("translations", "json"): "CreateTranslationResponseJson",
    ("translations", "verbose_json"): "CreateTranslationResponseVerboseJson",
    ("models", "json"): "ListModelsResponse",
    ("model", "json"): "Model",
}


@pytest.mark.filterwarnings(ANNOUNCEMENTS)
@pytest.mark.parametrize(("client", "case"), PAIRS)
def test_what_was_sent_is_answered_as_openai_does(
    client: ClientName, case: Case, ask: Callable[[Case], Answer]
) -> None:
    answer = ask(case)
    case.check(answer)
    follows_the_schema(case, answer.content)
    if answer.headers:
        assert answer.headers["content-type"] == media_type(case)
        assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["openai-version"] == "2020-10-01"
        assert int(answer.headers["openai-processing-ms"]) >= 0


def follows_the_schema(case: Case, content: Json | str | list[Json]) -> None:
    if isinstance(content, list):
        for event in content:
            check("CreateTranscriptionResponseStreamEvent", event)
    elif not isinstance(content, str):
        check(SCHEMAS[case.route, case.format], content)


def media_type(case: Case) -> str:
    if case.streams:
        return "text/event-stream; charset=utf-8"
    if case.format in ("text", "srt", "vtt"):
        return "text/plain; charset=utf-8"
    return "application/json"
