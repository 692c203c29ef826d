"""A server that is killed and started again, for benches of what survives that."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import bound_port


class MortalServer:
    """A server that is started again after its death, at the same port."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **environment,
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            env=self._environment,
            cwd=Path(__file__).parents[1],
            stderr=subprocess.DEVNULL,
        )

    def keep_port(self) -> int:
        """The port, which later starts use too."""
        port = bound_port(self.process)
        self._environment["VERBATIM_SERVER__PORT"] = str(port)
        return port

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.kill()
