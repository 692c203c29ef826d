"""How much of something was used in the last minute, in slots that amounts can be taken back from.

A log of every single amount would be exact, but unbounded; a counter per minute would let twice
the limit through around its end. Slots of a second are small and never let more than the limit
through in any minute: what was used counts for 60 to 61 seconds.
"""

from dataclasses import dataclass

SLOTS = 60
"""Of one window, besides the one that has begun."""

ROUNDING = 1e-6
"""So far sums of fractions may be off; `take.lua` has the same number."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caller wants of a window."""

    limit: float
    """Of all that is in the window."""
    amount: float
    """Is added if there is room."""
    needed: float
    """The room that there must be, at most `limit`. There must always be some, even for 0."""


@dataclass(frozen=True, slots=True)
class Level:
    """How full a window is once a claim has been judged."""

    is_accepted: bool
    used: float
    """With what was claimed, if that was accepted."""
    reset_seconds: float
    """Until the oldest amount leaves the window; 0 if it is empty."""
    wait_seconds: float
    """Until the claim would be accepted; 0 if it was."""
    slot: int
    """Where the amount is, for whoever gives some of it back."""


class Window:
    """The amounts of one caller. Does not know the time: it is told in slots, which only grow."""

    __slots__ = ("_amounts", "_used")

    def __init__(self) -> None:
        self._amounts: dict[int, float] = {}
        self._used = 0.0

    def take(self, now: float, claim: Claim) -> Level:
        """`now` and all waits of the answer count in slots, not in seconds."""
        slot = int(now)
        for old in [at for at in self._amounts if at < slot - SLOTS]:
            del self._amounts[old]
        # Not subtracted: the errors of fractions would add up.
        self._used = sum(self._amounts.values())
        wait = self._wait(now, claim)
        if wait == 0 and claim.amount:
            self._amounts[slot] = self._amounts.get(slot, 0.0) + claim.amount
            self._used += claim.amount
        reset = _leaves(next(iter(self._amounts))) - now if self._amounts else 0.0
        return Level(wait == 0, self._used, reset, wait, slot)

    def give_back(self, slot: int, amount: float) -> None:
        """Nothing if the slot has left the window meanwhile."""
        if slot in self._amounts:
            self._amounts[slot] -= amount

    def is_empty(self, now: float) -> bool:
        """Nothing counts any more."""
        return not self._amounts or _leaves(max(self._amounts)) <= now

    def _wait(self, now: float, claim: Claim) -> float:
        left, wait = self._used, 0.0
        for at, amount in self._amounts.items():
            if left + claim.needed <= claim.limit + ROUNDING and left < claim.limit:
                break
            left -= amount
            wait = _leaves(at) - now
        return wait


def _leaves(slot: int) -> int:
    """The time, in slots, from which on this slot does not count."""
    return slot + SLOTS + 1
