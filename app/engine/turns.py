"""Turns of callers at the encoder, and of each caller's requests."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from app.engine.speech_model import BatchKey, DecodeOptions, Job
from app.telemetry.tracing import TraceAnchor

FIRST_WINDOWS = 4
"""Windows at the start of a request that go before later ones: as many as a clip has."""


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
    batch_limit: int | None = None
    """Most windows in its decoding call, equal for equal keys; None: the queue's own."""


Line = deque[Ticket]


class _Requests:
    """The lines of one caller's requests; a request that was served goes to the back."""

    def __init__(self, bypass_limit: int) -> None:
        self._bypass_limit = bypass_limit
        self._bypassed = 0
        self.served_at = -inf
        """Time of the last turn."""
        self._first: OrderedDict[str, Line] = OrderedDict()
        self._later: OrderedDict[str, Line] = OrderedDict()
        self.weight = 1
        """Of the caller, as its last ticket has it."""
        self.turns = 0
        """Consecutive turns taken so far."""
        self.count = 0
        """Number of tickets. Kept, since threads that read the metrics may not iterate over the
        lines while the event loop changes them."""

    def _lines(self, ticket: Ticket) -> OrderedDict[str, Line]:
        return self._first if ticket.job.position < FIRST_WINDOWS else self._later

    def add(self, ticket: Ticket) -> None:
        self._lines(ticket).setdefault(ticket.job.request_id, deque()).append(ticket)
        self.weight = ticket.job.weight
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

    def first(self) -> Ticket | None:
        """The ticket whose turn it is if none was bypassed."""
        return self._head(self._first) or self._head(self._later)

    def take(self, ticket: Ticket, now: float, overtakes: bool) -> None:
        """Remove the head of a line and move its request to the back."""
        lines = self._lines(ticket)
        if not overtakes:
            is_bypass = lines is self._first and self._later
            self._bypassed = self._bypassed + 1 if is_bypass else 0
        self.served_at = now
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


class Turns:
    """The callers of one priority; a caller goes to the back after as many turns as its weight is.

    A caller that had nothing in the queue goes first, for one window: a clip does not wait for a
    window of each long recording. After that window the caller stays among the served ones, even
    with nothing left, until the others had a turn: one that sends its windows one at a time gets
    no more turns than one that sends all at once. (The lists of new and old flows of FQ-CoDel,
    RFC 8290 §4.2, with a quantum of `weight` windows, of which a new flow takes one.)
    """

    def __init__(self, bypass_limit: int) -> None:
        self._bypass_limit = bypass_limit
        self._bypassed = 0
        self._new: OrderedDict[str, _Requests] = OrderedDict()
        self._served: OrderedDict[str, _Requests] = OrderedDict()

    @property
    def count(self) -> int:
        """Number of tickets. Also called by threads that read the metrics."""
        return sum(requests.count for requests in self._callers())

    def add(self, ticket: Ticket) -> None:
        requests = self.of(ticket)
        if requests is None:
            requests = self._new[ticket.job.caller] = _Requests(self._bypass_limit)
        requests.add(ticket)

    def discard(self, ticket: Ticket) -> None:
        requests = self.of(ticket)
        if requests is not None:
            requests.discard(ticket)

    def tickets(self) -> list[Ticket]:
        return [ticket for requests in self._callers() for ticket in requests.tickets()]

    def heads(self) -> list[Ticket]:
        return [ticket for requests in self._callers() for ticket in requests.heads()]

    def clear(self) -> None:
        self._new.clear()
        self._served.clear()

    def of(self, ticket: Ticket) -> _Requests | None:
        """The requests of the ticket's caller, perhaps empty; None for a new caller."""
        caller = ticket.job.caller
        return self._served.get(caller) or self._new.get(caller)

    def next(self) -> Ticket | None:
        """The ticket whose turn it is. Each batch has at least one turn for served callers."""
        new, served = self._head(self._new), self._head(self._served)
        if new is None or (served and self._bypassed >= self._bypass_limit):
            return served
        return new

    def in_turn(self) -> list[Ticket]:
        """The next ticket of each caller, new callers first, whatever was bypassed."""
        return [ticket for each in self._callers() if (ticket := each.first())]

    def take(self, ticket: Ticket, now: float, overtakes: bool = False) -> None:
        """Remove the ticket that `next` returned, and move its caller to the back of the served
        ones; to their front if it has turns left and windows for them.

        One of `in_turn` that overtakes steps bypasses no one: the others are in these steps.
        """
        caller = ticket.job.caller
        is_new = caller in self._new
        if not overtakes:
            self._bypassed = self._bypassed + 1 if is_new and self._served else 0
        requests = (self._new if is_new else self._served).pop(caller)
        requests.take(ticket, now, overtakes)
        self._served[caller] = requests
        requests.turns += 1
        if requests.count and requests.turns < requests.weight:
            self._served.move_to_end(caller, last=False)
        else:
            requests.turns = 0

    def _callers(self) -> tuple[_Requests, ...]:
        return (*self._new.values(), *self._served.values())

    def _head(self, callers: OrderedDict[str, _Requests]) -> Ticket | None:
        """The next ticket of the first caller that has one; callers before it are dropped."""
        while callers:
            caller, requests = next(iter(callers.items()))
            if ticket := requests.next():
                return ticket
            del callers[caller]
        return None
