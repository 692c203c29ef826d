"""Waits for what another thread or process does, and for the port that a process listens at."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Protocol

import psutil


class Process(Protocol):
    """As subprocess.Popen has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Raises AssertionError if the condition does not become true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """The same in an event loop, which goes on meanwhile. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what threads do sets no event
            await asyncio.sleep(0.002)


def bound_port(process: Process, seconds: float = 60.0) -> int:
    """The TCP port that a process which was started with port 0 has bound, once it listens.

    Read from the kernel, for a log may be off or go elsewhere. Raises RuntimeError if the process
    ends before, or does not listen in time.
    """
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            connections = psutil.Process(process.pid).net_connections("tcp")
        except psutil.Error:  # it has just ended
            continue
        for each in connections:
            if each.status == psutil.CONN_LISTEN:
                return int(each.laddr.port)
        time.sleep(0.02)
    raise RuntimeError(f"it listens at no port; its exit status is {process.poll()}")


def free_port() -> int:
    """For a server whose port must be known before it starts."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
