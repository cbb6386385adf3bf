from __future__ import annotations

import contextlib
import json
import os
from typing import List, Optional

import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import offset_of, partition_of
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.report import MOST_TASKS, RATE_SECONDS, Average, LoopReport, Rate, Use, child_report
from kafka_worker.shared.ipc.snapshot import ChildReport, PartitionReport, Stage, WorkCount, as_json
from tests.unit.fakes import Message

NOW = 100.0


PARTITIONS = [PartitionReport("topic", number, 5, 6, 9, 4, in_flight=3, paused=False, held="") for number in (0, 1)]
LOOP = LoopReport(
    failed=2,
    dead_letters=2,
    dead_letters_waiting=1,
    joined=True,
    committed_at=NOW - 0.5,
    retrying=4,
    dropped=10,
    partitions=PARTITIONS,
    work=[WorkCount("tasks", "topic", "dead_letter", 2)],
)


def pool(started: List[float], key: Optional[bytes] = None) -> Pool:
    """One thread for each time; each runs a task since then."""
    made = Pool(len(started), lambda *_: None)
    partition = Partition("topic", 3)
    segment, _ = partition.tracker.take(0, max(1, len(started)))
    for offset, thread in enumerate(made.threads):
        thread.task = (offset, segment, Message(offset, key), None, 2, partition)
        thread.started = started[offset]
    return made


def report(of: Pool) -> ChildReport:
    return child_report(Stage.CONSUMING, LOOP, of.threads, of.running(), 0.1, Rate(0.0), lambda: NOW)


def test_numbers_of_all_threads_and_partitions_are_summed() -> None:
    threads = pool([NOW, NOW])
    for thread in threads.threads:
        thread.done, thread.stale = 5, 2
        thread.times["topic"].add(0.25, 4)
        thread.delays["topic"].add(100.0, 5)
        thread.done_of = {"topic": 5}

    said = report(threads)

    assert (said.done, said.failed, said.dropped) == (10, 2, 14)
    assert (said.in_flight, said.dead_letters, said.dead_letters_waiting, said.retrying) == (6, 2, 1, 4)
    assert said.work == [
        WorkCount("tasks", "topic", "done", 10),
        WorkCount("handler_seconds", "topic", "", 2.0),
        WorkCount("handler_calls", "topic", "0.25", 8),
        WorkCount("start_delay_seconds", "topic", "", 1000.0),
        WorkCount("start_delay_calls", "topic", "300.0", 10),
        *LOOP.work,
    ]


def test_a_process_tells_its_time_of_cores_and_its_descriptors() -> None:
    before = report(pool([NOW]))

    with contextlib.ExitStack() as opened:
        for _ in range(100):
            opened.enter_context(open(os.devnull, "rb"))
        after = report(pool([NOW]))

    assert after.cpu_seconds > before.cpu_seconds > 0
    assert after.open_files > before.open_files + 50  # what else runs here may have closed some meanwhile


def test_a_running_task_is_named_in_full() -> None:
    (task,) = report(pool([NOW - 7.5], b"k")).tasks

    assert as_json(task) == {
        "topic": "topic", "partition": 3, "offset": 0, "key": "k", "attempt": 2, "thread": "handler-0", "seconds": 7.5,
        "void": "",
    }  # fmt: skip


def test_the_longest_running_tasks_come_first_and_the_rest_is_left_out() -> None:
    tasks = report(pool([NOW - age for age in range(MOST_TASKS + 5)])).tasks

    assert [task.seconds for task in tasks] == [float(MOST_TASKS + 4 - index) for index in range(MOST_TASKS)]


@pytest.mark.parametrize("why", ["parked", "its partition is gone"])
def test_calls_of_which_nothing_counts_any_more_come_last_with_the_reason(why: str) -> None:
    calls = pool([NOW - age for age in range(MOST_TASKS + 5)])
    for thread in calls.threads[MOST_TASKS:]:  # they have run longest
        assert thread.task
        if why == "parked":
            partition_of(thread.task).void.add(offset_of(thread.task))
        else:
            thread.task = (*thread.task[:5], Partition("topic", 3))
            partition_of(thread.task).closing.forget()

    said = [task.void for task in report(calls).tasks]
    assert said == [""] * MOST_TASKS
    calls.threads = calls.threads[MOST_TASKS - 1 :]
    assert [task.void for task in report(calls).tasks] == ["", *[why] * 5]


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (None, None),
        (b"", ""),
        ("ä".encode(), "ä"),
        (b"\xff\x00", "\\xff\\x00"),
        (b"a\nb\r\x1b[2Jc\xe2\x80\xa8", "a\\nb\\r\\x1b[2Jc\\u2028"),
        (b"x" * 5000, "x" * 100),
    ],
)
def test_a_key_is_shown_short_and_without_what_would_move_the_cursor(key: Optional[bytes], shown: Optional[str]) -> None:
    assert report(pool([NOW], key)).tasks[0].key == shown


def test_a_heartbeat_survives_json() -> None:
    said = as_json(report(pool([NOW], b"\xff")))

    assert json.loads(json.dumps(said)) == said


def test_a_rate_approaches_the_pace_of_its_counter_and_falls_when_that_stands_still() -> None:
    rate = Rate(0.0)
    seconds = [second / 2 for second in range(1, int(20 * RATE_SECONDS))]
    steady = [rate.update(int(10 * second), second) for second in seconds][-1]

    still = rate.update(int(10 * seconds[-1]), seconds[-1] + RATE_SECONDS)

    assert steady == pytest.approx(10, rel=0.01)
    assert still == pytest.approx(steady * 0.37, rel=0.05)


def test_a_rate_asked_twice_at_once_does_not_forget_what_was_counted() -> None:
    rate = Rate(0.0)
    rate.update(10, 0.0)

    assert rate.update(10, 1.0) > 0


def test_an_average_is_that_of_the_last_seconds_and_of_its_first_moment_all_that_is_known() -> None:
    average = Average(0.0)
    young = average.update(4, 0.5)
    for second in range(1, 200):
        late = average.update(8 if second % 2 else 0, float(second))

    assert young == pytest.approx(4.0)
    assert late == pytest.approx(4.0, abs=0.5)
    assert average.update(0, 200.0 + 10 * RATE_SECONDS) == pytest.approx(0.0, abs=0.01)


def test_no_more_than_all_is_in_use_when_threads_have_been_taken_away() -> None:
    use = Use(0.0)
    for second in range(1, 60):
        use.update(30, 32, float(second))

    fewer = [use.update(busy, 16, 60.0 + second) for second, busy in enumerate([30, 20, 16, 16, 16, 16])]

    assert all(each["busy"] <= each["capacity"] for each in fewer)
