"""Admission control: a request is admitted only if it can be served in time.

The queue is bounded by the wait that a new request would meet, not by a number of requests: a
three-hour recording and a clip are not one and one. Waits are estimated in seconds of the device,
from the rest of every admitted recording and the measured pace of its model. Several models share
one device, so all of them count. Callers take turns on the device (engine/queue.py), so each is
judged by the wait that its own requests would meet. A caller of weight 3 has three turns in a row
and three times the share of uploads and sessions.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, inf

from app.audio.expected_length import Length
from app.domain import Priority
from app.engine.pace import Pace
from app.errors import AudioTooLong, Overloaded
from app.pipeline.deadline import Deadline
from app.setting_groups import LimitsSettings, LiveSettings
from app.telemetry import metrics

MAX_RETRY_SECONDS = 120
"""Longest `retry-after`: openai-python gives up at once on a longer one (docs/contract.md §4)."""

AHEAD_SHARE = 0.5
"""Share of `max_wait_seconds` up to which the estimated wait may grow and a request is still
admitted. Later arrivals can delay an admitted request by about as much again: requests take turns,
so the later ones go before its second and later windows. The other half is reserved for that."""

RETURN_SHARE = 0.75
"""The same for a caller that was refused and returns after its `retry-after`. New requests cannot
use the difference, however many come."""

RETURN_SECONDS = 30.0
"""Time after the `retry-after` in which RETURN_SHARE applies: the upload has to end within it."""


SESSION_FACTOR = 3
"""Live sessions of one caller for each free slot. More than for uploads, which end within seconds:
most servers have one busy key, which should not lose half of the slots to keys that never come."""


class Work:
    """Progress of one admitted recording, updated by the transcriber. Times in seconds."""

    def __init__(
        self,
        pace: Pace,
        length: Length,
        deadline: Deadline,
        max_recording_seconds: float | None = None,
        priority: Priority = Priority.INTERACTIVE,
        weight: int = 1,
    ) -> None:
        self.deadline = deadline
        self.priority = priority
        self.weight = weight
        self._pace = pace
        self._max_seconds = max_recording_seconds or inf
        self._claimed = length.seconds if length.is_claimed else 0.0
        self._expected = min(length.seconds, self._max_seconds)
        self._unread = self._expected
        self._waiting = 0.0
        self.decoded_seconds = 0.0
        """Length of the recording's part that the model has decoded, pauses included."""
        self.queue_seconds: float | None = None
        """Wait of the first window for the device; None until the window is there."""

    @property
    def padded_seconds(self) -> float:
        """Audio still to be read from the file, as estimated, and windows still to be decoded; in
        seconds of sound in full windows (`Pace.padded`)."""
        return self._pace.padded(self._unread) + self._waiting

    @property
    def device_seconds(self) -> float:
        """Estimated device time of `padded_seconds`."""
        return self.padded_seconds * self._pace.cost

    @property
    def turn_seconds(self) -> float:
        """Device time of one turn, which is a window."""
        return self._pace.window_seconds * self._pace.cost

    def mark_read(self, seconds: float) -> None:
        """Note that the first `seconds` of the recording are read from the file.

        Raises AudioTooLong for more than is allowed, and for a file that claims to have more.
        """
        self._unread = max(0.0, self._expected - seconds)
        longest = max(seconds, self._claimed)
        if longest > self._max_seconds:
            # OpenAI's words (docs/contract.md §1.6).
            raise AudioTooLong(
                f"audio duration {longest:.1f} seconds is longer than {self._max_seconds:g} "
                "seconds which is the maximum for this model"
            )

    def mark_read_to_end(self) -> None:
        """Note that nothing more will be read from the file."""
        self._unread = 0.0

    def add_window(self, seconds: float) -> None:
        """Count a window of that length that waits for the device."""
        self._waiting += self._pace.padded(seconds)

    def remove_window(self, seconds: float) -> None:
        """Count out a window of that length, which was decoded or dropped."""
        self._waiting -= self._pace.padded(seconds)

    def mark_decoded(self, until: float) -> None:
        """Note that the model has decoded the recording up to `until`."""
        self.decoded_seconds = max(self.decoded_seconds, until)


