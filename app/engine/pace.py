"""How fast the device works: what a second of sound costs, from what it really took."""

from math import exp

HORIZON_SECONDS = 30.0
"""Seconds of device time after which a measurement counts a third (1/e) of a new one."""


class Pace:
    """The cost of one model's work: a mean in which what is new counts most.

    Encoding, decoding, language detection, retries and drafts all cost; a second of sound counts
    once, when its window is encoded. So fuller batches and doubtful recordings both show, and so
    does what live sessions take of the device.
    """

    def __init__(self, workers: int, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        """The longest window: what a request puts on the device when it is its turn."""
        self._workers = workers
        self._busy = 0.0
        self._sound = 0.0

    def add(self, busy_seconds: float, sound_seconds: float) -> None:
        """One worker was busy so long; `sound_seconds` of sound came in with it."""
        fading = exp(-busy_seconds / HORIZON_SECONDS)
        self._busy = self._busy * fading + busy_seconds
        self._sound = self._sound * fading + sound_seconds

    @property
    def cost(self) -> float:
        """Seconds that all workers together need for a second of sound; 0 if nobody knows yet."""
        return self._busy / self._sound / self._workers if self._sound else 0.0

    def capacity(self) -> float:
        """Seconds of sound that all workers together hear in a second; 0 if nobody knows yet."""
        return 1 / self.cost if self.cost else 0.0
