"""Detection of a device call that hangs, and of an event loop that hangs.

`/health/live` fails on a hung device call. With a hung event loop it does not answer, which fails
the probe too; but outside Kubernetes there may be no probe, so the watchdog's thread ends the
process then: a port that is open and does not answer is worse than one that is closed.
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
    """End the process at once: an orderly end would need the event loop."""
    sys.stderr.flush()
    os._exit(os.EX_SOFTWARE)


class Watchdog:
    """A context manager around an event loop, whose thread enters it.

    The loop must call `beat` several times within `stuck_seconds`. `clock`: monotonic seconds.
    """

    def __init__(
        self,
        stuck_seconds: float,
        end_process: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stuck_seconds = stuck_seconds
        self._end_process = end_process
        self._clock = clock
        self._calls: dict[object, tuple[str, float]] = {}
        self._reported: set[object] = set()
        self._beats = 0
        self._checked_beats = 0
        """Beats at the last check."""
        self._silent_checks = 0
        """Checks in a row without a beat before them."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._loop_thread = 0
        metrics.follow(metrics.OLDEST_DEVICE_CALL_SECONDS, lambda: self.oldest_call_seconds)

    def __enter__(self) -> "Watchdog":
        self._loop_thread = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def beat(self) -> None:
        """Note that the event loop runs."""
        self._beats += 1

    @contextmanager
    def call(self, stage: str) -> Iterator[None]:
        """Watch a device call while the context is open."""
        call = object()
        self._calls[call] = (stage, self._clock())
        try:
            yield
        finally:
            del self._calls[call]

    @property
    def oldest_call_seconds(self) -> float:
        """Duration of the oldest call on the device so far; 0 if there is none."""
        now = self._clock()
        return now - min((began for _, began in list(self._calls.values())), default=now)

    @property
    def is_stuck(self) -> bool:
        """Has a call been on the device for longer than `stuck_seconds`?"""
        return self.oldest_call_seconds > self._stuck_seconds

    def _watch(self) -> None:
        self._checked_beats = self._beats
        while not self._stopped.wait(self._stuck_seconds / CHECKS_PER_LIMIT):
            if self.check():
                return

    def check(self) -> bool:
        """Report calls that hang; end the process and return True if the event loop hangs.

        The watchdog's thread calls this `CHECKS_PER_LIMIT` times in `stuck_seconds`.
        """
        self._report_calls()
        # In checks and not on the clock: a process that was stopped for a while has not hung.
        self._silent_checks = 0 if self._beats != self._checked_beats else self._silent_checks + 1
        self._checked_beats = self._beats
        if self._silent_checks < CHECKS_PER_LIMIT:
            return False
        stack = traceback.format_stack(sys._current_frames()[self._loop_thread])
        log.critical("event_loop_stuck", stack="".join(stack))
        self._end_process()
        return True

    def _report_calls(self) -> None:
        """Report each call that takes too long, once."""
        calls = dict(self._calls)
        self._reported &= calls.keys()
        for call, (stage, began) in calls.items():
            seconds = self._clock() - began
            if seconds > self._stuck_seconds and call not in self._reported:
                self._reported.add(call)
                metrics.STUCK_DEVICE_CALLS.labels(stage).inc()
                log.error("device_call_stuck", stage=stage, seconds=round(seconds, 1))
