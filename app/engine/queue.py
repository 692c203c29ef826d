"""Which waiting windows the device works on next. A plain data structure: no threads, no clock.

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
from app.telemetry.tracing import Place

AGING_SECONDS = 10.0
"""Waiting this long is worth one class of priority, so that no class starves."""

FIRST_WINDOWS = 4
"""So many windows at its start make a request urgent: a clip is over then, a recording is not."""

Stage = Literal["encode", "detect", "decode"]


@dataclass(slots=True, eq=False)
class Ticket:
    """A job's place in the queue. `options` is None when only its language is wanted."""

    job: Job
    options: DecodeOptions | None
    key: BatchKey
    waiting_since: float
    """Since when it waits for its turn and not for others of its own request; seconds, on the
    clock that `next_step` is asked with."""
    is_cancelled: Callable[[], bool]
    answer: Any = None
    """Whatever the owner wants to find again when the ticket is done; untouched here."""
    place: Place | None = None
    """In its request's trace."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call for the device; the tickets of a decoding step have equal keys."""

    stage: Stage
    tickets: Sequence[Ticket]


Line = deque[Ticket]


class _Turns:
    """The lines of requests of one priority; who was served goes to the back."""

    def __init__(self, bypass_limit: int) -> None:
        self._bypass_limit = bypass_limit
        self._bypassed = 0
        self._beginning: OrderedDict[str, Line] = OrderedDict()
        self._going_on: OrderedDict[str, Line] = OrderedDict()
        self.count = 0
        """Of all tickets. Kept, since threads that read the metrics may not walk through the lines
        while the event loop changes them."""

    def _lines(self, ticket: Ticket) -> OrderedDict[str, Line]:
        return self._beginning if ticket.job.position < FIRST_WINDOWS else self._going_on

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
        lines = (*self._beginning.values(), *self._going_on.values())
        return [ticket for line in lines for ticket in line]

    def heads(self) -> list[Ticket]:
        lines = (*self._beginning.values(), *self._going_on.values())
        return [ticket for line in lines for ticket in tuple(line)[:1]]

    def clear(self) -> None:
        self._beginning.clear()
        self._going_on.clear()
        self.count = 0

    def has_request(self, request_id: str) -> bool:
        return request_id in self._beginning or request_id in self._going_on

    def goes_on(self, request_id: str) -> bool:
        return request_id in self._going_on

    def next(self) -> Ticket | None:
        """Whose turn it is. Recordings that go on get one turn in each batch at the least."""
        beginning, going_on = self._head(self._beginning), self._head(self._going_on)
        if beginning is None or (going_on and self._bypassed >= self._bypass_limit):
            return going_on
        return beginning

    def take(self, ticket: Ticket, now: float) -> None:
        """Serve the ticket that `next` named and send its request to the back."""
        lines = self._lines(ticket)
        if lines is self._beginning and self._going_on:
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
        """The first ticket whose caller is still there; those before it are dropped."""
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
    """Fair turns among requests, priorities with aging, batches of equal keys."""

    def __init__(self, max_batch_size: int, encode_batch_size: int) -> None:
        self._max_batch_size = max_batch_size
        self._encode_batch_size = min(encode_batch_size, max_batch_size)
        self._turns = {priority: _Turns(max_batch_size) for priority in Priority}
        self._ready: list[Ticket] = []

    def __len__(self) -> int:
        """Windows that wait, cancelled ones that nobody has come across yet included."""
        return len(self._ready) + sum(turns.count for turns in self._turns.values())

    def most_in(self, stage: Stage) -> int:
        """Windows that one call can hold."""
        return self._encode_batch_size if stage == "encode" else self._max_batch_size

    def waiting_since(self) -> list[float]:
        """Of the tickets that wait for the device and not for others of their own request.

        For whatever thread reads the metrics, too.
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
        """Forget a ticket whose caller left; one that is on the device is not here any more."""
        if ticket in self._ready:
            self._ready.remove(ticket)
        self._turns[ticket.job.priority].discard(ticket)

    def drain(self) -> list[Ticket]:
        """Take everything, for a server that stops."""
        tickets = list(self._ready)
        self._ready = []
        for turns in self._turns.values():
            tickets += turns.tickets()
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
        tickets = self._take_unencoded(now)
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
        nothing else or for its first words, and what would come next is only more of a request
        that is in it anyway, or of a recording that goes on: growing would delay those.
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
        """The end of a request, or the first words of a recording that goes on."""
        turns, request_id = self._turns[ticket.job.priority], ticket.job.request_id
        if ticket.job.position == 0:
            return turns.goes_on(request_id) or not turns.has_request(request_id)
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
    """Smaller goes first: the class, improved by waiting, then the longer wait."""
    aged = int((now - ticket.waiting_since) // AGING_SECONDS)
    return max(0, ticket.job.priority - aged), ticket.waiting_since
