"""A clock that tests move."""


class Clock:
    """`time.monotonic` for what is tested; `clock.now += 5.0` lets five seconds pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now
