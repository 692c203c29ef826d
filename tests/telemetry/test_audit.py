"""The audit log against what the server answered under load."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER

NAMES = ["12_short_clip.wav", "09_german.wav", "08_long_call.flac", "11_sales_call.mp3"]


def transcribed(server: LiveServer, name: str) -> str:
    """The id of the request."""
    with (FOLDER / name).open("rb") as file:
        answer = httpx.post(
            f"{server.url}/v1/audio/transcriptions",
            files={"file": file},
            data={"model": "whisper-1"},
            timeout=60,
        )
    assert answer.status_code == 200
    return answer.headers["x-request-id"]


def device_calls(server: LiveServer) -> Iterator[tuple[str, list[str]]]:
    for line in server.errors.splitlines():
        event = json.loads(line)
        if event["event"] == "device_call":
            yield event["stage"], event["windows"]


def test_the_requests_that_shared_a_batch_can_be_found_by_an_id() -> None:
    with LiveServer(
        VERBATIM_TELEMETRY__AUDIT_BATCHES="true", VERBATIM_TELEMETRY__LOG_FORMAT="json"
    ) as server:
        with ThreadPoolExecutor(len(NAMES)) as callers:
            ids = list(callers.map(lambda name: transcribed(server, name), NAMES))
        encoded = server.metric('stt_batch_windows_sum{stage="encode"}')
        decoded = server.metric('stt_batch_windows_sum{stage="decode"}')
    calls = list(device_calls(server))
    for stage, count in (("encode", encoded), ("decode", decoded)):
        windows = [each for name, call in calls if name == stage for each in call]
        assert len(windows) == count
        assert {each.split("#")[0] for each in windows} == set(ids)
    # Every window of the long call is there, and some of them had company.
    long_call = [call for name, call in calls if name == "decode" if ids[2] in str(call)]
    places = {int(each.split("#")[1]) for call in long_call for each in call if ids[2] in each}
    assert places == set(range(len(places)))
    assert any(len({each.split("#")[0] for each in call}) > 1 for call in long_call)


def test_calls_are_logged_only_if_the_setting_is_on() -> None:
    with LiveServer(VERBATIM_TELEMETRY__LOG_LEVEL="debug") as server:
        transcribed(server, NAMES[0])
    assert "device_call" not in server.errors
