"""Frameworks that call the server in ways of their own, each a program that prints what it heard.

LangChain is none of them: its loaders call openai-python and openai-node, which have their columns
in docs/conformance.md.
"""

import json
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


def test_openais_agents_hear_recordings_and_live_speech(server: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "speech.pcm"
    path.write_bytes(pcm(load_sample(CLIP.name)))
    script = Path(__file__).parent / "clients" / "agents_program.py"
    answers = run("python", script, f"{server.url}/v1", str(path))
    assert answers == dict.fromkeys(["whisper-1", "gpt-4o-mini-transcribe", "live"], TEXT)
