"""A real Prometheus that works every second, and exporters that this machine does not have."""

import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.grafana.queries import RULES
from tests.support.programs import require
from tests.support.waiting import bound_port, wait_until

VERBATIM, EXPORTERS = "verbatim", "exporters"
"""Names of what is scraped."""

EXPORTED = Path(__file__).with_name("exported.txt")


class Prometheus:
    """What it has seen, by its HTTP API."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Raises AssertionError where Prometheus refuses the query."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def look_again(self) -> Callable[[], bool]:
        """Whether, from now on, every target was scraped and every group of rules applied.

        A target that does not answer within its second was not scraped, and none is known in the
        first seconds.
        """
        began = datetime.now(UTC)

        def has_looked() -> bool:
            targets, groups = self.get("targets")["activeTargets"], self.get("rules")["groups"]
            looks = [each["lastScrape"] for each in targets]
            looks += [each["lastEvaluation"] for each in groups]
            up = {each["scrapePool"] for each in targets if each["health"] == "up"}
            return up == {VERBATIM, EXPORTERS} and min(map(datetime.fromisoformat, looks)) > began

        return has_looked

    def lately(self, query: str, start: float, end: float) -> list[Any]:
        """The series of a query, a value a second."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": "1s"}
        found: list[Any] = self.get("query_range", query=query, **times)["result"]
        return found


@contextmanager
def prometheus(port: int, token: str) -> Iterator[Prometheus]:
    """It scrapes the server at `port`, and the exporters of `exported.txt`."""
    with exporters() as exporter, tempfile.TemporaryDirectory() as folder:
        jobs = [
            _job(VERBATIM, port, authorization={"credentials": token}),
            _job(EXPORTERS, exporter, honor_labels=True),
        ]
        config = Path(folder, "prometheus.yml")
        for path in RULES:
            # A group with an interval of its own would be waited for.
            Path(folder, path.name).write_text(
                re.sub(r"(?m)^ +interval: .*\n", "", path.read_text())
            )
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [f"{folder}/{path.name}" for path in RULES],
                    "scrape_configs": jobs,
                }
            )
        )
        process = subprocess.Popen(
            [
                require("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/data",
                "--web.listen-address=127.0.0.1:0",
                "--log.level=error",
            ]
        )
        try:
            own = bound_port(process)
            with httpx.Client(base_url=f"http://127.0.0.1:{own}", timeout=30) as client:
                running = Prometheus(client)
                wait_until(running.is_ready)
                yield running
        finally:
            process.terminate()
            process.wait(30)


def _job(name: str, port: int, **options: object) -> dict[str, object]:
    target = {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "stt"}}
    return {"job_name": name, "static_configs": [target], **options}


class _Exported(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(EXPORTED.read_bytes())

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: each scrape would be a line."""


@contextmanager
def exporters() -> Iterator[int]:
    """The port at which dcgm-exporter and kube-state-metrics seem to answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Exported)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
