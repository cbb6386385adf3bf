"""With real handler threads."""

from __future__ import annotations

from typing import Any, List

import msgspec
import pytest

from kafka_worker.handler import loading as handler
from kafka_worker.handler.batch import BatchCall
from kafka_worker.handler.decoding import decode
from kafka_worker.partitions.undecided import BatchFailed, Raised, Returned
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.foreign.answers import BatchError, Reject, Send
from kafka_worker.shared.foreign.errors import UndecodableError, described
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.unit.fakes import in_lane, some_settings
from tests.unit.pools.kinds import Work, batch_pool


def failed(pool: Pool) -> List[Any]:
    """Which single messages, and by what."""
    return sorted((each.task[0], type(each.error).__name__) for each in pool.undecided if isinstance(each, Raised))


def test_a_handler_gets_what_may_run_now_up_to_the_size() -> None:
    calls: List[List[int]] = []
    work = Work(25)
    with started(batch_pool(calls.append, size=10)) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 25, 5, "all are done")

    assert [number for call in calls for number in call] == list(range(25))
    assert [len(call) for call in calls] == [10, 10, 5]
    assert (pool.threads[0].done, sum(work.times(pool).counts)) == (25, 3)


def test_a_lone_message_is_not_kept_waiting() -> None:
    calls: List[List[int]] = []
    work = Work(1)
    with started(batch_pool(calls.append)) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 1, 5, "it is done")

    assert calls == [[0]]


def test_contexts_come_in_a_list_beside() -> None:
    seen: List[Any] = []
    work = Work(3)
    with started(batch_pool(lambda messages, contexts: seen.extend(zip(messages, contexts)), contexts=True)) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 3, 5, "all are done")

    assert [(message, context.offset, context.attempt) for message, context in seen] == [(0, 0, 1), (1, 1, 1), (2, 2, 1)]


def test_a_batch_error_names_the_failures_and_the_others_are_done() -> None:
    def handler(_messages: List[int]) -> None:
        raise BatchError({1: "bad", 3: Reject("never")})

    work = Work(4)
    with started(batch_pool(handler)) as pool:
        work.give_all(pool)
        eventually(lambda: len(pool.undecided) == 2, 5, "two have failed")

    assert failed(pool) == [(1, "ItemError"), (3, "Reject")]
    assert work.segment.seen() == bytes([1, 0, 1, 0])
    assert (pool.threads[0].done, pool.threads[0].failed) == (2, 2)


def test_what_the_others_send_is_sent_though_some_of_a_list_have_failed() -> None:
    def handler(messages: List[int]) -> None:
        raise BatchError({1: "bad"}, [Send("t", number) for number in messages if number != 1])

    work, single = Work(3), Work(2)
    with started(batch_pool(handler)) as pool:
        work.give_all(pool)
        eventually(lambda: len(pool.undecided) == 2 and not pool.running(), 5, "one has failed")
        single.give(pool, single.task(1, attempt=2))
        eventually(lambda: len(pool.undecided) == 3, 5, "alone it fails, and nothing is sent")

    returned, raised, alone = pool.undecided
    assert isinstance(returned, Returned)
    assert ([task[0] for task in returned.tasks], [send.value for send in returned.sends]) == ([0, 2], [b"0", b"2"])
    assert [type(each) for each in (raised, alone)] == [Raised, Raised]
    assert work.segment.seen() == bytes(3)


def test_a_message_that_can_not_be_read_fails_alone_and_indexes_are_those_of_the_list() -> None:
    def handler(messages: List[int]) -> None:
        assert messages == [0, 2]
        raise BatchError({1: "two"})

    work = Work(3)
    with started(batch_pool(handler)) as pool:
        work.give(pool, work.task(0), work.task(1, value=b"{"), work.task(2))
        eventually(lambda: len(pool.undecided) == 2, 5, "two have failed")

    assert failed(pool) == [(1, UndecodableError.__name__), (2, "ItemError")]
    assert work.watermark == 1


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (BatchError({99: "no such index"}), "IndexError: the BatchError names index 99 of a list of 1"),
        (BatchError({0: Reject("never")}, Send("t", 1)),
         "ValueError: the BatchError has results, although it was called alone: Reject: never"),
    ],
)  # fmt: skip
def test_a_batch_error_that_can_not_be_meant_says_why(error: BatchError, what: str) -> None:
    def handler(_messages: List[int]) -> None:
        raise error

    work = Work(1)
    with started(batch_pool(handler)) as pool:
        work.give_all(pool)
        eventually(lambda: len(pool.undecided) == 1, 5, "it has failed")

    (raised,) = pool.undecided
    assert isinstance(raised, Raised)
    assert described(raised.error) == what


