"""The CPU image, built from the Dockerfile and run as Kubernetes runs it. `make test-image`.

It takes minutes, so it runs only where it is named.
"""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from openai import OpenAI

from tests.deploy.image import Image, built, programs_missing, table
from tests.deploy.pods import USER
from tests.live_server import ROOT, wait_until
from tests.programs import missing
from tests.recordings import FOLDER, reference
from tests.words import word_errors

pytestmark = pytest.mark.timeout(1800)

MOST_BYTES = 800_000_000
"""What docs/deploy.md says of its size, and room for the next versions of packages."""


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
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> str:
        """What `python -m app.probe` prints inside."""
        variables = {"VERBATIM_SERVER__PORT": str(self.port), "VERBATIM_ACCESS__OPEN": "true"}
        probe = self.image.command("python", "-m", "app.probe", path, **variables)
        return self.image.run_beside(self.process, probe)


@pytest.fixture(scope="module")
def running(image: Image) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"VERBATIM_SERVER__PORT": str(port), "VERBATIM_ACCESS__OPEN": "true"}
    command = image.command(*image.config["Entrypoint"], **variables)
    with image.run_read_only(command) as process:
        server = Running(image, process, port)
        wait_until(lambda: process.poll() is not None or is_ready(server), 120)
        if process.poll() is not None:
            pytest.fail(f"the server did not start: {process.communicate()[0]}")
        yield server
        process.kill()


def is_ready(server: Running) -> bool:
    try:
        return httpx.get(f"{server.url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


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


def test_its_size_is_what_the_documentation_says(image: Image) -> None:
    sizes = image.sizes()
    print(f"\n{table(sizes)}")
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


def test_it_transcribes_as_its_own_user_on_a_read_only_disk(running: Running) -> None:
    status = f"/proc/{running.process.pid}/status"
    with open(status) as lines:
        assert f"Uid:\t{USER}\t{USER}" in lines.read()
    client = OpenAI(base_url=f"{running.url}/v1", api_key="any key", max_retries=0)
    with (FOLDER / "12_short_clip.wav").open("rb") as file:
        heard = client.audio.transcriptions.create(file=file, model="whisper-1").text
    assert word_errors(reference("12_short_clip.wav"), heard) == 0


def test_its_health_check_asks_the_server(running: Running) -> None:
    assert '"status"' in running.ask("/health/live")
    with pytest.raises(subprocess.CalledProcessError):
        running.ask("/health/dead")


def test_it_drains_from_inside_and_ends_by_sigterm(running: Running) -> None:
    drained = running.ask("/internal/drain?wait=30&propagation=0")
    assert '"status":"drained"' in drained.replace(" ", "")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
