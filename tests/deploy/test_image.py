"""The CPU image, built from the Dockerfile and run as Kubernetes runs it. `make test-image`.

It takes minutes, so it runs only where it is named.
"""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.models.known import table
from tests.deploy.helm import environment, rendered
from tests.deploy.image import VOLUMES, Image, built, programs_missing, shown
from tests.deploy.pods import BUILT_IN, USER
from tests.support.live_server import ROOT
from tests.support.programs import missing
from tests.support.recordings import reference
from tests.support.waiting import wait_until
from tests.support.words import word_errors

pytestmark = pytest.mark.timeout(1800)

MOST_BYTES = 950_000_000
"""What docs/deploy.md says of its size, and room for the next versions of packages."""

RECORDING = ROOT / "samples/jfk.flac"
SPOKEN = reference(RECORDING.name, RECORDING.parent)

URL = "http://127.0.0.1:8000"

SDK = """
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="any key", max_retries=0)
with open(sys.argv[2], "rb") as file:
    print(client.audio.transcriptions.create(file=file, model="whisper-1").text)
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if os.geteuid() != 0:
        pytest.skip("only root can build it here: buildah, debootstrap and chroot")
    if programs := programs_missing():
        missing(f"not installed: apt-get install {' '.join(programs)}")
    with built() as ready:
        yield ready


@dataclass(frozen=True)
class Running:
    image: Image
    process: subprocess.Popen[str]

    def ask(self, path: str) -> str:
        """What `python -m app.probe` prints inside."""
        probe = self.image.command("python", "-m", "app.probe", path, VERBATIM_ACCESS__OPEN="true")
        return self.image.run_beside(self.process, probe)

    def curl(self, *arguments: str) -> str:
        return self.image.call(self.process, ["curl", "--silent", "--fail", *arguments])

    def is_ready(self) -> bool:
        try:
            return bool(self.curl(f"{URL}/health/ready"))
        except subprocess.CalledProcessError:
            return False


@pytest.fixture(scope="module")
def running(image: Image) -> Iterator[Running]:
    """What the chart starts without values but those of its demonstration."""
    command = image.command(*image.config["Entrypoint"], **environment(rendered("cpu")))
    with image.run_alone(command) as process:
        server = Running(image, process)
        wait_until(lambda: process.poll() is not None or server.is_ready(), 120)
        if process.poll() is not None:
            pytest.fail(f"the server did not start: {process.communicate()[0]}")
        yield server
        process.terminate()


def said(image: Image, *arguments: str, **variables: str) -> tuple[int, str]:
    """The exit status of the server's command line, and its output."""
    command = image.command(*image.config["Entrypoint"], *arguments, **variables)
    with image.run_alone(command) as process:
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.terminate()  # tini would leave the server behind if it were killed
    return process.returncode, output