@pytest.mark.parametrize("error", [ValueError("?"), SystemExit()])
def test_a_failure_of_several_is_that_of_the_whole_and_of_one_its_own(error: BaseException) -> None:
    def handler(_messages: List[int]) -> None:
        raise error

    work, single = Work(3), Work(1)
    with started(batch_pool(handler)) as pool:
        work.give_all(pool)
        eventually(lambda: len(pool.undecided) == 1, 5, "they have failed")
        single.give_all(pool)
        eventually(lambda: len(pool.undecided) == 2, 5, "it has failed too")

    batch, raised = pool.undecided
    assert isinstance(batch, BatchFailed)
    assert isinstance(raised, Raised)
    assert [task[0] for task in batch.tasks] == [0, 1, 2]
    assert described(batch.error) == described(raised.error) == described(error)
    assert work.segment.seen() == bytes(3)


def test_what_is_tried_again_is_called_alone() -> None:
    calls: List[List[int]] = []
    work = Work(4)
    with started(batch_pool(calls.append)) as pool:
        work.give(pool, *[work.task(offset, attempt=2 if offset == 1 else 1) for offset in range(4)])
        eventually(lambda: work.watermark == 4, 5, "all are done")

    assert calls == [[0], [1], [2, 3]]


class Order(msgspec.Struct):
    number: int


def of_orders(messages: List[Order]) -> None:
    assert [type(message) for message in messages] == [Order]


def test_messages_of_a_list_have_the_type_that_the_lists_hint_names() -> None:
    work = Work(2)
    with started(batch_pool(of_orders)) as pool:
        pool._call = handler.load(f"{__name__}:of_orders", some_settings()).call
        work.give(pool, *[work.task(n, value=value) for n, value in enumerate([b'{"number": 1}', b"7"])])
        eventually(lambda: work.segment.last_done() == 0 and pool.undecided, 5, "one is done, and the other is no order")

    assert failed(pool) == [(1, "InvalidMessageError")]


def test_what_must_be_alone_is_kept_back_when_its_partition_closes_while_it_waits_behind_a_batch() -> None:
    work = Work(3)

    def handler(_messages: List[int]) -> None:
        work.partition.closing.close(None)

    with started(batch_pool(handler)) as pool:
        work.give(pool, *[work.task(offset, attempt=2 if offset == 2 else 1) for offset in range(3)])
        eventually(lambda: pool.kept_back, 5, "it is kept back")

    assert (work.watermark, [task[0] for task in pool.kept_back]) == (2, [2])


@pytest.mark.parametrize(("whole", "first_call"), [(True, [0]), (False, [0, 2, 3])])
def test_what_is_stored_as_a_whole_ends_before_a_message_that_waits_behind_its_key(
    *, whole: bool, first_call: List[int]
) -> None:
    """1 waits for 0, which would wait for 1."""
    seen: List[List[int]] = []
    work = Work(4)
    first = work.task(0, "lane")
    assert [in_lane(task) for task in (first, work.task(1, "lane"))] == [True, False]
    with started(BatchPool(1, BatchCall(seen.append, decode, takes_contexts=False), 100, whole=whole)) as pool:
        work.give(pool, first, work.task(2), work.task(3))
        eventually(lambda: work.watermark == 4, 5, "all are done")

    assert (seen[0], sorted(sum(seen, []))) == (first_call, [0, 1, 2, 3])  # noqa: RUF017


def test_no_message_of_a_batch_is_done_before_its_results_are_stored() -> None:
    def handler(messages: List[int]) -> List[Send]:
        return [Send("t", number) for number in messages]

    work = Work(3)
    with started(batch_pool(handler)) as pool:
        work.give_all(pool)
        eventually(lambda: pool.undecided and not pool.running(), 5, "the call has returned")

    (returned,) = pool.undecided
    assert isinstance(returned, Returned)
    assert [task[0] for task in returned.tasks] == [0, 1, 2]
    assert (len(returned.sends), work.segment.seen()) == (3, bytes(3))


def test_who_gives_back_what_lies_behind_a_message_that_waits_wakes_another_for_it_before_it_calls() -> None:
    """Its call may take an hour, and those who looked while it had all of them in hand have gone to sleep."""
    work, calls = Work(4), []

    def handler(messages: List[int]) -> None:
        calls.append((messages, pool._tokens.qsize()))

    pool = batch_pool(handler, whole=True)
    first = work.task(0, "lane")
    assert [in_lane(task) for task in (first, work.task(1, "lane"))] == [True, False]
    work.partition.queue.extend([first, work.task(2), work.task(3)])
    pool._serve_one(pool.threads[0], work.partition.queue.pop)

    assert calls == [([0], 1)]
    assert [task[0] for task in work.partition.queue.listed()] == [1, 2, 3]
