"""deploy/ray: a Ray of its own on this machine, whose Serve runs the server. By `make test-ray`."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
import yaml
from openai import OpenAI

from tests.support.live_server import ROOT
from tests.support.model_names import STARTER
from tests.support.realtime_client import pcm, pieces, realtime
from tests.support.recordings import FOLDER, load_sample, reference
from tests.support.waiting import free_port, wait_until
from tests.support.words import word_errors

PYTHON = ROOT / ".venv/ray/bin/python"
CALL = "01_order_call"
RUN = """
import sys
import ray

ray.init(include_dashboard=False, num_cpus=2, namespace="serve")
from ray.serve.scripts import cli

cli(["run", sys.argv[1]])
"""
"""`serve run` without Ray's dashboard, which takes longer to start than all the rest."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where the server answers; all of Ray's processes have ended afterwards."""
    # Not tmp_path, which is too long for the names of Ray's sockets.
    with TemporaryDirectory(prefix="ray-") as folder:
        config = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())
        port = config["http_options"]["port"] = free_port()
        file = Path(folder, "serve.yaml")
        file.write_text(yaml.safe_dump(config))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,  # for the token of Ray's cluster
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "VERBATIM_MODEL": str(STARTER),
            "VERBATIM_ACCESS__OPEN": "true",
        }
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PYTHON, "-c", RUN, file],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )
        started = [psutil.Process(process.pid)]
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or is_ready(address), 200)
            assert process.poll() is None, log.read_text()
            started += started[0].children(recursive=True)
            yield address
        finally:
            process.terminate()
            _, alive = psutil.wait_procs(started, timeout=20)
            for each in alive:
                each.kill()
            process.wait()
        assert alive == []


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.skipif(not PYTHON.exists(), reason="Ray is not installed: `make test-ray`")
@pytest.mark.timeout(300)
async def test_serve_transcribes_for_openais_client_and_over_a_socket(url: str) -> None:
    with OpenAI(base_url=f"{url}/v1", api_key="any key", max_retries=0) as client:
        with (FOLDER / f"{CALL}.wav").open("rb") as file:
            heard = client.audio.transcriptions.create(file=file, model="whisper-1")
        assert word_errors(reference(CALL), heard.text) == 0
        with (FOLDER / f"{CALL}.wav").open("rb") as file:
            events = list(
                client.audio.transcriptions.create(file=file, model="whisper-1", stream=True)
            )
        assert events[-1].type == "transcript.text.done"
        assert events[-1].text == heard.text
    async with realtime(url) as session:
        await session.update(turn_detection=None, transcription={"model": "whisper-1"})
        for piece in pieces(pcm(load_sample(f"{CALL}.wav"))):
            await session.send("input_audio_buffer.append", audio=piece)
        await session.send("input_audio_buffer.commit")
        await session.completed()
        assert word_errors(reference(CALL), session.text) == 0
