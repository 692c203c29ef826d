"""The pace of a device: its measured time for a full window of sound."""

from collections.abc import Sequence
from math import ceil, exp

HORIZON_SECONDS = 30.0
"""Seconds of device time after which the weight of a measurement is 1/e of a new one's."""

FIXED_SHARE = 0.25
"""Share of a full window's device time that every window needs, however little of it is sound:
half where each window is encoded in full context, as encoding alone is 42 to 55 % of the time of
Whisper tiny and base on a CPU (docs/notes/engine.md), less elsewhere. Assumed and not measured:
callers choose the lengths of their windows, and whatever they choose, the estimate for other
lengths cannot rise by more than 1 / FIXED_SHARE."""

OUTLIER = 4.0
"""A call counts as no more than this many times the time that its windows need for all calls
together: one call that stood still does not change the estimate, a slower device soon does."""


class Pace:
    """Device time per second of sound in full windows: a mean with exponential decay.

    Encoding, decoding, language detection, retries and drafts all cost; a window counts once, when
    it is encoded. So the mean reflects fuller batches, doubtful recordings and live sessions.
    """

    def __init__(self, workers: int, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        """The longest window, which is one turn of a request on the device."""
        self._workers = workers
        self._busy = 0.0
        self._padded = 0.0

    def padded(self, seconds: float) -> float:
        """The seconds of sound in full windows that cost as much as so many seconds of a recording.

        Windows are as long as possible: a multiple of `window_seconds` costs as much as itself.
        """
        windows = ceil(seconds / self.window_seconds)
        return windows * self.window_seconds * FIXED_SHARE + seconds * (1 - FIXED_SHARE)

    def add(self, busy_seconds: float, windows: Sequence[float], new: Sequence[float]) -> None:
        """Add a call of one worker.

        `windows`: the lengths of all windows in the call, in seconds; `new`: of those that no call
        counted before.
        """
        if expected := self.cost * self._workers * self._sum(windows):
            busy_seconds = min(busy_seconds, OUTLIER * expected)
        fading = exp(-busy_seconds / HORIZON_SECONDS)
        self._busy = self._busy * fading + busy_seconds
        self._padded = self._padded * fading + self._sum(new)

    @property
    def cost(self) -> float:
        """Seconds of all workers together for a second of sound in full windows; 0 before the first
        measurement."""
        return self._busy / self._padded / self._workers if self._padded else 0.0

    def capacity(self) -> float:
        """Seconds of sound, in full windows, that all workers decode in a second; 0 before the
        first measurement."""
        return 1 / self.cost if self.cost else 0.0

    def _sum(self, windows: Sequence[float]) -> float:
        return sum(map(self.padded, windows))
