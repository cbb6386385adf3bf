"""Hooks in the threads of pools of every kind."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import AsyncIterator, Iterator, List

import pytest

from kafka_worker.handler import lives
from kafka_worker.handler.hooks import Hook, Registry
from kafka_worker.handler.lives import Hooks
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.thread_pool import Pool
from tests.support.eventually import eventually
from tests.unit.pools.kinds import KINDS, Work

told: List[str] = []


def of_thread() -> Iterator[int]:
    told.append(f"{threading.current_thread().name} starts")
    yield 7
    told.append(f"{threading.current_thread().name} stops")


async def of_loop() -> AsyncIterator[asyncio.AbstractEventLoop]:
    told.append("the loop starts")
    task = asyncio.current_task()
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)
    told.append("the loop stops" if asyncio.current_task() is task else "in another task")  # which groups of tasks refuse


def hooks_of(*, with_loop: bool = False) -> Hooks:
    told.clear()
    per_process = [Hook(of_loop, SimpleNamespace())] if with_loop else []
    return Hooks(Registry(per_process, [Hook(of_thread, threading.local())]))


def end(hooks: Hooks, pool: Pool) -> None:
    hooks.stop(pool.stop, lambda: {thread.name for thread, _ in pool.running()}, 5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_start_in_each_thread_before_its_first_task_and_stop_after_its_last(kind: str) -> None:
    pool, work = KINDS[kind](lambda _: told.append("works"), lambda: None), Work(1)
    hooks = pool.hooks = hooks_of(with_loop=kind == "coroutines")
    names = {thread.name for thread in pool.threads}
    pool.start()
    work.give_all(pool)
    eventually(lambda: work.watermark == 1 and len(hooks._threads) == len(names), 5, "the task is done, and all are ready")

    end(hooks, pool)

    starts = {*(f"{name} starts" for name in names), *(["the loop starts"] if kind == "coroutines" else [])}
    at = told.index("works")
    assert {each for each in told if each.endswith("starts")} == starts
    assert {each.replace("stops", "starts") for each in told if each.endswith("stops")} == starts
    assert any(each.endswith("starts") for each in told[:at])
    assert not any(each.endswith("stops") for each in told[:at])
    if kind == "coroutines":
        assert told == ["the loop starts", "event-loop starts", "works", "event-loop stops", "the loop stops"]
        assert isinstance(pool, AsyncPool)
        pool._loop.close()  # with the executor of this handler


def test_a_thread_that_is_taken_away_stops_its_hooks_and_starts_them_anew_when_it_is_wanted_again() -> None:
    both = threading.Barrier(3)
    pool, work = Pool(2, lambda *_: both.wait() and None), Work(2)
    hooks = pool.hooks = hooks_of()
    pool.start()
    work.give_all(pool)
    eventually(lambda: both.n_waiting == 2, 5, "both are at work")

    pool.resize(1)
    both.wait()  # when its call is over, the second one rests
    eventually(lambda: "handler-1 stops" in told, 5, "one rests, without them")
    assert "handler-0 stops" not in told
    pool.resize(3)
    eventually(lambda: told.count("handler-1 starts") == 2 and "handler-2 starts" in told, 5, "it has them again")
    end(hooks, pool)

    assert sorted(told[-3:]) == ["handler-0 stops", "handler-1 stops", "handler-2 stops"]


def test_what_an_event_loop_needs_is_there_before_its_process_has_a_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "FIRST_PAUSE_SECONDS", 0.001)
    mended = threading.Event()

    async def database() -> AsyncIterator[None]:
        if not mended.is_set():
            raise ConnectionError
        yield

    pool = AsyncPool(1, lambda *_: None)
    hooks = pool.hooks = Hooks(Registry([Hook(database, SimpleNamespace())], []))
    early = pool.prepare(0.01)
    mended.set()
    late = pool.prepare(5)
    pool.start()
    end(hooks, pool)
    pool.close()

    assert (early, late) == (False, True)


def test_a_thread_takes_no_task_while_its_hooks_fail_and_the_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "FIRST_PAUSE_SECONDS", 0.001)
    mended = threading.Event()
    ran_in: List[str] = []

    def fails_in_one() -> Iterator[None]:
        if threading.current_thread().name == "handler-0" and not mended.is_set():
            raise ConnectionError
        yield

    pool, work = Pool(2, lambda *_: ran_in.append(threading.current_thread().name)), Work(20)
    hooks = pool.hooks = Hooks(Registry([], [Hook(fails_in_one, threading.local())]))
    pool.start()
    work.give_all(pool)
    eventually(lambda: work.watermark == 20, 5, "the other does all")
    assert set(ran_in) == {"handler-1"}
    mended.set()
    end(hooks, pool)
