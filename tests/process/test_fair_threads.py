import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app.domain import Priority
from app.process.fair_threads import MAX_BYPASSES, FairThreads
from tests.support.waiting import until

LIVE, INTERACTIVE, BULK = Priority


class Calls:
    """Calls on threads, in the order in which they run; those that a gate stops are `busy`."""

    def __init__(self, threads: FairThreads) -> None:
        self.threads = threads
        self.run_order: list[str] = []
        self.gate = threading.Event()
        self.busy = 0
        self._tasks: list[asyncio.Task[None]] = []

    def _stop(self) -> None:
        self.busy += 1
        assert self.gate.wait(30)

    async def start(
        self,
        name: str,
        caller: str = "",
        weight: int = 1,
        priority: Priority = INTERACTIVE,
        work: Callable[[], None] | None = None,
    ) -> asyncio.Task[None]:
        """A task whose call waits for its turn."""

        def call() -> None:
            self.run_order.append(name)
            if work is not None:
                work()

        caller = caller or name.rstrip("0123456789")
        task = asyncio.create_task(self.threads.run(caller, weight, priority, call))
        self._tasks.append(task)
        await asyncio.sleep(0)  # the task begins to wait
        return task

    async def occupy(self, caller: str, count: int = 1) -> list[asyncio.Task[None]]:
        """Stop so many threads by calls of the caller."""
        before = self.busy
        tasks = [await self.start(f"{caller}-gate", caller, work=self._stop) for _ in range(count)]
        await until(lambda: self.busy == before + count)
        return tasks

    async def order(self) -> list[str]:
        """Open the gate; the names of all that waited, in the order in which they run."""
        self.gate.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return [name for name in self.run_order if not name.endswith("-gate")]


@asynccontextmanager
async def one_thread() -> AsyncIterator[Calls]:
    """Both threads of `FairThreads(1)` occupied, so that the first that ends runs all others."""
    with FairThreads(1) as threads:
        calls = Calls(threads)
        try:
            # One caller has one thread, and there is one more; the second stays occupied.
            await calls.occupy("first")
            held, hold = threading.Event(), threading.Event()

            def stay() -> None:
                held.set()
                hold.wait(30)

            staying = asyncio.create_task(threads.run("second", 1, LIVE, stay))
            await asyncio.to_thread(held.wait)
            yield calls
        finally:
            calls.gate.set()
            hold.set()
        await staying


async def test_the_result_and_the_error_of_a_call_are_its_own() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    with FairThreads(1) as threads:
        assert await threads.run("", 1, INTERACTIVE, divmod, 7, 2) == (3, 1)
        with pytest.raises(ValueError, match="wrong"):
            await threads.run("", 1, INTERACTIVE, fail)


async def test_a_call_does_not_wait_for_all_calls_of_another_caller() -> None:
    async with one_thread() as calls:
        for number in range(50):
            await calls.start(f"mallory{number}")
        await calls.start("alice")
        assert (await calls.order())[:3] == ["mallory0", "alice", "mallory1"]


async def test_callers_take_turns_and_each_one_its_calls_in_order() -> None:
    async with one_thread() as calls:
        for name in ("a0", "a1", "a2", "b0", "b1", "c0"):
            await calls.start(name)
        assert await calls.order() == ["a0", "b0", "c0", "a1", "b1", "a2"]


async def test_a_caller_has_as_many_turns_in_a_row_as_its_weight() -> None:
    async with one_thread() as calls:
        for name in ("a0", "a1", "a2", "a3", "b0", "b1"):
            await calls.start(name, weight=3 if name < "b" else 1)
        assert await calls.order() == ["a0", "a1", "a2", "b0", "a3", "b1"]


async def test_live_calls_go_first_and_leave_others_every_fifth_turn() -> None:
    async with one_thread() as calls:
        for name in ("upload0", "upload1", "job0"):
            await calls.start(name, priority=BULK if name == "job0" else INTERACTIVE)
        for number in range(8):
            await calls.start(f"live{number}", priority=LIVE)
        order = await calls.order()
    live = [f"live{number}" for number in range(8)]
    assert MAX_BYPASSES == 4
    assert order == [*live[:4], "upload0", "job0", *live[4:7], "upload1", "live7"]


async def test_calls_of_one_caller_leave_a_thread_for_others() -> None:
    with FairThreads(2) as threads:
        calls = Calls(threads)
        occupying = await calls.occupy("mallory", 2)
        waiting = await calls.start("mallory2")
        await calls.start("alice")
        await until(lambda: "alice" in calls.run_order)
        assert not any(task.done() for task in (*occupying, waiting))
        assert await calls.order() == ["alice", "mallory2"]


async def test_a_call_that_is_cancelled_while_it_waits_is_never_run() -> None:
    async with one_thread() as calls:
        tasks = [await calls.start(name) for name in ("a0", "b0", "a1")]
        for task in tasks[:2]:
            task.cancel()
        await asyncio.wait(tasks[:2])
        assert all(task.cancelled() for task in tasks[:2])
        assert await calls.order() == ["a1"]


async def test_a_call_that_is_cancelled_while_it_runs_ends_before_its_caller_goes_on() -> None:
    with FairThreads(1) as threads:
        calls = Calls(threads)
        [running] = await calls.occupy("a")
        running.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not running.done()
        calls.gate.set()
        await asyncio.wait([running])
        assert running.cancelled()


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_the_error_of_a_cancelled_call_is_not_logged(
    caplog: pytest.LogCaptureFixture, cancellations: int
) -> None:
    gate, begun = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        gate.wait(30)
        raise ValueError("undecodable")

    with FairThreads(1) as threads, caplog.at_level(logging.ERROR):
        task = asyncio.create_task(threads.run("", 1, INTERACTIVE, fail))
        await asyncio.to_thread(begun.wait)
        for _ in range(cancellations):
            task.cancel()
            await asyncio.sleep(0)
        gate.set()
        await asyncio.wait([task])
        assert task.cancelled()
        await threads.run("", 1, INTERACTIVE, int)  # after the error
        del task
    assert caplog.text == ""


async def test_all_calls_are_run_before_the_end() -> None:
    run_order: list[int] = []
    with FairThreads(2) as threads:
        tasks = [
            asyncio.create_task(threads.run("", 1, INTERACTIVE, run_order.append, number))
            for number in range(20)
        ]
        await asyncio.sleep(0)
    assert sorted(run_order) == list(range(20))
    await asyncio.gather(*tasks)
    with pytest.raises(RuntimeError):
        await threads.run("", 1, INTERACTIVE, int)
