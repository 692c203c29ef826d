"""A real Redis on a free port that keeps nothing on disk."""

import signal
import socket
import subprocess
import tempfile
from types import TracebackType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.support.programs import require
from tests.support.waiting import wait_until


class RedisServer:
    """`with RedisServer() as redis:`; it can be paused, killed, and started again on its port."""

    def __init__(self) -> None:
        self._program = require("redis-server")

    def __enter__(self) -> "RedisServer":
        self._folder = tempfile.TemporaryDirectory()
        while True:
            # Redis takes no port 0: where another program takes the free port first, the next one.
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port: int = free.getsockname()[1]
            self.url = f"redis://127.0.0.1:{self.port}/0"
            self.client = Redis.from_url(self.url)
            self.start()
            if self._process.poll() is None:
                return self
            self.client.close()

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
        """Returns once it answers, or has ended because another program has the port."""
        self._process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: self._process.poll() is not None or self._answers())

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
            about: Any = self.client.info("server")
        except RedisError:
            return False
        return bool(about["process_id"] == self._process.pid)
