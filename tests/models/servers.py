"""Stand-ins on loopback: a package index and the hub, which can fall silent half way."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.waiting import wait_until


class FileServer:
    """Serves bytes by path; counts who asks for what."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        """Bytes of each path."""
        self.stops_at: str | None = None
        """Of the path that has this in it only half is sent, and then nothing more comes."""
        self.breaks_at: str | None = None
        """The same, but the connection is closed."""
        self.on_half: Callable[[], None] | None = None
        """Called when half of a file is sent, before the rest is."""
        self._resume = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                outer.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def find(self, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        raise NotImplementedError

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        status, headers, body = self.find(path, request.headers)
        total, first = len(body), 0
        if status == 200 and (wanted := request.headers.get("range")):
            status, first = 206, int(wanted.removeprefix("bytes=").rstrip("-"))
            headers = headers | {"content-range": f"bytes {first}-{total - 1}/{total}"}
            body = body[first:]
        request.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        self.asked[path] += 1
        stops = self.stops_at is not None and self.stops_at in path
        breaks = self.breaks_at is not None and self.breaks_at in path
        if stops or breaks:
            body = body[: len(body) // 2]
        try:
            if self.on_half is not None and len(body) > 100_000:
                request.wfile.write(body[: len(body) // 2])
                self.on_half()
                body = body[len(body) // 2 :]
            request.wfile.write(body)
            self.sent[path] += len(body)
            if stops:
                self._resume.wait(60)
        except OSError:  # the client is gone
            request.close_connection = True
        if stops or breaks:
            request.close_connection = True

    def wait_for_half(self, name: str) -> None:
        wait_until(lambda: any(name in path for path in self.sent))

    @contextmanager
    def running(self) -> Iterator["FileServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._resume.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class PackageIndex(FileServer):
    """The pages of PEP 503, and the wheels of a folder."""

    def __init__(self, packages: Path) -> None:
        super().__init__()
        self._packages = packages

    def find(self, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/files/"):
            wheel = self._packages / path.removeprefix("/files/")
            return 200, {"content-type": "application/zip"}, wheel.read_bytes()
        name = path.strip("/").rpartition("/")[2].replace("-", "_")
        links = [
            f'<a href="/files/{wheel.name}">{wheel.name}</a>'
            for wheel in self._packages.glob(f"{name}-*.whl")
        ]
        return 200, {"content-type": "text/html"}, f"<html>{''.join(links)}</html>".encode()

    @property
    def downloads(self) -> dict[str, int]:
        """How often each wheel was asked for."""
        found = {path.removeprefix("/files/"): count for path, count in self.asked.items()}
        return {name: count for name, count in found.items() if name.endswith(".whl")}


class Hub(FileServer):
    """What huggingface_hub asks of a repository; model.bin is stored by its digest (LFS)."""

    def __init__(self, repository: str, revision: str, files: dict[str, bytes]) -> None:
        super().__init__()
        self.repository, self.revision, self.files = repository, revision, files
        self.stated = hashlib.sha256(files["model.bin"]).hexdigest()
        """The digest that the hub says model.bin has."""
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.token: str | None = None
        """Only who has it is served."""
        self.elsewhere: str | None = None
        """The URL of the host that has model.bin, as the real hub sends one on to its storage."""

    def find(self, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        if self.refusal is not None:
            status, more = self.refusal
            return status, more, b""
        if self.token is not None and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"x-error-code": "RepoNotFound"}, b""
        api, files = f"/api/models/{self.repository}", f"/{self.repository}/resolve/"
        if path.startswith(api):
            revision = path.removeprefix(api).removeprefix("/revision/")
            if revision and revision not in (self.revision, "main", "v1"):
                return 404, {"x-error-code": "RevisionNotFound"}, b""
            return 200, {"content-type": "application/json"}, json.dumps(self._about()).encode()
        revision, _, name = path.removeprefix(files).partition("/")
        if name == "model.bin" and self.elsewhere is not None:
            return 302, {"location": f"{self.elsewhere}/{name}?signature=1"}, b""
        if path.startswith(files) and revision == self.revision and name in self.files:
            return 200, {"etag": f'"{self.stated}"'}, self.files[name]
        return 404, {"x-error-code": "RepoNotFound"}, b""

    def _about(self) -> dict[str, object]:
        siblings: list[dict[str, object]] = []
        for name, content in self.files.items():
            file: dict[str, object] = {"rfilename": name, "size": len(content)}
            if name == "model.bin":
                file["lfs"] = {"sha256": self.stated, "size": len(content), "pointerSize": 130}
            siblings.append(file)
        return {"id": self.repository, "sha": self.revision, "siblings": siblings}

    @property
    def downloads(self) -> dict[str, int]:
        """Bytes sent of each file."""
        start = f"/{self.repository}/resolve/{self.revision}/"
        found = {path.removeprefix(start): count for path, count in self.sent.items()}
        return {name: count for name, count in found.items() if name in self.files}


class Storage(FileServer):
    """Where the hub keeps large files: a signature lets one in, and a token is a fault."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = content

    def find(self, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        if "authorization" in headers:
            return 400, {}, b""
        return 200, {}, self._content
