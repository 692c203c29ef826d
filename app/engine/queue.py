"""Order and batches of the windows that wait for the device. A plain data structure: no threads,
no clock.

Work comes in two stages, because they batch differently: *encoding* gains nothing from batches on
a CPU, *decoding* gains a lot. A window waits to be encoded in its request's line; requests take
turns, and the first windows of a request go before the later ones of long recordings. Encoded
windows wait in `ready` until a decoding batch is worth starting.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.domain import Priority
from app.engine.speech_model import BatchKey, DecodeOptions, Job
from app.telemetry.tracing import TraceAnchor

AGING_SECONDS = 10.0
"""Wait that raises a ticket by one class of priority, so that no class starves."""

FIRST_WINDOWS = 4
"""Windows at the start of a request that go before later ones: as many as a clip has."""

Stage = Literal["encode", "detect", "decode"]


@dataclass(slots=True, eq=False)
class Ticket:
    """A job in the queue. `options` is None if only the language is to be detected."""

    job: Job
    options: DecodeOptions | None
    key: BatchKey
    waiting_since: float
    """Moment when the ticket became head of its request's line, in seconds; drives the ageing of
    priorities. Same clock as `next_step(now)`."""
    is_cancelled: Callable[[], bool]
    answer: Any = None
    """The owner's handle for the result; not used by the queue."""
    trace: TraceAnchor | None = None
    """Parent of the window's spans."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call for the device; the tickets of a decoding step have equal keys."""

    stage: Stage
    tickets: Sequence[Ticket]


Line = deque[Ticket]


class _Turns:
    """The lines of requests of one priority; a request that was served goes to the back."""

    def __init__(self, bypass_limit: int) -> None:
        self._bypass_limit = bypass_limit
        self._bypassed = 0
        self._first: OrderedDict[str, Line] = OrderedDict()
        self._later: OrderedDict[str, Line] = OrderedDict()
        self.count = 0
        """Number of tickets. Kept, since threads that read the metrics may not iterate over the
        lines while the event loop changes them."""

    def _lines(self, ticket: Ticket) -> OrderedDict[str, Line]:
        return self._first if ticket.job.position < FIRST_WINDOWS else self._later

    def add(self, ticket: Ticket) -> None:
        self._lines(ticket).setdefault(ticket.job.request_id, deque()).append(ticket)
        self.count += 1

    def discard(self, ticket: Ticket) -> None:
        lines = self._lines(ticket)
        line = lines.get(ticket.job.request_id, deque())
        if ticket in line:
            line.remove(ticket)
            self.count -= 1
            if not line:
                del lines[ticket.job.request_id]

    def tickets(self) -> list[Ticket]:
        lines = (*self._first.values(), *self._later.values())
        return [ticket for line in lines for ticket in line]

    def heads(self) -> list[Ticket]:
        lines = (*self._first.values(), *self._later.values())
        return [ticket for line in lines for ticket in tuple(line)[:1]]

    def clear(self) -> None:
        self._first.clear()
        self._later.clear()
        self.count = 0

    def has_request(self, request_id: str) -> bool:
        return request_id in self._first or request_id in self._later

    def has_later(self, request_id: str) -> bool:
        return request_id in self._later

    def next(self) -> Ticket | None:
        """The ticket whose turn it is. Each batch has at least one turn for later windows."""
        first, later = self._head(self._first), self._head(self._later)
        if first is None or (later and self._bypassed >= self._bypass_limit):
            return later
        return first

    def take(self, ticket: Ticket, now: float) -> None:
        """Remove the ticket that `next` returned and move its request to the back."""
        lines = self._lines(ticket)
        if lines is self._first and self._later:
            self._bypassed += 1
        else:
            self._bypassed = 0
        line = lines[ticket.job.request_id]
        line.popleft()
        self.count -= 1
        lines.move_to_end(ticket.job.request_id)
        if line:
            line[0].waiting_since = max(line[0].waiting_since, now)
        else:
            del lines[ticket.job.request_id]

    def _head(self, lines: OrderedDict[str, Line]) -> Ticket | None:
        """The first ticket that is not cancelled; cancelled ones before it are dropped."""
        while lines:
            request_id, line = next(iter(lines.items()))
            while line and line[0].is_cancelled():
                line.popleft()
                self.count -= 1
            if line:
                return line[0]
            del lines[request_id]
        return None