class Admission:
    """All admitted work of the process, and the decision on more. For the event loop only.

    `check_started` raises until the server can transcribe. `caller` is everywhere the id of a
    principal, and `weight` its weight. `clock`: seconds.
    """

    def __init__(
        self,
        limits: LimitsSettings,
        live: LiveSettings,
        check_started: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._check_started = check_started
        self._clock = clock
        self._max_sessions = live.max_sessions
        metrics.LIVE_SESSIONS_MAX.set(live.max_sessions)
        self._sessions = Counter[str]()
        """Live sessions, by caller."""
        self._works: dict[str, set[Work]] = {}
        """By caller; no set is empty."""
        self._uploads = Counter[str]()
        """Uploads in progress, by caller."""
        self._returns: OrderedDict[str, float] = OrderedDict()
        """When the `retry-after` of refused callers ends, the last refused at the end."""
        metrics.follow(metrics.BACKLOG_AUDIO_SECONDS, self.backlog_seconds)
        metrics.follow(metrics.ESTIMATED_WAIT_SECONDS, self.longest_wait_seconds)

    def backlog_seconds(self) -> float:
        """Admitted audio still to be decoded, in seconds of sound in full windows. Called by
        threads that read the metrics, too."""
        return sum(work.padded_seconds for works in self._admitted().values() for work in works)

    def longest_wait_seconds(self) -> float:
        """Estimated wait of a short recording of the caller that has most of them admitted; that of
        any other caller is not longer. Called by threads that read the metrics, too."""
        admitted = self._admitted(waited_for=True)
        if not admitted:
            return 0.0
        return self.wait_seconds(max(admitted, key=lambda caller: _ahead(admitted[caller], 0.0)))

    def wait_seconds(self, caller: str, own_seconds: float = 0.0, weight: int = 1) -> float:
        """Estimated wait of a new request of a caller that needs the device for `own_seconds`.

        Requests of a caller take turns of one window (engine/queue.py). So each admitted request
        delays the new one by at most the time that the new one takes itself, or by one window: a
        clip does not wait for the end of a recording of three hours. In the same way, callers take
        turns: each other caller delays the request by at most the time that the request and its
        own caller's before it take, or by one window, however many requests it has admitted; with
        weights, by as many times that as its weight is to the caller's, or as many windows.
        Recordings of jobs are not counted, as they go behind requests.
        """
        admitted = self._admitted(waited_for=True)
        ahead = _ahead(admitted.pop(caller, ()), own_seconds)
        others = 0.0
        for works in admitted.values():
            turn = max((work.turn_seconds for work in works), default=0.0)
            backlog = sum(work.device_seconds for work in works)
            share = max((work.weight for work in works), default=1)
            others += min(backlog, share * max((ahead + own_seconds) / weight, turn))
        return ahead + others

    def _admitted(self, *, waited_for: bool = False) -> dict[str, list[Work]]:
        """A copy, for threads that read it while the event loop changes the original; `waited_for`:
        only of recordings that are before those of requests.
        """
        least = Priority.INTERACTIVE if waited_for else Priority.BULK
        admitted = {
            caller: [work for work in list(works) if work.priority <= least]
            for caller, works in list(self._works.items())
        }
        return {caller: works for caller, works in admitted.items() if works}

    @contextmanager
    def upload(
        self, caller: str, weight: int = 1, priority: Priority = Priority.INTERACTIVE
    ) -> Iterator[None]:
        """Hold a slot for one upload. Raises Overloaded if its request would be refused anyway,
        which those of jobs are not.

        A caller that holds more slots than are free gets no other. So one caller holds at most
        about half of them, and there are always slots for the next. (The dynamic threshold of
        Choudhury and Hahne, doi:10.1109/90.664262, with a factor of `weight`.)
        """
        if priority != Priority.BULK:
            self._check_started()
        free = self._limits.max_uploads - self._uploads.total()
        if not free or self._uploads[caller] > free * weight:
            metrics.REFUSED_REQUESTS.labels("uploads").inc()
            raise Overloaded("The server receives too many uploads. Please retry.")
        if priority != Priority.BULK:
            self._check_wait(caller, weight=weight)
        with _counted(self._uploads, caller):
            yield

    @contextmanager
    def session(self, caller: str, weight: int = 1) -> Iterator[None]:
        """Hold a slot for one live session. Raises Overloaded if all are in use, and for a caller
        that has SESSION_FACTOR times as many as are free.

        So one caller holds at most three quarters, and the next one three quarters of the rest.
        Live sessions are not part of the estimated wait: their speech comes no faster than it is
        spoken.
        """
        self._check_started()
        free = self._max_sessions - self._sessions.total()
        if not free or self._sessions[caller] >= free * SESSION_FACTOR * weight:
            metrics.REFUSED_REQUESTS.labels("sessions").inc()
            raise Overloaded("The server has as many live sessions as it can take. Please retry.")
        metrics.LIVE_SESSIONS_OPENED.inc()
        with _counted(self._sessions, caller):
            yield

    @contextmanager
    def work(
        self,
        caller: str,
        pace: Pace,
        lengths: Sequence[Length],
        deadline: Deadline,
        priority: Priority = Priority.INTERACTIVE,
        weight: int = 1,
    ) -> Iterator[tuple[Work, ...]]:
        """Admit the recordings of one request, and count them until the context is left.

        Raises Overloaded if the estimated wait is too long; an idle server admits any request, and
        jobs wait.
        """
        limit = self._limits.max_recording_seconds
        works = tuple(Work(pace, length, deadline, limit, priority, weight) for length in lengths)
        if priority != Priority.BULK:
            self._check_wait(caller, sum(work.device_seconds for work in works), weight)
        if self._has_returned(caller):
            del self._returns[caller]
        self._works.setdefault(caller, set()).update(works)
        try:
            yield works
        finally:
            self._works[caller].difference_update(works)
            if not self._works[caller]:
                del self._works[caller]

    def _check_wait(self, caller: str, own_seconds: float = 0.0, weight: int = 1) -> None:
        wait = self.wait_seconds(caller, own_seconds, weight)
        share = RETURN_SHARE if self._has_returned(caller) else AHEAD_SHARE
        excess = wait - self._limits.max_wait_seconds * share
        if excess <= 0:
            return
        retry_after = min(MAX_RETRY_SECONDS, ceil(excess))
        self._note_refusal(caller, retry_after)
        metrics.REFUSED_REQUESTS.labels("wait").inc()
        raise Overloaded(
            f"The server is busy: the request would wait for at least {wait:.0f} seconds. "
            "Please retry later.",
            retry_after_seconds=retry_after,
        )

    def _has_returned(self, caller: str) -> bool:
        """Was the caller refused, and has its `retry-after` ended not long ago?"""
        return 0 <= self._clock() - self._returns.get(caller, inf) < RETURN_SECONDS

    def _note_refusal(self, caller: str, retry_after: float) -> None:
        """Note when the caller is to return; a time noted before, and still to come, is kept."""
        now = self._clock()
        noted = self._returns.pop(caller, -inf)
        self._returns[caller] = min(noted, now + retry_after) if noted > now else now + retry_after
        while next(iter(self._returns.values())) + RETURN_SECONDS < now:
            self._returns.popitem(last=False)


@contextmanager
def _counted(slots: Counter[str], caller: str) -> Iterator[None]:
    """Count a slot of the caller until the context is left."""
    slots[caller] += 1
    try:
        yield
    finally:
        slots[caller] -= 1
        if not slots[caller]:
            del slots[caller]


def _ahead(works: Iterable[Work], own_seconds: float) -> float:
    """Device time of a caller's admitted works before the end of a new one of `own_seconds`."""
    return sum(min(work.device_seconds, max(own_seconds, work.turn_seconds)) for work in works)