def test_it_runs_as_nobody_and_says_what_it_is(image: Image) -> None:
    config = image.config
    assert image.user == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["tini", "--", "python", "-m", "app"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "app.probe", "/health/live"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "Verbatim"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_it_has_no_tools_to_build_with_and_no_caches(image: Image) -> None:
    programs = {path.name for path in image.files.glob("usr/bin/*")} | {
        path.name for path in image.files.glob("opt/venv/bin/*")
    }
    assert "tini" in programs
    assert "python" in programs
    assert not {"cc", "gcc", "g++", "make", "ld", "pip", "pip3", "curl", "wget"} & programs
    assert not list(image.files.glob("root/.cache/*"))
    assert not list(image.files.glob("opt/build"))
    assert not list(image.files.glob("var/lib/apt/lists/*_Packages*"))
    assert not list(image.files.rglob("srv/**/tests"))
    assert {path.name for path in image.files.glob("srv/*")} == {"app"}


def test_its_size_is_what_the_documentation_says(image: Image) -> None:
    sizes = image.sizes()
    print(f"\n{shown(sizes)}")
    whole = sum(sizes.values())
    assert whole < MOST_BYTES
    said = re.search(r"together \| (\d+) MB", (ROOT / "docs/deploy.md").read_text())
    assert said is not None
    assert int(said[1]) == pytest.approx(whole / 1e6, rel=0.1)


def test_every_module_has_its_byte_code(image: Image) -> None:
    """Nothing can be written later, and without it each start would compile everything."""
    packages = image.files / "opt/venv/lib/python3.11/site-packages"
    ours = list((image.files / "srv/app").rglob("*.py"))
    others = list((packages / "faster_whisper").glob("*.py"))
    assert len(ours) > 50
    assert len(others) > 5
    for module in ours + others:
        code = module.parent / "__pycache__" / f"{module.stem}.cpython-311.pyc"
        assert code.read_bytes()[4:8] == b"\x01\x00\x00\x00", "by hash and never compared"


def test_its_model_is_whole_and_only_root_can_change_it(image: Image) -> None:
    models = image.files / BUILT_IN.relative_to("/")
    assert {path.name for path in models.iterdir()} == {"base"}
    files = {path.name for path in (models / "base").iterdir()}
    assert files - {"LICENSE"} == {"manifest.json", *table()["base"].files}
    assert "Copyright (c) 2022 OpenAI" in (models / "base/LICENSE").read_text()
    for path in [models, *models.rglob("*")]:
        status = path.stat()
        assert status.st_uid == 0, path
        assert status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) == 0, path
        assert status.st_mode & stat.S_IROTH, path
    code, output = said(image, "models", "verify", "base", VERBATIM_ACCESS__OPEN="true")
    assert code == 0, output
    assert "base: intact" in output


def test_volumes_belong_to_its_user(image: Image) -> None:
    for each in VOLUMES:
        status = (image.files / each).stat()
        assert (status.st_uid, status.st_gid) == (USER, USER)
        assert not list((image.files / each).iterdir())


def test_it_hears_a_real_recording_without_any_network(running: Running) -> None:
    """On a read-only disk, as its own user, with an empty volume where models may be pulled to."""
    with open(f"/proc/{running.process.pid}/status") as lines:
        assert f"Uid:\t{USER}\t{USER}" in lines.read()
    with open(f"/proc/{running.process.pid}/net/dev") as lines:
        assert re.findall(r"^ *(\w+):", lines.read(), re.M) == ["lo"]
    form = ["-F", f"file=@{RECORDING}", "-F", "model=whisper-1", "-F", "response_format=text"]
    text = running.curl(f"{URL}/v1/audio/transcriptions", *form)
    assert word_errors(SPOKEN, text) == 0
    sdk = [sys.executable, "-c", SDK, f"{URL}/v1", str(RECORDING)]
    assert word_errors(SPOKEN, running.image.call(running.process, sdk)) == 0


def test_it_serves_the_model_that_is_built_in(running: Running) -> None:
    models = json.loads(running.curl(f"{URL}/v1/models"))["data"]
    assert "base" in {each["id"] for each in models}


def test_a_model_that_is_not_there_ends_the_start_with_one_line(image: Image) -> None:
    told = environment(rendered("cpu", {"settings": {"model": "small"}}))
    code, output = said(image, **told)
    assert code == 2
    (line,) = [each for each in output.splitlines() if "cannot start" in each]
    assert line.startswith("Verbatim cannot start: ")
    assert "small" in line
    assert "Traceback" not in output


def test_keys_are_made_in_a_volume(image: Image) -> None:
    """As docker-compose.yml says."""
    told = {"VERBATIM_ACCESS__KEYS_FILE": "/keys/keys.yaml"}
    code, output = said(image, "keys", "create", "--name", "me", **told)
    assert code == 0, output
    assert "'me' has a key in /keys/keys.yaml." in output


def test_its_health_check_asks_the_server(running: Running) -> None:
    assert '"status"' in running.ask("/health/live")
    with pytest.raises(subprocess.CalledProcessError):
        running.ask("/health/dead")


def test_it_drains_from_inside_and_ends_by_sigterm(running: Running) -> None:
    drained = running.ask("/internal/drain?wait=30&propagation=0")
    assert '"status":"drained"' in drained.replace(" ", "")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
