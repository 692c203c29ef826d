"""The pace of a device: its measured time per second of sound."""

from math import exp

HORIZON_SECONDS = 30.0
"""Seconds of device time after which the weight of a measurement is 1/e of a new one's."""


class Pace:
    """Device time per second of sound with one model: a mean with exponential decay.

    Encoding, decoding, language detection, retries and drafts all cost; a second of sound counts
    once, when its window is encoded. So the mean reflects fuller batches, doubtful recordings and
    live sessions.
    """

    def __init__(self, workers: int, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        """The longest window, which is one turn of a request on the device."""
        self._workers = workers
        self._busy = 0.0
        self._sound = 0.0

    def add(self, busy_seconds: float, sound_seconds: float) -> None:
        """Add a call of one worker: its duration, and the seconds of sound not counted before."""
        fading = exp(-busy_seconds / HORIZON_SECONDS)
        self._busy = self._busy * fading + busy_seconds
        self._sound = self._sound * fading + sound_seconds

    @property
    def cost(self) -> float:
        """Seconds of all workers together for a second of sound; 0 before the first measurement."""
        return self._busy / self._sound / self._workers if self._sound else 0.0

    def capacity(self) -> float:
        """Seconds of sound that all workers decode in a second; 0 before the first measurement."""
        return 1 / self.cost if self.cost else 0.0
