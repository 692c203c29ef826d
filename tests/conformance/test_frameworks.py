"""Frameworks and clients that call the server in ways of their own, each in a program that prints
what it heard."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.clients.node import FOLDER as NODE
from tests.support.live_server import LiveServer
from tests.support.programs import missing, require
from tests.support.realtime_client import pcm
from tests.support.recordings import FOLDER, load_sample

CLIP = FOLDER / "12_short_clip.wav"
TEXT = "The printer is not working. I will call you back tomorrow."
TURNS = ["The printer is not working.", "I will call you back tomorrow."]
PROGRAMS = Path(__file__).parent / "clients"
# A program imports for seconds, and the first one waits for the server with Whisper.
pytestmark = pytest.mark.timeout(300)

NOT_INSTALLED = ("ERR_MODULE_NOT_FOUND", "ModuleNotFoundError")


def run(program: str, script: Path, *arguments: str) -> Any:
    """What the program has printed. Skips the test where what it imports is not installed."""
    process = subprocess.run(
        [require(program), str(script), *arguments], capture_output=True, text=True, timeout=120
    )
    if any(each in process.stderr for each in NOT_INSTALLED):
        missing(f"{script.name} needs `make test`: {process.stderr[-300:]}")
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_vercels_ai_sdk_transcribes_with_and_without_options(server: LiveServer) -> None:
    answers = run("node", NODE / "ai-sdk.mjs", f"{server.url}/v1", str(CLIP))
    assert {call: text for call, (text, *_) in answers.items()} == dict.fromkeys(answers, TEXT)
    facts = {call: tuple(rest) for call, (_, *rest) in answers.items()}
    assert facts["plain"] == (None, 0)
    assert facts["words"] == ("en", 11)
    assert set(facts) == {"plain", "words", "gpt-4o", "gpt-4o-mini", "logprobs", "keywords"}


def test_axios_sends_files_with_and_without_a_name(server: LiveServer) -> None:
    answers = run("node", NODE / "axios.mjs", f"{server.url}/v1", str(CLIP))
    assert {way: text.strip() for way, text in answers.items()} == dict.fromkeys(answers, TEXT)
    assert len(answers) == 6


def test_openai_nodes_class_for_azure_works_unchanged(server: LiveServer) -> None:
    answers = run("node", NODE / "azure.mjs", server.url, str(CLIP))
    expected = [TEXT, TEXT, TEXT, "whisper-1"]
    assert answers == {"endpoint": expected, "deployment": expected}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the clip's 16-bit samples at 24 kHz."""
    path = tmp_path_factory.mktemp("speech") / "speech.pcm"
    path.write_bytes(pcm(load_sample(CLIP.name)))
    return str(path)


def test_openais_agents_hear_recordings_and_live_speech(server: LiveServer, speech: str) -> None:
    answers = run("python", PROGRAMS / "agents_program.py", f"{server.url}/v1", speech)
    assert answers == dict.fromkeys(["whisper-1", "gpt-4o-mini-transcribe", "live"], TEXT)


def test_livekits_plugin_hears_recordings_and_live_speech(server: LiveServer, speech: str) -> None:
    answers = run("python", PROGRAMS / "livekit_program.py", f"{server.url}/v1", speech)
    models = ["whisper-1", "gpt-4o-mini-transcribe", "gpt-transcribe"]
    assert answers == {model: [TEXT, "en"] for model in models} | {"live": TURNS}


def test_pipecats_services_hear_recordings_and_live_speech(server: LiveServer, speech: str) -> None:
    script = PROGRAMS / "pipecat_program.py"
    answers = run("python", script, f"{server.url}/v1", str(CLIP), speech)
    assert answers == {
        "whisper-1": [TEXT],
        "gpt-4o-transcribe": [TEXT],
        "turns": TURNS,
        "commits": [TEXT],
    }


def test_langchains_loaders_get_documents_in_python_and_in_javascript(server: LiveServer) -> None:
    answers = run("python", PROGRAMS / "langchain_program.py", server.url, str(CLIP))
    assert answers == {"json": [TEXT], "verbose_json": [TEXT], "text": [TEXT]}
    answers = run("node", NODE / "langchain.mjs", f"{server.url}/v1", str(CLIP))
    assert answers == {"file": [TEXT], "blob": [TEXT]}


@pytest.mark.skipif(not shutil.which("javac"), reason="a JDK is not installed")
def test_javas_http_client_sends_a_form(server: LiveServer) -> None:
    script = Path(__file__).parent / "java" / "Transcribe.java"
    assert run("java", script, f"{server.url}/v1", str(CLIP))["text"] == TEXT
