"""Equal input, equal output: whatever shares the device with a request must not show in it."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER

NAMES = ["12_short_clip.wav", "09_german.wav", "01_order_call.wav", "13_stereo_call.m4a"]


def answer(server: LiveServer, name: str, **fields: str) -> bytes:
    """The body, with words, times and scores to the last digit."""
    with (FOLDER / name).open("rb") as file:
        answered = httpx.post(
            f"{server.url}/v1/audio/transcriptions",
            files={"file": file},
            data={
                "model": "whisper-1",
                "response_format": "verbose_json",
                "timestamp_granularities[]": ["word", "segment"],
                **fields,
            },
            timeout=120,
        )
    assert answered.status_code == 200
    # White space comes ahead of an answer that takes long (app/http/keep_alive.py).
    return answered.content.lstrip()


def answers_under_load(server: LiveServer, names: list[str], seed: int) -> list[bytes]:
    """Asked in random order from six callers, with other work at other temperatures among it."""
    chance = random.Random(seed)
    over = threading.Event()

    def disturb() -> None:
        while not over.is_set():
            answer(server, "12_short_clip.wav", prompt="Hello.", temperature="0.4")

    order = chance.sample(range(len(names)), len(names))
    with ThreadPoolExecutor(6) as callers:
        disturbing = callers.submit(disturb)
        asked = {at: callers.submit(answer, server, names[at]) for at in order}
        bodies = [asked[at].result() for at in range(len(names))]
        over.set()
        disturbing.result()
    return bodies


def test_companions_change_no_byte_of_an_answer() -> None:
    with LiveServer(VERBATIM_BATCHING__MAX_BATCH_SIZE="8") as server:
        alone = {name: answer(server, name) for name in NAMES}
        names = NAMES * 2
        for name, body in zip(names, answers_under_load(server, names, seed=8), strict=True):
            assert json.loads(body) == json.loads(alone[name]), name
            assert body == alone[name], name
