"""The example clients, run as a reader would run them."""

import json
import subprocess
import sys

import pytest

from tests.support.live_server import ROOT, LiveServer
from tests.support.programs import require
from tests.support.recordings import FOLDER, SPEECH, reference
from tests.support.words import normalise, word_errors

EXAMPLES = ROOT / "examples"
CLIP = "12_short_clip.wav"


def printed(server: LiveServer, program: str, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments, "--url", server.url],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def words_of(server: LiveServer, name: str) -> list[str]:
    return normalise(server.transcribe(FOLDER / name).text)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("stream_file.py", []),
        ("live_socket.py", []),
        ("live_microphone.py", ["--file"]),
    ],
)
def test_an_example_prints_the_words(
    server: LiveServer, program: str, arguments: list[str]
) -> None:
    shown = printed(server, program, *arguments, str(FOLDER / CLIP))
    assert normalise(shown) == words_of(server, CLIP)


def test_files_are_printed_with_their_length_and_times(server: LiveServer) -> None:
    names = [CLIP, "09_german.wav"]
    shown = printed(server, "transcribe_file.py", *(str(FOLDER / name) for name in names))
    clip, german = shown.split("09_german.wav: 8.5 s, german\n")
    heading, *lines = clip.splitlines()
    assert heading == f"{CLIP}: 4.7 s, english"
    assert normalise(" ".join(lines)) == words_of(server, CLIP)
    assert normalise(german) == words_of(server, "09_german.wav")


def test_the_command_of_the_readme_answers_with_the_words(base_server: LiveServer) -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (command,) = [line for line in text.splitlines() if line.startswith("curl ")]
    run = subprocess.run(
        ["sh", "-c", command.replace("http://127.0.0.1:8000", base_server.url)],
        cwd=require("curl") and ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert word_errors(reference("jfk.flac", SPEECH), json.loads(run.stdout)["text"]) == 0


def test_every_example_is_in_the_readme() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f"`{path.name}" in text
