"""The example clients, run as a reader would run them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.clients.node import FOLDER as NODE
from tests.support.live_server import ROOT, LiveServer
from tests.support.programs import missing, require
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


def test_the_example_for_node_prints_the_words(server: LiveServer, tmp_path: Path) -> None:
    # Node looks for packages beside the program, and in the folders above it.
    program = tmp_path / "transcribe_file.mjs"
    program.write_bytes((EXAMPLES / program.name).read_bytes())
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    run = subprocess.run(
        [require("node"), str(program), str(FOLDER / CLIP), "--url", server.url],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if "ERR_MODULE_NOT_FOUND" in run.stderr:
        missing(f"{program.name} needs `make test`")
    assert run.returncode == 0, run.stderr
    assert normalise(run.stdout) == words_of(server, CLIP)


def shell_commands(page: Path) -> list[str]:
    """Of curl, each with its continuation lines."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in text.splitlines() if line.startswith("curl ")]


def answered(command: list[str], server: LiveServer) -> str:
    """What a program prints that is told the server's address in place of the example's."""
    return subprocess.run(
        [part.replace("http://127.0.0.1:8000", server.url) for part in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_the_commands_of_the_readmes_answer_with_the_words(base_server: LiveServer) -> None:
    require("curl")
    said = reference("jfk.flac", SPEECH)
    whole, streamed = shell_commands(EXAMPLES / "README.md")
    answer = json.loads(answered(["sh", "-c", whole], base_server))
    assert word_errors(said, answer["text"]) == 0
    *_, done = answered(["sh", "-c", streamed], base_server).strip().split("data: ")
    assert word_errors(said, json.loads(done)["text"]) == 0

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    plain, subtitles = shell_commands(ROOT / "README.md")
    text = json.loads(answered(["sh", "-c", plain], base_server))["text"]
    (quoted,) = re.findall(r"^> (.*)$", readme, re.M)
    assert word_errors(text, quoted) == 0
    cues = answered(["sh", "-c", subtitles], base_server)
    assert "\nA: I have a problem" in cues
    assert "\nB: What is your name" in cues
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert word_errors(text, answered([sys.executable, "-c", program], base_server)) == 0


def test_the_command_of_the_readme_makes_a_key_with_a_limit(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (arguments,) = re.findall(r"^\.venv/bin/python (-m app keys .*)$", text, re.M)
    run = subprocess.run(
        [sys.executable, *arguments.split()],
        cwd=ROOT,
        env={**os.environ, "VERBATIM_ACCESS__KEYS_FILE": str(tmp_path / "keys.yaml")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.startswith("vb_")
    assert "requests_per_minute: 60" in (tmp_path / "keys.yaml").read_text()


def test_every_example_is_in_the_readme() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.mjs")]:
        assert f"`{path.name}" in text
