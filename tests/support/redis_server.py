"""A real Redis on a free port that keeps nothing on disk."""

import signal
import socket
import subprocess
import tempfile
from types import TracebackType

from redis import Redis
from redis.exceptions import RedisError

from tests.support.live_server import wait_until
from tests.support.programs import require


class RedisServer:
    """`with RedisServer() as redis:`; it can be paused, killed, and started again on its port."""

    def __init__(self) -> None:
        self._program = require("redis-server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = Redis.from_url(self.url)

    def __enter__(self) -> "RedisServer":
        self._folder = tempfile.TemporaryDirectory()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self.client.close()
        self._folder.cleanup()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It takes connections and commands, and says nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False
