"""Neither the log, at whatever level, nor a trace says what was said, or by which key."""

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.access.provider import AUDIENCE, Provider
from tests.support.client import CLIP, TRANSCRIPTIONS, post_recording
from tests.support.collector import Collector
from tests.support.faulty_server import FaultyServer
from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER

CALL = FOLDER / "08_long_call.flac"
PROMPT = "Zymurgy Quokka"
KEYWORDS = ("Xylotomy", "Brobdingnag")
FILE_NAME = "patient-Ozymandias.wav"
SPOKEN = ("printer", "tomorrow", "delivery")
SECRETS = ("sk-guessed-0123456789", "ek_made.up.secret", "a.made.up.token", "not a jwt at all")
SUBJECT = "somebody-4711"


def post(server: LiveServer, content: bytes, token: str, **fields: Any) -> httpx.Response:
    return post_recording(
        server.url,
        (FILE_NAME, content),
        f"{TRANSCRIPTIONS}?api_key={SECRETS[0]}",
        key=token,
        **{"language": "en", "prompt": PROMPT, **fields},
    )


def call_in_every_way(server: LiveServer, token: str, bad_tokens: tuple[str, ...]) -> None:
    clip = CLIP.read_bytes()
    for response_format in ("json", "text", "srt", "vtt", "verbose_json"):
        assert post(server, clip, token, response_format=response_format).status_code == 200
    spoken = {"model": "gpt-transcribe", "keywords[]": KEYWORDS}
    assert post(server, clip, token, **spoken).status_code == 200
    stream = post(server, clip, token, stream="true", model="gpt-4o-transcribe")
    assert "transcript.text.done" in stream.text
    for bad in bad_tokens:
        assert post(server, clip, bad).status_code == 401
    assert post(server, PROMPT.encode() * 99, token).status_code == 400
    assert post(server, clip, token, model=PROMPT).status_code == 404
    assert post(server, clip, token, temperature=PROMPT).status_code == 400
    assert post(server, clip, token, prompt="fail").status_code == 500
    leave_early(server, token)
    speak(server, token)
    for bad in bad_tokens:
        with pytest.raises(InvalidStatus):
            speak(server, bad)


def speak(server: LiveServer, token: str) -> None:
    url = server.url.replace("http:", "ws:") + f"/stream?api_key={SECRETS[0]}"
    headers = {"authorization": f"Bearer {token}"}
    with connect(url, additional_headers=headers) as socket:
        start = json.dumps({"format": "auto", "language": "en", "prompt": PROMPT})
        for message in (start, CLIP.read_bytes(), '{"type": "end"}'):
            socket.send(message)
        assert SPOKEN[0] in [json.loads(message) for message in socket][-1]["text"]


def leave_early(server: LiveServer, token: str) -> None:
    """In the upload, and while the words come."""
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}"
        form = "content-type: multipart/form-data; boundary=b\r\ncontent-length: 9999"
        part = f'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\n{PROMPT}'
        half.sendall(f"{head}\r\n{form}\r\n\r\n{part}".encode())
    with server.stream(CALL, language="en", prompt=PROMPT) as answer:
        next(answer.iter_lines())


def test_log_and_traces_name_no_key_no_token_no_prompt_and_no_word_that_was_said(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    with Provider() as provider, Collector() as collector:
        token = provider.token(sub=SUBJECT, email="ada@example.com")
        bad_tokens = (*SECRETS, provider.token(exp=5), token[:-9] + "AAAAAAAAA")
        server = FaultyServer(
            # At this level more is written than a pipe holds that nobody empties.
            "sh",
            "-c",
            f'exec "$@" 2> {log}',
            "sh",
            api_key=token,
            VERBATIM_TELEMETRY__LOG_LEVEL="debug",
            VERBATIM_TELEMETRY__AUDIT_BATCHES="true",
            VERBATIM_TELEMETRY__OTLP_ENDPOINT=collector.url,
            VERBATIM_ACCESS__OIDC__ISSUER=provider.url,
            VERBATIM_ACCESS__OIDC__AUDIENCE=json.dumps([AUDIENCE]),
        )
        with server:
            call_in_every_way(server, token, bad_tokens)
    lines = log.read_text().splitlines()
    answered = [line for line in lines if f"path={TRANSCRIPTIONS}" in line]
    assert len(answered) == 13 + len(bad_tokens), "or it was not the log of these calls"
    assert any("Traceback" in line for line in lines), "nor of this failure"
    requests = [span for span in collector.spans if span.is_server]
    assert len(requests) >= len(answered), "nor were these all of their traces"
    traces = b"".join(collector.bodies).decode(errors="replace")
    hidden = (*token.split("."), *SECRETS, *PROMPT.split(), *KEYWORDS, *SPOKEN, "Ozymandias")
    for secret in hidden:
        assert [line for line in lines if secret.lower() in line.lower()] == []
        assert secret.lower() not in traces.lower()
    assert SUBJECT in log.read_text()
    assert SUBJECT not in traces, "people have no names there"
