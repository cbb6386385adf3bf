"""With real handler threads."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator, List

import msgspec
import pytest

from kafka_worker.handler import loading as handler
from kafka_worker.handler.batch import BatchCall
from kafka_worker.handler.decoding import decode
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.tracker import RUNNING
from kafka_worker.partitions.undecided import BatchFailed, Raised, Returned
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.foreign.answers import BatchError, Reject, Send
from kafka_worker.shared.foreign.errors import UndecodableError
from tests.support.ending import made_to_end
from tests.support.eventually import eventually
from tests.unit.fakes import Message, in_words, some_settings
from tests.unit.pools.test_thread_pool import Work


@contextlib.contextmanager
def batching(handler: Callable[..., Any], size: int = 100, threads: int = 1, *, contexts: bool = False) -> Iterator[BatchPool]:
    pool = BatchPool(threads, BatchCall(handler, decode, takes_contexts=contexts), size)
    end = made_to_end(pool)
    pool.start()
    try:
        yield pool
    finally:
        eventually(lambda: not pool.running(), 5, "no call is left")
        end()


def numbered(work: Work, offset: int, attempt: int = 1) -> Task:
    """Its value is its offset."""
    return carrying(work, offset, str(offset).encode(), attempt)


def carrying(work: Work, offset: int, value: bytes, attempt: int = 1) -> Task:
    return offset, work.segment, Message(offset, value=value), None, attempt, work.partition


def give_all(work: Work, pool: Pool, count: int) -> None:
    work.give(pool, *[numbered(work, offset) for offset in range(count)])


def failed(pool: Pool) -> List[Any]:
    """Which single messages, and by what."""
    return sorted((each.task[0], type(each.error).__name__) for each in pool.undecided if isinstance(each, Raised))


def test_a_handler_gets_what_may_run_now_up_to_the_size() -> None:
    calls: List[List[int]] = []
    work = Work(25)
    with batching(calls.append, size=10) as pool:
        give_all(work, pool, 25)
        eventually(lambda: work.watermark == 25, 5, "all are done")

    assert [number for call in calls for number in call] == list(range(25))
    assert [len(call) for call in calls] == [10, 10, 5]
    assert (pool.threads[0].done, sum(pool.threads[0].histogram)) == (25, 3)


def test_a_lone_message_is_not_kept_waiting() -> None:
    calls: List[List[int]] = []
    work = Work(1)
    with batching(calls.append) as pool:
        give_all(work, pool, 1)
        eventually(lambda: work.watermark == 1, 5, "it is done")

    assert calls == [[0]]


def test_contexts_come_in_a_list_beside() -> None:
    seen: List[Any] = []
    work = Work(3)
    with batching(lambda messages, contexts: seen.extend(zip(messages, contexts)), contexts=True) as pool:
        give_all(work, pool, 3)
        eventually(lambda: work.watermark == 3, 5, "all are done")

    assert [(message, context.offset, context.attempt) for message, context in seen] == [(0, 0, 1), (1, 1, 1), (2, 2, 1)]


def test_all_of_a_running_batch_is_seen_and_flagged_in_the_journal() -> None:
    release = threading.Event()
    work = Work(3)
    with batching(lambda _messages: release.wait(5)) as pool:
        give_all(work, pool, 3)
        eventually(lambda: work.segment.seen() == bytes([RUNNING] * 3), 5, "all run")
        running = [(thread.name, task[0]) for thread, task in pool.running()]
        release.set()

    assert running == [("batch-0", 0), ("batch-0", 1), ("batch-0", 2)]


def test_a_batch_error_names_the_failures_and_the_others_are_done() -> None:
    def handler(_messages: List[int]) -> None:
        raise BatchError({1: "bad", 3: Reject("never")})

    work = Work(4)
    with batching(handler) as pool:
        give_all(work, pool, 4)
        eventually(lambda: len(pool.undecided) == 2, 5, "two have failed")

    assert failed(pool) == [(1, "ItemError"), (3, "Reject")]
    assert work.segment.seen() == bytes([1, 0, 1, 0])
    assert (pool.threads[0].done, pool.threads[0].failed) == (2, 2)


def test_a_message_that_can_not_be_read_fails_alone_and_indexes_are_those_of_the_list() -> None:
    def handler(messages: List[int]) -> None:
        assert messages == [0, 2]
        raise BatchError({1: "two"})

    work = Work(3)
    with batching(handler) as pool:
        work.give(
            pool, numbered(work, 0), (1, work.segment, Message(1, value=b"{"), None, 1, work.partition), numbered(work, 2)
        )
        eventually(lambda: len(pool.undecided) == 2, 5, "two have failed")

    assert failed(pool) == [(1, UndecodableError.__name__), (2, "ItemError")]
    assert work.watermark == 1


@pytest.mark.parametrize("error", [ValueError("?"), SystemExit(), BatchError({99: "no such index"})])
def test_a_failure_of_several_is_that_of_the_whole_and_of_one_its_own(error: BaseException) -> None:
    def handler(_messages: List[int]) -> None:
        raise error

    work, single = Work(3), Work(1)
    with batching(handler) as pool:
        give_all(work, pool, 3)
        eventually(lambda: len(pool.undecided) == 1, 5, "they have failed")
        give_all(single, pool, 1)
        eventually(lambda: len(pool.undecided) == 2, 5, "it has failed too")

    batch, raised = pool.undecided
    assert isinstance(batch, BatchFailed)
    assert isinstance(raised, Raised)
    assert [task[0] for task in batch.tasks] == [0, 1, 2]
    assert in_words(batch.error) == in_words(raised.error) == in_words(error)
    assert work.segment.seen() == bytes(3)


def test_what_is_tried_again_is_called_alone() -> None:
    calls: List[List[int]] = []
    work = Work(4)
    with batching(calls.append) as pool:
        work.give(pool, *[numbered(work, offset, attempt=2 if offset == 1 else 1) for offset in range(4)])
        eventually(lambda: work.watermark == 4, 5, "all are done")

    assert calls == [[0], [1], [2, 3]]


class Order(msgspec.Struct):
    number: int


def of_orders(messages: List[Order]) -> None:
    assert [type(message) for message in messages] == [Order]


def test_messages_of_a_list_have_the_type_that_the_lists_hint_names() -> None:
    work = Work(2)
    with batching(of_orders) as pool:
        pool._call = handler.load(f"{__name__}:of_orders", some_settings()).call
        work.give(
            pool,
            *[
                (n, work.segment, Message(n, value=value), None, 1, work.partition)
                for n, value in enumerate([b'{"number": 1}', b"7"])
            ],
        )
        eventually(lambda: work.segment.last_done() == 0 and pool.undecided, 5, "one is done, and the other is no order")

    assert failed(pool) == [(1, "InvalidMessageError")]


def test_what_must_be_alone_is_parked_when_its_partition_closes_while_it_waits_behind_a_batch() -> None:
    work = Work(3)

    def handler(_messages: List[int]) -> None:
        work.partition.closing.close(None)

    with batching(handler) as pool:
        work.give(pool, *[numbered(work, offset, attempt=2 if offset == 2 else 1) for offset in range(3)])
        eventually(lambda: pool.parked, 5, "it is parked")

    assert (work.watermark, [task[0] for task in pool.parked]) == (2, [2])


def test_tasks_of_a_closed_partition_start_only_below_its_frontier() -> None:
    work = Work(4)
    work.partition.closing.close(None)
    work.partition.closing.frontier = 2
    with batching(lambda _messages: None) as pool:
        give_all(work, pool, 4)
        eventually(lambda: len(pool.parked) == 2 and not pool.running(), 5, "the rest is parked")

    assert [task[0] for task in pool.parked] == [2, 3]
    assert work.watermark == 2


def test_no_message_of_a_batch_is_done_before_its_results_are_stored() -> None:
    def handler(messages: List[int]) -> List[Send]:
        return [Send("t", number) for number in messages]

    work = Work(3)
    with batching(handler) as pool:
        give_all(work, pool, 3)
        eventually(lambda: pool.undecided and not pool.running(), 5, "the call has returned")

    (returned,) = pool.undecided
    assert isinstance(returned, Returned)
    assert [task[0] for task in returned.tasks] == [0, 1, 2]
    assert (len(returned.sends), work.segment.seen()) == (3, bytes(3))
