"""CPU threads that callers share in turns: blocking work on sound, called from the event loop."""

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio

from app.domain import Priority

T = TypeVar("T")

MAX_BYPASSES = 4
"""Calls of other classes in a row while a class waits: of five turns it has at least one."""


@dataclass(slots=True, eq=False)
class _Call:
    """Work and its arguments; `done` gets the result, or the exception, in its event loop."""

    caller: str
    weight: int
    priority: Priority
    work: Callable[..., Any]
    arguments: tuple[object, ...]
    done: asyncio.Future[Any]

    def run(self) -> None:
        loop = self.done.get_loop()
        try:
            result = self.work(*self.arguments)
        except BaseException as error:
            loop.call_soon_threadsafe(self.done.set_exception, error)
        else:
            loop.call_soon_threadsafe(self.done.set_result, result)


class _Line(deque[_Call]):
    """The calls of one caller that wait, in the order of their arrival. A request has hardly more
    than one at a time, so the requests of a caller take turns, too."""

    turns = 0
    """Consecutive ones so far."""


class _Turns:
    """The lines of one class of priority; a caller goes to the back after as many turns as its
    weight is."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        self.bypasses = 0
        """Calls of other classes since the last one of this class, while it waited."""

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, call: _Call) -> None:
        self._lines.setdefault(call.caller, _Line()).append(call)

    def drop(self, call: _Call) -> bool:
        """Remove the call; False if it does not wait."""
        line = self._lines.get(call.caller, ())
        if call not in line:
            return False
        self._remove(call)
        return True

    def next(self, is_free: Callable[[str], bool]) -> _Call | None:
        """The call whose turn it is among the callers for which `is_free`."""
        return next((line[0] for caller, line in self._lines.items() if is_free(caller)), None)

    def take(self, call: _Call) -> None:
        """Remove the call that `next` returned."""
        line = self._lines[call.caller]
        line.turns += 1
        if line.turns >= call.weight:
            line.turns = 0
            self._lines.move_to_end(call.caller)
        self._remove(call)

    def _remove(self, call: _Call) -> None:
        line = self._lines[call.caller]
        line.remove(call)
        if not line:
            del self._lines[call.caller]


class FairThreads:
    """Runs blocking calls on threads, by class of priority and then by turns of callers.

    Callers take turns of one call, and as many in a row as a caller's weight is. A caller has at
    most `count` threads at a time, and there is one more: calls of seconds (hostile files) do
    not occupy all threads. Use as a context manager, which in the end waits for all calls.
    """

    def __init__(self, count: int, name: str = "audio") -> None:
        self._count = count
        self._changed = threading.Condition(threading.Lock())
        self._turns = {priority: _Turns() for priority in Priority}
        self._running = Counter[str]()
        """Threads that each caller has."""
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True)
            for number in range(count + 1)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    async def run(
        self,
        caller: str,
        weight: int,
        priority: Priority,
        work: Callable[..., T],
        *arguments: object,
    ) -> T:
        """Call `work` on a thread, when it is the caller's turn, and return its result.

        Cancelled while it waits, the call is dropped; while it runs, this ends once the call has
        ended, so that no thread uses the arguments any more. Raises RuntimeError after the end of
        the context.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        call = _Call(caller, weight, priority, work, arguments, done)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the threads have ended")
            self._turns[priority].add(call)
            self._changed.notify()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            with self._changed:
                is_dropped = self._turns[priority].drop(call)
            if not is_dropped:
                done.add_done_callback(asyncio.Future.exception)  # an exception is read: no log
                with anyio.CancelScope(shield=True):  # its scopes cancel every further await
                    await asyncio.wait([done])
            raise

    def _serve(self) -> None:
        """Run calls until the end."""
        while (call := self._next()) is not None:
            call.run()
            with self._changed:
                self._running[call.caller] -= 1
                if not self._running[call.caller]:
                    del self._running[call.caller]
            del call  # and what it refers to, before the next one comes

    def _next(self) -> _Call | None:
        """Wait for the call whose turn it is, and take it; None at the end."""
        with self._changed:
            while (call := self._first()) is None:
                if self._is_closed:
                    return None
                self._changed.wait()
            for priority, turns in self._turns.items():
                turns.bypasses = turns.bypasses + 1 if turns and priority != call.priority else 0
            self._turns[call.priority].take(call)
            self._running[call.caller] += 1
            return call

    def _first(self) -> _Call | None:
        waiting = [turns for turns in self._turns.values() if turns]
        waiting.sort(key=lambda turns: turns.bypasses < MAX_BYPASSES)  # stable: else by class
        calls = (turns.next(self._is_free) for turns in waiting)
        return next((call for call in calls if call is not None), None)

    def _is_free(self, caller: str) -> bool:
        return self._running[caller] < self._count
