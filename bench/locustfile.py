"""Agents as Locust users: their calls are uploaded, streamed back or transcribed live.

`make load ARGS="--host http://127.0.0.1:8000 --headless --users 100 --run-time 5m"`; profile and
key by the environment: LOAD_PROFILE=sales-1000, LOAD_KEY=vb_…, and in LOAD_CALLS a folder of other
sentences than those of `samples/`. Runs in Locust's own environment.

Locust's users are closed loops: a user that waits for an answer makes no other call, so a slow
server gets less load. `python -m bench.open_loop` measures waits; Locust is for many connections at
once, over hours and from several machines.
"""

import json
import os
import random
import re
import time
from collections.abc import Mapping
from difflib import SequenceMatcher

import gevent
from locust import HttpUser, between, task
from locust.clients import ResponseContextManager
from websocket import WebSocket, create_connection

from bench.calls import RATE, SPEECH, Call, call, sentences
from bench.profiles import PROFILES

PROFILE = PROFILES[os.environ.get("LOAD_PROFILE", "sales-100")]
HEADERS = {"authorization": f"Bearer {os.environ.get('LOAD_KEY', 'any')}"}
SENTENCES = sentences(os.environ.get("LOAD_CALLS", SPEECH))
CALLS = [call(seconds, first, SENTENCES) for first, seconds in enumerate(PROFILE.lengths(20))]
CHECKED_SHARE = 0.25
"""Share of answers whose words are compared, which takes time from sending."""
MIN_RIGHT = 0.7
"""Share of right words. Whisper base has nearly all; a server that mixes calls up, half at most."""
JUDGED_WORDS = 14
"""Minimum length of a compared call: a phrase that a model always gets wrong may be half of it."""
PIECE_SECONDS = 0.1
TIMEOUT_SECONDS = 600
STREAMED_SHARE = 0.5
"""Share of uploads."""

_pause = max(1.0, 3600 / PROFILE.recordings_per_hour / PROFILE.busy_factor - PROFILE.mean_seconds)


def right_words(reference: str, transcript: str) -> float:
    """Share of the words of the reference that are in the transcript, in order."""
    wanted, found = (re.findall(r"[a-z']+", text.lower()) for text in (reference, transcript))
    blocks = SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(wanted)


def complaint(call: Call, transcript: str) -> str | None:
    """The error of a transcript with too few right words; None for others and for most answers."""
    if random.random() >= CHECKED_SHARE or len(call.text.split()) < JUDGED_WORDS:
        return None
    if right_words(call.text, transcript) >= MIN_RIGHT:
        return None
    return f"other words than were spoken: {transcript[:200]!r}"


class Agent(HttpUser):
    """A person with a headset, with pauses between calls and while a recording is made.

    Live calls last as long as their speech, uploads as long as their answer takes.
    """

    wait_time = between(0.5 * _pause, 1.5 * _pause)

    @task(round(100 * (1 - PROFILE.live_share) * (1 - STREAMED_SHARE)))
    def upload(self) -> None:
        chosen = random.choice(CALLS)
        with self._post(chosen, "upload", {}) as reply:
            if reply.ok:
                self._judge(reply, chosen, reply.json()["text"])

    @task(round(100 * (1 - PROFILE.live_share) * STREAMED_SHARE))
    def upload_streamed(self) -> None:
        """`first event` is the time to the first words, `upload, streamed` to all of them."""
        chosen, began, text = random.choice(CALLS), time.perf_counter(), None
        with self._post(chosen, "upload, streamed", {"stream": "true"}) as reply:
            for line in reply.iter_lines() if reply.ok else ():
                if not line.startswith(b"data: {"):
                    continue
                if text is None:
                    self._report("SSE", "first event", began)
                event = json.loads(line[6:])
                text = event.get("text", "")
            if reply.ok:
                self._judge(reply, chosen, text or "")

    def _post(self, call: Call, name: str, fields: Mapping[str, str]) -> ResponseContextManager:
        reply = self.client.post(
            "/v1/audio/transcriptions",
            files={"file": ("call.wav", call.wav, "audio/wav")},
            data={"model": "whisper-1", "language": "en", **fields},
            headers=HEADERS,
            name=name,
            stream=bool(fields),
            timeout=TIMEOUT_SECONDS,
            catch_response=True,
        )
        assert isinstance(reply, ResponseContextManager)
        return reply

    def _judge(self, reply: ResponseContextManager, call: Call, transcript: str) -> None:
        wrong = complaint(call, transcript)
        if wrong:
            reply.failure(wrong)

    @task(round(100 * PROFILE.live_share))
    def live(self) -> None:
        """A call at the pace of speech, timed from the last sound to the last text."""
        chosen, ended = random.choice(CALLS), time.perf_counter()
        error: Exception | None = None
        try:
            address = self.host.replace("http", "ws", 1) + "/stream"
            socket = create_connection(address, timeout=TIMEOUT_SECONDS, header=HEADERS)
            try:
                socket.send(json.dumps({"language": "en", "sample_rate": RATE}))
                speaking = gevent.spawn(speak, socket, chosen.pcm)
                wrong = complaint(chosen, transcript_of(socket))
                ended = speaking.get()
            finally:
                socket.close()
            if wrong:
                error = ValueError(wrong)
        except Exception as problem:  # any error goes to the report
            error = problem
        self._report("WS", "live call", ended, error)

    def _report(self, kind: str, name: str, began: float, error: Exception | None = None) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=1000 * (time.perf_counter() - began),
            response_length=0,
            exception=error,
            context={},
        )


def speak(socket: WebSocket, pcm: bytes) -> float:
    """Send sound at the pace of speech; returns the time after the last piece."""
    began, size = time.perf_counter(), 2 * round(PIECE_SECONDS * RATE)
    for at in range(0, len(pcm), size):
        due = began + (at + size) / 2 / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        socket.send_binary(pcm[at : at + size])
    ended = time.perf_counter()
    socket.send(json.dumps({"type": "end"}))
    return ended


def transcript_of(socket: WebSocket) -> str:
    """The transcript of a session. Raises RuntimeError for an error of the server."""
    while True:
        message = json.loads(socket.recv())
        if message["type"] == "error":
            raise RuntimeError(message["error"]["message"])
        if message["type"] == "done":
            return str(message["text"])
