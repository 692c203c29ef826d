"""How much of something was used in the last minute, in slots that amounts can be taken back from.

A log of every single amount would be exact, but unbounded; a counter per minute would let twice
the limit through around its end. In slots of half a second an amount counts for 59.5 to 60 seconds,
and never longer: openai-node does not obey a `retry-after` of more than 60 (docs/contract.md §4.1).
"""

from dataclasses import dataclass

WINDOW_SECONDS = 60.0
"""Limits are per minute, as OpenAI's are."""

SLOTS = 120
"""Of one window, the one that has begun included."""

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
    """The amounts of one caller. `now` is in seconds of any clock that does not go back."""

    __slots__ = ("_amounts", "_slot_seconds")

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._slot_seconds = seconds / SLOTS
        self._amounts: dict[int, float] = {}

    def take(self, now: float, claim: Claim) -> Level:
        """Adds what is claimed if there is room for it."""
        slot = int(now / self._slot_seconds)
        for old in [at for at in self._amounts if at <= slot - SLOTS]:
            del self._amounts[old]
        # A running total would add up the errors of fractions.
        used = sum(self._amounts.values())
        wait = self._wait(now, used, claim)
        if wait == 0 and claim.amount:
            self._amounts[slot] = self._amounts.get(slot, 0.0) + claim.amount
            used += claim.amount
        reset = self._end(next(iter(self._amounts))) - now if self._amounts else 0.0
        return Level(wait == 0, used, reset, wait, slot)

    def give_back(self, slot: int, amount: float) -> None:
        """Nothing if the slot has left the window meanwhile."""
        if slot in self._amounts:
            self._amounts[slot] -= amount

    def is_empty(self, now: float) -> bool:
        """Nothing counts any more."""
        return not self._amounts or self._end(max(self._amounts)) <= now

    def _wait(self, now: float, used: float, claim: Claim) -> float:
        left, wait = used, 0.0
        for at, amount in self._amounts.items():
            if left + claim.needed <= claim.limit + ROUNDING and left < claim.limit:
                break
            left -= amount
            wait = self._end(at) - now
        return wait

    def _end(self, slot: int) -> float:
        """When the slot leaves the window."""
        return (slot + SLOTS) * self._slot_seconds
