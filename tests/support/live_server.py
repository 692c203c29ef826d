"""The product as its users run it: a process, a port, an environment."""

import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil
from openai import AsyncOpenAI, OpenAI

from tests.support.client import CLIP, TRANSCRIPTIONS, Recording, post_recording, stream_recording
from tests.support.fork_server import ROOT as ROOT
from tests.support.fork_server import ForkedProcess
from tests.support.model_names import STARTER
from tests.support.waiting import bound_port

PASSED_ON = ("PATH", "HOME", "VERBATIM_MODELS__DIRECTORY")


class LiveServer:
    """`with LiveServer(VERBATIM_…="…") as server:` starts one and stops it by SIGTERM.

    It serves the starter, if no VERBATIM_MODEL is given, at a free port, if no
    VERBATIM_SERVER__PORT is: `port` and `url` are what the process has bound.

    `wrapper`: a program and its arguments that run the server and become it; without one it is
    forked from a process that has its modules. `api_key`: what its clients here send;
    `metrics_key`: for its metrics, if that is another one.
    """

    module = "app"

    def __init__(
        self,
        *wrapper: str,
        api_key: str = "any key",
        metrics_key: str | None = None,
        **environment: str,
    ) -> None:
        self._wrapper = wrapper
        self._api_key = api_key
        self.headers = {"authorization": f"Bearer {api_key}"}
        self._metrics_headers = {"authorization": f"Bearer {metrics_key or api_key}"}
        self._terminated = False
        self._environment = {
            # Without what else tests or CI set: a user's server must behave with nothing set.
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "VERBATIM_MODEL": str(STARTER),
            "VERBATIM_SERVER__PORT": "0",
            "VERBATIM_TELEMETRY__LOG_LEVEL": "warning",
            # A machine that has other work must not turn tests of other things into refusals.
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "600",
            **environment,
        }

    def __enter__(self) -> "LiveServer":
        self.process = self._started()
        try:
            self.port = bound_port(self.process)
            scheme = "https" if "VERBATIM_SERVER__TLS_KEY_FILE" in self._environment else "http"
            self.url = f"{scheme}://127.0.0.1:{self.port}"
            self._wait_until_ready()
        except RuntimeError as error:
            self.process.kill()
            reason = self.process.communicate()[1]
            raise RuntimeError(f"the server did not start: {error}: {reason}") from None
        return self

    def _started(self) -> "subprocess.Popen[str] | ForkedProcess":
        if not self._wrapper:
            return ForkedProcess(self.module, environment=self._environment)
        return subprocess.Popen(
            [*self._wrapper, sys.executable, "-m", self.module],
            cwd=ROOT,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 100
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("it is not ready")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def terminate(self) -> None:
        """SIGTERM, once: a second one asks uvicorn to drop what is in flight."""
        if not self._terminated:
            self._terminated = True
            self.process.terminate()

    def stop(self) -> int:
        """Its exit status, as a clean stop leaves it."""
        self.client.close()
        self.terminate()
        self.errors = self.process.communicate(timeout=60)[1]
        return self.process.wait()

    @cached_property
    def client(self) -> OpenAI:
        """The official SDK with retries off, so that every error shows."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self._api_key, max_retries=0)

    @property
    def async_client(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self._api_key, max_retries=0)

    def transcribe(self, file: Any, model: str = "whisper-1", **options: Any) -> Any:
        """What the SDK makes of the answer, a type for each format."""
        return self.client.audio.transcriptions.create(file=file, model=model, **options)

    def post(
        self, recording: Recording = CLIP, path: str = TRANSCRIPTIONS, /, **fields: Any
    ) -> httpx.Response:
        """The answer to a form with one recording, as it came over the line."""
        return post_recording(self.url, recording, path, key=self._api_key, **fields)

    def stream(self, path: Path, **fields: Any) -> AbstractContextManager[httpx.Response]:
        """A streamed transcription of a file; leaving the context closes the connection."""
        return stream_recording(self.url, path, key=self._api_key, **fields)

    def metric(self, sample: str) -> float:
        """The value of one sample of /metrics, by its full name with labels; 0 if absent."""
        answer = httpx.get(f"{self.url}/metrics", headers=self._metrics_headers)
        for line in answer.raise_for_status().text.splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    @property
    def resident_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    @property
    def open_files(self) -> list[str]:
        """Paths of regular files the process has open, deleted ones included."""
        targets = []
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                targets.append(os.readlink(entry))
        return [target for target in targets if target.startswith("/") and "/dev/" not in target]
