"""S3 as moto speaks it, in a process of its own and without a disk."""

import hashlib
import subprocess
from types import TracebackType

import httpx

from tests.support.live_server import ROOT
from tests.support.programs import missing
from tests.support.waiting import bound_port, wait_until

PYTHON = ROOT / ".venv" / "deploy" / "bin" / "python"
BUCKET = "bucket"


class S3Server:
    """`with S3Server() as s3:`; it takes any key."""

    def __init__(self) -> None:
        if not PYTHON.exists():
            missing("moto is not installed: make test")

    def __enter__(self) -> "S3Server":
        self._process = subprocess.Popen(
            [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{bound_port(self._process)}"
        self.variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }
        wait_until(self._answers, 60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def empty(self) -> None:
        """Nothing but an empty bucket."""
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()
        httpx.put(f"{self.url}/{BUCKET}").raise_for_status()

    def put(self, key: str, content: bytes) -> None:
        """An object whose key no tidy client would send."""
        # httpx takes a path as it is given, if it is given as bytes.
        url = httpx.URL(self.url).copy_with(raw_path=f"/{BUCKET}/{key}".encode())
        etag = hashlib.md5(content).hexdigest()
        answer = httpx.put(url, content=content).raise_for_status()
        assert answer.headers["etag"] == f'"{etag}"'

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/moto-api/data.json").status_code == 200
        except httpx.TransportError:
            return False
