from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import resource
import threading
import time
from typing import Any, List
from unittest.mock import Mock

import psutil
import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.system.room import open_files
from kafka_worker.upkeep.upkeep import Upkeep, resident_bytes, waited_for_cores
from tests.support.eventually import eventually
from tests.unit.fakes import Message, some_settings

MB = 1_000_000
LIMITED = {"memory_limit": "150M", "recycle_messages": 0}  # a share of 110 MiB, and a soft limit of 98 MB


class Lazy(Pool):
    """Its threads take nothing, so that tasks always wait."""

    def _start(self, thread: HandlerThread, number: int) -> None:
        pass


class Watched:
    """A pool and its upkeep, with time and memory as the test says."""

    def __init__(self, pool: Pool, **settings: Any) -> None:
        self.pool = pool
        self.now = 100.0
        self.resident = 40 * MB
        self.files = 40, 1024
        looks = lambda: self.now, lambda: 0.5, lambda: self.resident, lambda: self.files
        self.upkeep = Upkeep(some_settings(**settings), pool, *looks)

    def look(self, seconds: float = 0.0) -> Any:
        self.now += seconds
        self.upkeep.check()
        return self.upkeep.fields()

    def work(self, seconds: float) -> int:
        """All threads have been busy with calls of 50 ms, and tasks wait; how many may run now."""
        for thread in self.pool.threads[: self.pool.limit]:
            thread.done += int(20 * seconds)
            thread.busy_seconds += seconds
        return int(self.look(seconds)["threads"])


@pytest.fixture
def backlog() -> Partition:
    partition = Partition("topic", 0)
    segment, _ = partition.tracker.take(0, 1)
    partition.queue.put((0, segment, Message(0), None, 1, partition))
    return partition


def test_the_memory_of_this_process_is_known() -> None:
    assert 10 * MB < resident_bytes() < 10_000 * MB


def test_memory_that_nobody_tells_ends_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is without /proc."""
    lost = psutil.NoSuchProcess(os.getpid())
    monkeypatch.setattr("builtins.open", Mock(side_effect=FileNotFoundError))
    monkeypatch.setattr(psutil, "Process", Mock(side_effect=lost))

    assert resident_bytes() == 0


def test_what_threads_have_waited_for_a_core_is_known() -> None:
    native_ids: List[int] = []

    def compute() -> None:
        native_ids.append(threading.get_native_id())
        os.sched_setaffinity(0, {core})
        begun.wait()
        while time.thread_time() < 0.03:
            hashlib.sha256(b"x" * 100_000)  # which other threads may do at the same time, if they have a core
        done.wait()

    core = min(os.sched_getaffinity(0))
    begun, done = threading.Barrier(2), threading.Barrier(3)
    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: done.n_waiting == 2, 10.0, "both have computed enough")
    waited = waited_for_cores([*native_ids, 1 << 30])  # one of them is none of ours
    done.wait()
    for thread in threads:
        thread.join()

    assert waited > 0.01


def test_a_process_says_what_it_uses_and_when_it_wishes_to_be_recycled() -> None:
    watched = Watched(Pool(2, lambda *_: None), **LIMITED)
    well = watched.look()
    watched.resident = 150 * MB
    large = watched.look(60.0)
    watched.resident, watched.files = 0, (1024, 1024)  # nothing can be looked at
    leaking = watched.look()

    assert well == {"threads": 2, "rss": 40 * MB, "renew": "", "oversized": False}
    assert large == {"threads": 2, "rss": 150 * MB, "renew": "RSS 150 MB above its share of 98 MB", "oversized": False}
    assert leaking == large


def test_what_a_recycling_for_want_of_files_cuts_off_may_have_caused_it() -> None:
    watched, outgrown = Watched(Pool(2, lambda *_: None)), []
    for files in (40, 900, 1024):
        watched.files = files, 1024
        watched.look()
        outgrown.append(watched.upkeep.outgrown)

    assert outgrown == [False, False, True]


def test_how_many_files_are_open_is_known_also_when_all_are() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(open(os.devnull)).fileno()
        for _ in range(10):
            stack.enter_context(open(os.devnull))
        few = open_files()
        resource.setrlimit(resource.RLIMIT_NOFILE, (first + 2, hard))
        try:
            all_of_them, resident = open_files(), resident_bytes()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert few[0] >= first + 10
    assert few[1] == (0 if soft == resource.RLIM_INFINITY else soft)
    assert (all_of_them, resident) == ((first + 2, first + 2), 0)


def test_who_is_too_large_from_the_start_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(Pool(2, lambda *_: None), **LIMITED)
    watched.resident = 150 * MB

    said = [watched.look(1.0) for _ in range(5)]

    assert {(each["oversized"], each["renew"]) for each in said} == {(True, "")}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_tuned_pool_grows_under_load_to_its_maximum_which_is_said_once(
    backlog: Partition, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = Lazy(2, lambda *_: None)
    pool.serve([backlog.queue])
    watched = Watched(pool, threads=2, threads_max=8)

    limits: List[int] = [watched.work(1.0) for _ in range(20)]

    assert (limits[0], limits[-1], len(pool.threads)) == (2, 8, 8)
    assert len([record for record in caplog.records if "THREADS_MAX" in record.message]) == 1


def test_a_pool_with_a_given_number_of_threads_is_left_alone(backlog: Partition) -> None:
    pool = Pool(2, lambda *_: None)
    pool.serve([backlog.queue])
    watched = Watched(pool, threads=2, threads_max=2)

    assert {watched.work(1.0) for _ in range(20)} == {2}


def test_a_pool_grows_as_far_as_its_calls_leave_memory_for_more_of_them(backlog: Partition) -> None:
    pool = Lazy(2, lambda *_: None)
    pool.serve([backlog.queue])
    watched = Watched(pool, threads=2, threads_max=32, **LIMITED)
    watched.look()  # at 40 MB, of 98
    limits = []
    for _ in range(40):
        watched.resident = 40 * MB + 7 * MB * pool.limit
        limits.append(watched.work(1.0))

    assert limits[-1] == 8  # 9 would need 103


def test_a_pool_does_not_grow_above_the_soft_limit(backlog: Partition) -> None:
    pool = Pool(2, lambda *_: None)
    pool.serve([backlog.queue])
    watched = Watched(pool, threads=2, threads_max=8, **LIMITED)
    watched.resident = 150 * MB

    assert {watched.work(1.0) for _ in range(20)} == {2}
