"""The product as its users run it: a process, a port, an environment."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType

import httpx
import psutil
from openai import AsyncOpenAI, OpenAI

from tests.support.model_names import STARTER

ROOT = Path(__file__).parents[2]


PASSED_ON = ("PATH", "HOME", "VERBATIM_MODELS__DIRECTORY")


class LiveServer:
    """`with LiveServer(VERBATIM_…="…") as server:` starts one and stops it by SIGTERM.

    It serves the starter, if no VERBATIM_MODEL is given.

    `wrapper`: a program and its arguments that run the server and become it. `api_key`: what its
    clients here send; `metrics_key`: for its metrics, if that is another one.
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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._terminated = False
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            # Without what else tests or CI set: a user's server must behave with nothing set.
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "VERBATIM_MODEL": str(STARTER),
            "VERBATIM_SERVER__PORT": str(self.port),
            "VERBATIM_TELEMETRY__LOG_LEVEL": "warning",
            # A machine that has other work must not turn tests of other things into refusals.
            "VERBATIM_LIMITS__MAX_WAIT_SECONDS": "600",
            **environment,
        }

    def __enter__(self) -> "LiveServer":
        self.process = subprocess.Popen(
            [*self._wrapper, sys.executable, "-m", self.module],
            cwd=ROOT,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"the server did not start: {self.process.communicate()[1]}")
            time.sleep(0.05)
        return self

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
        return self.process.returncode

    @cached_property
    def client(self) -> OpenAI:
        """The official SDK with retries off, so that every error shows."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self._api_key, max_retries=0)

    @property
    def async_client(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self._api_key, max_retries=0)

    @contextmanager
    def stream(self, path: Path, **fields: str) -> Iterator[httpx.Response]:
        """A streamed transcription of a file; leaving the context hangs up."""
        with (
            path.open("rb") as file,
            httpx.stream(
                "POST",
                f"{self.url}/v1/audio/transcriptions",
                files={"file": file},
                data={"model": "whisper-1", "stream": "true", **fields},
                headers=self.headers,
                timeout=60,
            ) as answer,
        ):
            yield answer

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


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)