class Queue:
    """Fair turns among requests, priorities with ageing, batches of equal keys."""

    def __init__(self, max_batch_size: int, encode_batch_size: int) -> None:
        self._max_batch_size = max_batch_size
        self._encode_batch_size = min(encode_batch_size, max_batch_size)
        self._turns = {priority: _Turns(max_batch_size) for priority in Priority}
        self._ready: list[Ticket] = []

    def __len__(self) -> int:
        """Number of waiting windows, including cancelled ones that are not dropped yet."""
        return len(self._ready) + sum(turns.count for turns in self._turns.values())

    def max_batch(self, stage: Stage) -> int:
        """Largest number of windows in one call."""
        return self._encode_batch_size if stage == "encode" else self._max_batch_size

    def waiting_since(self) -> list[float]:
        """`Ticket.waiting_since` of all encoded tickets and of the head of each request's line.

        Also called by threads that read the metrics.
        """
        heads = [head for turns in self._turns.values() for head in turns.heads()]
        return [ticket.waiting_since for ticket in (*self._ready, *heads)]

    def add(self, ticket: Ticket) -> None:
        """Put a ticket at the end of its request's line, or among the encoded ones."""
        if ticket.job.encoded is not None:
            self._ready.append(ticket)
        else:
            self._turns[ticket.job.priority].add(ticket)

    def discard(self, ticket: Ticket) -> None:
        """Remove a ticket, if it waits; a ticket on the device does not."""
        if ticket in self._ready:
            self._ready.remove(ticket)
        self._turns[ticket.job.priority].discard(ticket)

    def drain(self) -> list[Ticket]:
        """Remove and return all tickets."""
        tickets = list(self._ready)
        self._ready = []
        for turns in self._turns.values():
            tickets += turns.tickets()
            turns.clear()
        return tickets

    def next_step(self, now: float) -> Step | None:
        """Remove and return the next batch for an idle device; None if nothing waits."""
        self._ready = [ticket for ticket in self._ready if not ticket.is_cancelled()]
        to_detect = [ticket for ticket in self._ready if ticket.options is None]
        if to_detect:
            # One decoder step, and a whole request waits for it.
            return self._take_ready("detect", to_detect[: self._max_batch_size])
        batch = self._oldest_group(now)
        if batch and self._is_worth_decoding(batch, now):
            return self._take_ready("decode", batch)
        tickets = self._take_unencoded(now)
        if tickets:
            return Step("encode", tickets)
        return self._take_ready("decode", batch) if batch else None

    def _take_ready(self, stage: Stage, tickets: Sequence[Ticket]) -> Step:
        self._ready = [ticket for ticket in self._ready if ticket not in tickets]
        return Step(stage, tickets)

    def _oldest_group(self, now: float) -> list[Ticket]:
        """The batch of the most urgent ticket: the largest group would starve rare keys."""
        if not self._ready:
            return []
        first = min(self._ready, key=lambda ticket: _urgency(ticket, now))
        group = [ticket for ticket in self._ready if ticket.key == first.key]
        group.sort(key=lambda ticket: _urgency(ticket, now))
        return group[: self._max_batch_size]

    def _is_worth_decoding(self, batch: Sequence[Ticket], now: float) -> bool:
        """Decode now, or let the batch grow by encoding waiting windows first?

        A full batch is decoded at once. A smaller one is if it completes a request or has the first
        window of one, and the next window to encode would only be a further one of a request in the
        batch, or a later one of a recording: growing would delay the former.
        """
        if len(batch) >= self._max_batch_size or len(self._ready) >= 2 * self._max_batch_size:
            return True
        coming = self._next_unencoded(now)
        if coming is None:
            return True
        if batch[0].job.priority < coming.job.priority:
            return True
        inside = {ticket.job.request_id for ticket in batch}
        if coming.job.position < FIRST_WINDOWS and coming.job.request_id not in inside:
            return False
        return any(self._waits_only_for_this(ticket) for ticket in batch)

    def _waits_only_for_this(self, ticket: Ticket) -> bool:
        """Is it the last waiting window of a request, or the first of a long recording?"""
        turns, request_id = self._turns[ticket.job.priority], ticket.job.request_id
        if ticket.job.position == 0:
            return turns.has_later(request_id) or not turns.has_request(request_id)
        return not turns.has_request(request_id)

    def _take_unencoded(self, now: float) -> list[Ticket]:
        tickets: list[Ticket] = []
        while len(tickets) < self._encode_batch_size:
            ticket = self._next_unencoded(now)
            if ticket is None:
                break
            self._turns[ticket.job.priority].take(ticket, now)
            tickets.append(ticket)
        return tickets

    def _next_unencoded(self, now: float) -> Ticket | None:
        heads = [head for turns in self._turns.values() if (head := turns.next())]
        return min(heads, key=lambda head: _urgency(head, now), default=None)


def _urgency(ticket: Ticket, now: float) -> tuple[int, float]:
    """Sort key, smaller goes first: the priority class, raised by ageing, then the longer wait."""
    aged = int((now - ticket.waiting_since) // AGING_SECONDS)
    return max(0, ticket.job.priority - aged), ticket.waiting_since
