"""What the programs of examples/integrations send, with the settings that those files give them.

Each request is the one that the program's own source makes, as examples/README.md links it. LiteLLM
runs with its file in tests/conformance.
"""

import ast
import io
import json
from typing import Any

import httpx
import pytest
import yaml
from openai import OpenAI

from tests.support.live_server import ROOT, LiveServer
from tests.support.realtime_client import pcm, pieces, realtime
from tests.support.recordings import FOLDER, encode, load_sample, reference

FILES = ROOT / "examples" / "integrations"
CLIP = "12_short_clip.wav"
WAV = (FOLDER / CLIP).read_bytes()
TEXT = reference(CLIP)


@pytest.fixture(scope="module")
def mp3() -> bytes:
    return encode(load_sample(CLIP), "mp3", "libmp3lame")


def here(url: str, server: LiveServer) -> str:
    """An address of an example, at the server of the test."""
    assert url.startswith(("http://HOST:8000/v1", "http://127.0.0.1:8000/v1"))
    return server.url + url.removeprefix("http://").partition(":8000")[2]


def arguments(name: str, function: str) -> dict[str, Any]:
    """The keywords of a call in an example whose library is not installed here."""
    tree = ast.parse((FILES / name).read_text(encoding="utf-8"))
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(function)
    ]
    return {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}


def posted(url: str, key: str, **parts: Any) -> dict[str, Any]:
    answer = httpx.post(url, headers={"Authorization": f"Bearer {key}"}, **parts)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_open_webui_gets_the_words_of_a_recording_in_the_browser(server: LiveServer) -> None:
    lines = (FILES / "open-webui.env").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert given["AUDIO_STT_ENGINE"] == "openai"
    webm = encode(load_sample(CLIP), "webm", "libopus", rate=48_000)
    answer = posted(
        f"{here(given['AUDIO_STT_OPENAI_API_BASE_URL'], server)}/audio/transcriptions",
        given["AUDIO_STT_OPENAI_API_KEY"],
        files={"file": ("4f5c8a52.webm", webm)},
        data={"model": given["AUDIO_STT_MODEL"], "language": "en"},
    )
    assert answer["text"] == TEXT


def test_home_assistant_gets_the_words_of_a_voice_command(server: LiveServer) -> None:
    document = yaml.safe_load((FILES / "home-assistant.yaml").read_text(encoding="utf-8"))
    (given,) = document["stt"]
    answer = posted(
        f"{here(given['api_url'], server)}/audio/transcriptions",
        given["api_key"],
        files={
            "file": ("whisper_audio.wav", WAV, "audio/wav"),
            "model": (None, given["model"]),
            "language": (None, "en"),
            "prompt": (None, ""),
            "temperature": (None, "0"),
            "response_format": (None, "json"),
        },
    )
    assert answer["text"] == TEXT


def test_n8n_gets_the_words_by_its_http_node(server: LiveServer, mp3: bytes) -> None:
    workflow = json.loads((FILES / "n8n.json").read_text(encoding="utf-8"))
    nodes = {node["name"]: node["parameters"] for node in workflow["nodes"]}
    assert set(workflow["connections"]) < set(nodes)
    given = nodes["Verbatim"]
    (header,) = given["headerParameters"]["parameters"]
    form = given["bodyParameters"]["parameters"]
    answer = posted(
        here(given["url"], server),
        header["value"].removeprefix("Bearer "),
        files={
            each["name"]: ("call.mp3", mp3, "audio/mpeg")
            if each.get("parameterType") == "formBinaryData"
            else (None, each["value"])
            for each in form
        },
    )
    assert answer["text"] == TEXT


def test_n8n_gets_the_words_by_its_openai_node(server: LiveServer, mp3: bytes) -> None:
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert "Base URL `http://HOST:8000/v1`" in readme
    answer = posted(
        f"{server.url}/v1/audio/transcriptions",
        "any",
        files={"model": (None, "whisper-1"), "file": ("call.mp3", mp3, "audio/mpeg")},
    )
    assert answer["text"] == TEXT


def test_langchain_gets_the_words_of_a_part_of_a_recording(server: LiveServer, mp3: bytes) -> None:
    given = arguments("langchain_loader.py", "OpenAIWhisperParser")
    part = io.BytesIO(mp3)
    part.name = "part_0.mp3"
    with OpenAI(api_key=given["api_key"], base_url=here(given["base_url"], server)) as client:
        answer = client.audio.transcriptions.create(model=given["model"], file=part)
    assert answer.text == TEXT


async def test_livekit_gets_the_words_of_somebody_who_speaks(server: LiveServer) -> None:
    given = arguments("livekit_agent.py", "openai.STT")
    assert given["use_realtime"]
    query = f"intent=transcription&model={given['model']}"
    headers = {"User-Agent": "LiveKit Agents", "Authorization": f"Bearer {given['api_key']}"}
    url = here(given["base_url"], server).removesuffix("/v1")
    async with realtime(url, query, additional_headers=headers) as client:
        updated = await client.update(
            format={"rate": 24_000, "type": "audio/pcm"},
            transcription={"model": given["model"], "language": given["language"]},
            turn_detection={
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 600,
                "silence_duration_ms": 350,
            },
        )
        assert updated["type"] == "session.updated"
        # Frames of 50 ms, and the silence of a microphone that stays open.
        for piece in pieces(pcm(load_sample(CLIP)) + bytes(48_000), size=2_400):
            await client.send("input_audio_buffer.append", audio=piece)
        heard = ""
        while len(heard) < len(TEXT) - 1:
            heard = f"{heard} {(await client.completed())['transcript']}".strip()
    assert heard == TEXT


def test_every_integration_is_in_both_readmes() -> None:
    for name in ("Open WebUI", "LiteLLM", "LangChain", "LiveKit Agents", "Home Assistant", "n8n"):
        for path in (ROOT / "README.md", ROOT / "examples" / "README.md"):
            assert name in path.read_text(encoding="utf-8"), name
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for path in FILES.iterdir():
        assert f"(integrations/{path.name})" in readme
