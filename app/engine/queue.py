"""Order and batches of the windows that wait for the device. A plain data structure: no threads,
no clock.

Work comes in two stages, because they batch differently: *encoding* gains nothing from batches on
a CPU, *decoding* gains a lot. A window waits to be encoded in its request's line. Callers take
turns of one window, however many requests each has, and as many turns in a row as a caller's
weight is; within a caller's turns its requests take turns, and the first windows of a request go
before the later ones of long recordings. Encoded windows wait in `ready` until a decoding batch is
worth starting.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from operator import itemgetter
from typing import Literal

from app.domain import Priority
from app.engine.turns import FIRST_WINDOWS, Ticket, Turns

AGING_SECONDS = 10.0
"""Wait that raises a ticket by one class of priority, so that no class starves."""

LONG_WINDOW_SECONDS = 15.0
"""Windows that are no longer than this may overtake steps that have a longer one. Clips are mostly
of one such window, and recordings of minutes of windows of nearly 30 s."""

Stage = Literal["encode", "detect", "decode"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call for the device; the tickets of a decoding step have equal keys."""

    stage: Stage
    tickets: Sequence[Ticket]


class Queue:
    """Turns of callers and of their requests, priorities with ageing, batches of equal keys."""

    def __init__(self, max_batch_size: int, encode_batch_size: int) -> None:
        self._max_batch_size = max_batch_size
        self._encode_batch_size = min(encode_batch_size, max_batch_size)
        self._turns = {priority: Turns(max_batch_size) for priority in Priority}
        self._ready: list[Ticket] = []
        self._decoded_at: dict[tuple[Priority, str], float] = {}
        """Time of the last decoding step, by priority and caller of the tickets in `ready`."""

    def __len__(self) -> int:
        """Number of waiting windows, including cancelled ones that are not dropped yet."""
        return len(self._ready) + sum(turns.count for turns in self._turns.values())

    def places(self, step: Step) -> int:
        """Largest number of windows in such a call."""
        if step.stage == "encode":
            return self._encode_batch_size
        return self._max_batch_size if step.stage == "detect" else self._limit(step.tickets[0])

    def _limit(self, ticket: Ticket) -> int:
        return ticket.batch_limit or self._max_batch_size

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
            return self._take_decodable(batch, now)
        tickets = self._take_unencoded(now)
        if tickets:
            return Step("encode", tickets)
        return self._take_decodable(batch, now) if batch else None

    def next_overtaking_step(self, now: float, running: Sequence[Step]) -> Step | None:
        """Remove and return one window that is not to wait for any of the steps that run; None if
        none is.

        It is short. Each step has a longer one than `LONG_WINDOW_SECONDS`, or only such of a lower
        class: of priorities, and of first windows before later ones.
        """
        ready = self._by_turn(now)
        unencoded = [ticket for turns in self._turns.values() for ticket in turns.in_turn()]
        for ticket in (*ready, *unencoded):
            if ticket.is_cancelled() or not all(_overtakes(ticket, step) for step in running):
                continue
            if ticket.job.encoded is not None:
                return self._take_ready("decode" if ticket.options else "detect", [ticket])
            self._turns[ticket.job.priority].take(ticket, now, overtakes=True)
            return Step("encode", [ticket])
        return None

    def _take_ready(self, stage: Stage, tickets: Sequence[Ticket]) -> Step:
        self._ready = [ticket for ticket in self._ready if ticket not in tickets]
        return Step(stage, tickets)

    def _take_decodable(self, tickets: Sequence[Ticket], now: float) -> Step:
        step = self._take_ready("decode", tickets)
        decoded = dict.fromkeys(((each.job.priority, each.job.caller) for each in tickets), now)
        waiting = {(each.job.priority, each.job.caller) for each in self._ready}
        known = self._decoded_at | decoded
        self._decoded_at = {line: known[line] for line in waiting & known.keys()}
        return step

    def _oldest_group(self, now: float) -> list[Ticket]:
        """The batch of the most urgent ticket: the largest group would starve rare keys."""
        if not self._ready:
            return []
        ordered = self._by_turn(now)
        group = [ticket for ticket in ordered if ticket.key == ordered[0].key]
        return group[: self._limit(ordered[0])]

    def _by_turn(self, now: float) -> list[Ticket]:
        """The encoded tickets by urgency; within a class of priority, callers take turns."""
        ordered = sorted(self._ready, key=lambda ticket: _decoding_turn(ticket, now))
        if len({ticket.job.caller for ticket in ordered}) == 1:
            return ordered
        turns = Counter[tuple[Priority, str]]()
        keyed: list[tuple[int, int, float, Ticket]] = []
        for ticket in ordered:
            line = ticket.job.priority, ticket.job.caller
            decoded_at = self._decoded_at.get(line, -inf)
            priority, _ = _urgency(ticket, now, decoded_at)
            keyed.append((priority, turns[line] // ticket.job.weight, decoded_at, ticket))
            turns[line] += 1
        keyed.sort(key=itemgetter(0, 1, 2))
        return [ticket for *_, ticket in keyed]

    def _is_worth_decoding(self, batch: Sequence[Ticket], now: float) -> bool:
        """Decode now, or let the batch grow by encoding waiting windows first?

        A full batch is decoded at once. A smaller one is if it has the only window of a caller, and
        the next window to encode would be a second one of another caller, of whichever key. It also
        is if it completes a request or has the first window of one, and the next window to encode
        would only be a further one of a request in the batch, or a later one of a recording:
        growing would delay the former.
        """
        limit = self._limit(batch[0])
        if len(batch) >= limit or len(self._ready) >= 2 * limit:
            return True
        coming = self._next_unencoded(now)
        if coming is None:
            return True
        if batch[0].job.priority < coming.job.priority:
            return True
        others = [ticket for ticket in batch if ticket.job.caller != coming.job.caller]
        is_second = any(ticket.job.caller == coming.job.caller for ticket in self._ready)
        if is_second and any(self._is_only_one(ticket) for ticket in others):
            return True
        inside = {ticket.job.request_id for ticket in batch}
        if coming.job.position < FIRST_WINDOWS and coming.job.request_id not in inside:
            return False
        return any(self._waits_only_for_this(ticket) for ticket in batch)

    def _is_only_one(self, ticket: Ticket) -> bool:
        """Is it the only waiting window of its caller and priority?"""
        requests = self._turns[ticket.job.priority].of(ticket)
        return requests is None or requests.count == 0

    def _waits_only_for_this(self, ticket: Ticket) -> bool:
        """Is it the last waiting window of a request, or the first of a long recording?"""
        requests, request_id = self._turns[ticket.job.priority].of(ticket), ticket.job.request_id
        if requests is None:
            return True
        if ticket.job.position == 0:
            return requests.has_later(request_id) or not requests.has_request(request_id)
        return not requests.has_request(request_id)

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
        if len({head.job.caller for head in heads}) > 1:
            return min(heads, key=lambda head: _urgency(head, now, self._served_at(head)))
        return min(heads, key=lambda head: _urgency(head, now), default=None)

    def _served_at(self, ticket: Ticket) -> float:
        """When the ticket's caller last had a turn in its class of priority."""
        requests = self._turns[ticket.job.priority].of(ticket)
        return -inf if requests is None else requests.served_at


def _overtakes(ticket: Ticket, step: Step) -> bool:
    if ticket.job.duration > LONG_WINDOW_SECONDS:
        return False
    kind = _class(ticket)
    if all(kind < _class(other) for other in step.tickets):
        return True
    is_long = any(other.job.duration > LONG_WINDOW_SECONDS for other in step.tickets)
    least = min(_class(other) for other in step.tickets)
    return is_long and kind <= min(least, (Priority.INTERACTIVE, False))


def _class(ticket: Ticket) -> tuple[Priority, bool]:
    """Priority, and whether it is a later window of a long recording; smaller goes first."""
    job = ticket.job
    return job.priority, job.priority != Priority.LIVE and job.position >= FIRST_WINDOWS


def _decoding_turn(ticket: Ticket, now: float) -> tuple[int, bool, float]:
    """Sort key of one caller's windows: a clip, whose window is perhaps of another length, does not
    wait for batches of a long recording, unless these have aged."""
    priority, since = _urgency(ticket, now)
    return priority, ticket.job.position >= FIRST_WINDOWS, since


def _urgency(ticket: Ticket, now: float, served_at: float = -inf) -> tuple[int, float]:
    """Sort key, smaller goes first: the priority class, raised by ageing, then the longer wait.

    Among callers, a window waits since the last turn of its caller, `served_at`: a caller's own
    backlog gives it no precedence over other callers.
    """
    since = max(ticket.waiting_since, served_at)
    aged = int((now - since) // AGING_SECONDS)
    return max(0, ticket.job.priority - aged), since
