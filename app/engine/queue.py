"""Which waiting windows the device works on next. A plain data structure: no threads, no clock.

Work comes in two stages, because they batch differently: *encoding* gains nothing from batches on
a CPU, *decoding* gains a lot. A window waits to be encoded in its request's line; requests take
turns. Encoded windows wait in `ready` until a decoding batch is worth starting.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.domain import Priority
from app.engine.model import BatchKey, DecodeOptions, Job

AGING_SECONDS = 10.0
"""Waiting this long is worth one class of priority, so that no class starves."""

Stage = Literal["encode", "detect", "decode"]


@dataclass(slots=True, eq=False)
class Ticket:
    """A job's place in the queue. `options` is None when only its language is wanted."""

    job: Job
    options: DecodeOptions | None
    key: BatchKey
    waiting_since: float
    """Seconds, on the clock that `next_step` is asked with."""
    is_cancelled: Callable[[], bool]
    answer: Any = None
    """Whatever the owner wants to find again when the ticket is done; untouched here."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call for the device; the tickets of a decoding step have equal keys."""

    stage: Stage
    tickets: Sequence[Ticket]


class Queue:
    """Fair turns among requests, priorities with aging, batches of equal keys."""

    def __init__(self, max_batch_size: int, encode_batch_size: int) -> None:
        self._max_batch_size = max_batch_size
        self._encode_batch_size = min(encode_batch_size, max_batch_size)
        self._lines: dict[Priority, OrderedDict[str, deque[Ticket]]] = {
            priority: OrderedDict() for priority in Priority
        }
        self._ready: list[Ticket] = []

    def __len__(self) -> int:
        """Windows that wait, cancelled ones that nobody has come across yet included."""
        lines = (line for turns in self._lines.values() for line in turns.values())
        return len(self._ready) + sum(len(line) for line in lines)

    def add(self, ticket: Ticket) -> None:
        """Put a ticket at the end of its request's line, or among the encoded ones."""
        if ticket.job.encoded is not None:
            self._ready.append(ticket)
            return
        turns = self._lines[ticket.job.priority]
        turns.setdefault(ticket.job.request_id, deque()).append(ticket)

    def discard(self, ticket: Ticket) -> None:
        """Forget a ticket whose caller left; one that is on the device is not here any more."""
        if ticket in self._ready:
            self._ready.remove(ticket)
        turns = self._lines[ticket.job.priority]
        line = turns.get(ticket.job.request_id)
        if line is not None and ticket in line:
            line.remove(ticket)
            if not line:
                del turns[ticket.job.request_id]

    def drain(self) -> list[Ticket]:
        """Take everything, for a server that stops."""
        lines = [line for turns in self._lines.values() for line in turns.values()]
        tickets = self._ready + [ticket for line in lines for ticket in line]
        self._ready = []
        for turns in self._lines.values():
            turns.clear()
        return tickets

    def next_step(self, now: float) -> Step | None:
        """What an idle device should do now; None if nothing waits."""
        self._ready = [ticket for ticket in self._ready if not ticket.is_cancelled()]
        asking = [ticket for ticket in self._ready if ticket.options is None]
        if asking:
            # One decoder step, and a whole request waits for it.
            return self._taken("detect", asking[: self._max_batch_size])
        batch = self._oldest_group(now)
        if batch and self._is_worth_decoding(batch, now):
            return self._taken("decode", batch)
        tickets = self._next_unencoded(now)
        if tickets:
            return Step("encode", tickets)
        return self._taken("decode", batch) if batch else None

    def _taken(self, stage: Stage, tickets: Sequence[Ticket]) -> Step:
        self._ready = [ticket for ticket in self._ready if ticket not in tickets]
        return Step(stage, tickets)

    def _oldest_group(self, now: float) -> list[Ticket]:
        """The batch of the ticket whose turn it is; the largest group would starve rare keys."""
        if not self._ready:
            return []
        first = min(self._ready, key=lambda ticket: _urgency(ticket, now))
        group = [ticket for ticket in self._ready if ticket.key == first.key]
        group.sort(key=lambda ticket: _urgency(ticket, now))
        return group[: self._max_batch_size]

    def _is_worth_decoding(self, batch: Sequence[Ticket], now: float) -> bool:
        """Decode now, or let the batch grow by encoding what waits?

        A full batch goes at once. A batch that is not full goes when somebody in it waits for
        nothing else and everybody who waits to be encoded has had a turn in it: then growing on
        would only serve requests that are in it anyway, at the cost of those that could be done.
        """
        if len(batch) >= self._max_batch_size or len(self._ready) >= 2 * self._max_batch_size:
            return True
        line = self._next_line(now)
        if line is None:
            return True
        if _urgency(batch[0], now)[0] < _urgency(line[0], now)[0]:
            return True
        inside = {ticket.job.request_id for ticket in batch}
        if line[0].job.request_id not in inside:
            return False
        return any(self._has_nothing_to_encode(ticket) for ticket in batch)

    def _has_nothing_to_encode(self, ticket: Ticket) -> bool:
        return ticket.job.request_id not in self._lines[ticket.job.priority]

    def _next_unencoded(self, now: float) -> list[Ticket]:
        tickets: list[Ticket] = []
        while len(tickets) < self._encode_batch_size:
            line = self._next_line(now)
            if line is None:
                break
            tickets.append(self._turn(line))
        return tickets

    def _next_line(self, now: float) -> deque[Ticket] | None:
        """The line of the request whose turn it is, without its cancelled heads."""
        heads = []
        for turns in self._lines.values():
            while turns:
                request_id, line = next(iter(turns.items()))
                while line and line[0].is_cancelled():
                    line.popleft()
                if line:
                    heads.append(line)
                    break
                del turns[request_id]
        return min(heads, key=lambda line: _urgency(line[0], now), default=None)

    def _turn(self, line: deque[Ticket]) -> Ticket:
        """Take the head of a line and send its request to the back."""
        ticket = line.popleft()
        turns = self._lines[ticket.job.priority]
        turns.move_to_end(ticket.job.request_id)
        if not line:
            del turns[ticket.job.request_id]
        return ticket


def _urgency(ticket: Ticket, now: float) -> tuple[int, float]:
    """Smaller goes first: the class, improved by waiting, then the longer wait."""
    aged = int((now - ticket.waiting_since) // AGING_SECONDS)
    return max(0, ticket.job.priority - aged), ticket.waiting_since
