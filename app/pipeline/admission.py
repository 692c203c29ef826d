"""What is taken on and what is refused: work that is admitted must be served in time.

The queue is bounded by the wait that a new request would meet, not by a number of requests: a
three-hour recording and a clip are not one and one. Waits are estimated in seconds of the device,
from what is left of every admitted recording and the measured pace of its model. Several models
share one device, so all of them count.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, inf

from app.audio.expected_length import Length
from app.engine.pace import Pace
from app.errors import AudioTooLong, Overloaded
from app.pipeline.deadline import Deadline
from app.settings import LimitsSettings, LiveSettings
from app.telemetry import metrics

MAX_RETRY_SECONDS = 120
"""openai-python gives up at once when it is told to wait longer (docs/contract.md §4)."""

AHEAD_SHARE = 0.5
"""Of the longest wait, for work that is there already. The rest is for those who come later:
requests take turns, so they go before the second and later windows of one that is waiting, and in
a steady overload take up to as much again."""


class Work:
    """One admitted recording: what is left of it, told by who transcribes it. Times in seconds."""

    def __init__(
        self,
        pace: Pace,
        length: Length,
        deadline: Deadline,
        max_recording_seconds: float | None = None,
    ) -> None:
        self.deadline = deadline
        self._pace = pace
        self._max_seconds = max_recording_seconds or inf
        self._claimed = length.seconds if length.is_claimed else 0.0
        self._expected = min(length.seconds, self._max_seconds)
        self._unread = self._expected
        self._waiting = 0.0
        self.heard_seconds = 0.0
        """How far the recording was heard, pauses included."""
        self.queue_seconds: float | None = None
        """How long the first window waited for the device; None until it was there."""

    @property
    def audio_seconds(self) -> float:
        """What is not decoded yet, as far as is known, and the windows that are not heard yet."""
        return self._unread + self._waiting

    @property
    def device_seconds(self) -> float:
        return self.audio_seconds * self._pace.cost

    @property
    def turn_seconds(self) -> float:
        """Device time of one turn, which is a window."""
        return self._pace.window_seconds * self._pace.cost

    def read(self, seconds: float) -> None:
        """So much of the recording is decoded by now.

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

    def read_to_end(self) -> None:
        self._unread = 0.0

    def queued(self, seconds: float) -> None:
        """A window of that length waits for the device."""
        self._waiting += seconds

    def done(self, seconds: float) -> None:
        """A window that was queued is heard or dropped."""
        self._waiting -= seconds

    def heard(self, until: float) -> None:
        """So far the recording was heard."""
        self.heard_seconds = max(self.heard_seconds, until)


class Admission:
    """All work of the process, and whether more can be taken on. Lives on the event loop.

    `check_started` raises as long as the server cannot work yet.
    """

    def __init__(
        self,
        limits: LimitsSettings,
        live: LiveSettings,
        check_started: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._check_started = check_started
        self._max_sessions = live.max_sessions
        metrics.LIVE_SESSIONS_MAX.set(live.max_sessions)
        self._session_count = 0
        self._works: set[Work] = set()
        self._upload_count = 0
        metrics.BACKLOG_AUDIO_SECONDS.set_function(self.backlog_seconds)
        metrics.ESTIMATED_WAIT_SECONDS.set_function(self.wait_seconds)

    def backlog_seconds(self) -> float:
        """Audio that is admitted and still to be heard. Called by who reads the metrics, too."""
        return sum(work.audio_seconds for work in list(self._works))

    def wait_seconds(self, own_seconds: float = 0.0) -> float:
        """How long those before it would hold up a request that takes the device `own_seconds`.

        Requests take turns of one window (engine/queue.py). So of each other one no more goes
        first than the new one takes itself, or one window: a clip does not wait for the end of
        somebody's three hours.
        """
        return sum(
            min(work.device_seconds, max(own_seconds, work.turn_seconds))
            for work in list(self._works)
        )

    @contextmanager
    def upload(self) -> Iterator[None]:
        """A place to receive one body. Raises Overloaded where it would be received in vain."""
        self._check_started()
        if self._upload_count >= self._limits.max_uploads:
            metrics.REFUSED_REQUESTS.labels("uploads").inc()
            raise Overloaded("The server receives too many uploads. Please retry.")
        self._check_wait()
        self._upload_count += 1
        try:
            yield
        finally:
            self._upload_count -= 1

    @contextmanager
    def session(self) -> Iterator[None]:
        """A place for one live session. Raises Overloaded if there is none.

        They are not part of the wait: what they need of the device is as short as their speech.
        """
        self._check_started()
        if self._session_count >= self._max_sessions:
            metrics.REFUSED_REQUESTS.labels("sessions").inc()
            raise Overloaded("The server has as many live sessions as it can take. Please retry.")
        self._session_count += 1
        try:
            yield
        finally:
            self._session_count -= 1

    @contextmanager
    def work(
        self, pace: Pace, lengths: Sequence[Length], deadline: Deadline
    ) -> Iterator[tuple[Work, ...]]:
        """The recordings of one request, in the count for as long as the context is open.

        Raises Overloaded if others would hold them up for too long; an idle server takes all.
        """
        limit = self._limits.max_recording_seconds
        works = tuple(Work(pace, length, deadline, limit) for length in lengths)
        self._check_wait(sum(work.device_seconds for work in works))
        self._works.update(works)
        try:
            yield works
        finally:
            self._works.difference_update(works)

    def _check_wait(self, own_seconds: float = 0.0) -> None:
        wait = self.wait_seconds(own_seconds)
        excess = wait - self._limits.max_wait_seconds * AHEAD_SHARE
        if excess > 0:
            metrics.REFUSED_REQUESTS.labels("wait").inc()
            raise Overloaded(
                f"The server is busy: the request would wait for at least {wait:.0f} seconds. "
                "Please retry later.",
                retry_after_seconds=min(MAX_RETRY_SECONDS, ceil(excess)),
            )
