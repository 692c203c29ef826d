"""Notices what hangs: a call on the device, or the event loop itself.

A hung device call is said by `/health/live`. A hung event loop can say nothing, which fails the
probe too; but outside Kubernetes nobody may be probing, so the watchdog's own thread ends the
process then: a port that is open and mute is worse than one that is closed.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from app.telemetry import metrics

log = structlog.get_logger(__name__)

CHECKS_PER_LIMIT = 10


def end_process() -> None:
    """At once, as the event loop would have to do everything else."""
    sys.stderr.flush()
    os._exit(os.EX_SOFTWARE)


class Watchdog:
    """Use as a context manager around an event loop that calls `beat` far more often than
    `stuck_seconds`."""

    def __init__(self, stuck_seconds: float, end_process: Callable[[], None] = end_process) -> None:
        self._stuck_seconds = stuck_seconds
        self._end_process = end_process
        self._calls: dict[object, tuple[str, float]] = {}
        self._reported: set[object] = set()
        self._beats = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._loop_thread = 0
        metrics.OLDEST_DEVICE_CALL_SECONDS.set_function(lambda: self.oldest_call_seconds)

    def __enter__(self) -> "Watchdog":
        self._loop_thread = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def beat(self) -> None:
        """The event loop turns."""
        self._beats += 1

    @contextmanager
    def call(self, stage: str) -> Iterator[None]:
        """A call is on the device while the context is open."""
        call = object()
        self._calls[call] = (stage, time.monotonic())
        try:
            yield
        finally:
            del self._calls[call]

    @property
    def oldest_call_seconds(self) -> float:
        """How long the oldest call has been on the device; 0 if there is none."""
        now = time.monotonic()
        return now - min((began for _, began in list(self._calls.values())), default=now)

    @property
    def is_stuck(self) -> bool:
        return self.oldest_call_seconds > self._stuck_seconds

    def _watch(self) -> None:
        interval = self._stuck_seconds / CHECKS_PER_LIMIT
        # In checks and not on the clock: a process that was stopped for a while has not hung.
        silent_checks, beats = 0, self._beats
        while not self._stopped.wait(interval):
            self._report_calls()
            silent_checks = silent_checks + 1 if self._beats == beats else 0
            beats = self._beats
            if silent_checks >= CHECKS_PER_LIMIT:
                stack = traceback.format_stack(sys._current_frames()[self._loop_thread])
                log.critical("event_loop_stuck", stack="".join(stack))
                self._end_process()
                return

    def _report_calls(self) -> None:
        """Each call that takes too long once."""
        calls = dict(self._calls)
        self._reported &= calls.keys()
        for call, (stage, began) in calls.items():
            seconds = time.monotonic() - began
            if seconds > self._stuck_seconds and call not in self._reported:
                self._reported.add(call)
                metrics.STUCK_DEVICE_CALLS.labels(stage).inc()
                log.error("device_call_stuck", stage=stage, seconds=round(seconds, 1))
