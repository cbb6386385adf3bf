"""What one thread sees of something that another moves meanwhile, at whatever instruction that happens."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple, cast

import pytest

from kafka_worker.draining.settling import Settling
from kafka_worker.isolation import main
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.tracker import DONE, OPEN, RUNNING
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.system.deadline import Deadline
from tests.support.stepping import at_each_instruction
from tests.unit.fakes import Message, some_settings

TAKEN, MOVING = 6, 3  # offsets: those before the moving one are done, those behind it too

Look = Callable[[Partition], Any]


def without_outcome(p: Partition) -> int:
    """The lowest offset that somebody who looks at the flags of all takes for open."""
    return p.tracker.done_beyond(0)[0][1]


LOOKS: Dict[str, Tuple[Look, Any]] = {
    "watermark": (lambda p: p.tracker.watermark(), MOVING),
    "what a commit would say": (lambda p: p.target(TAKEN), MOVING),
    "in flight": (lambda p: p.tracker.in_flight, 1),
    "map": (without_outcome, MOVING),
    "whether it is settled": (lambda p: p.closing.settled(-1), False),
}


def partition(flag: int) -> Tuple[Partition, Callable[[int], None]]:
    made = Partition("topic", 0)
    segment, _ = made.tracker.take(0, TAKEN)
    for offset in range(TAKEN):
        segment.complete(offset)

    def put(value: int) -> None:
        segment.flags[MOVING + segment.shift] = value

    put(flag)
    return made, put


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(("before", "after"), [(RUNNING, OPEN), (OPEN, RUNNING)])
def test_a_task_without_outcome_is_seen_by_whoever_looks_while_it_starts_or_fails(look: str, before: int, after: int) -> None:
    see, expected = LOOKS[look]

    def make() -> Tuple[Callable[[], Any], Callable[[], None]]:
        made, put = partition(before)
        return lambda: see(made), lambda: put(after)

    assert set(at_each_instruction(make)) == {expected}


def test_a_commit_says_the_offset_of_a_task_that_ends_meanwhile_or_that_behind_all() -> None:
    def make() -> Tuple[Callable[[], int], Callable[[], None]]:
        made, put = partition(RUNNING)
        return lambda: made.target(TAKEN), lambda: put(DONE)

    assert set(at_each_instruction(make)) == {MOVING, TAKEN}


def test_of_two_threads_that_bring_a_deadline_forward_the_earlier_one_wins() -> None:
    def make() -> Tuple[Callable[[], Deadline], Callable[[], None]]:
        deadline = Deadline(100.0, lambda: 0.0)

        def hurry() -> Deadline:
            deadline.hurry(50.0)
            return deadline

        return hurry, lambda: deadline.hurry(1.0)

    assert {deadline.at for deadline in at_each_instruction(make)} == {1.0}


def test_a_call_that_is_given_up_meanwhile_is_waited_for_or_leaves_a_gap_and_nothing_between() -> None:
    def make() -> Tuple[Callable[[], Tuple[bool, bool]], Callable[[], None]]:
        made, _put = partition(RUNNING)
        thread = HandlerThread("handler-0")
        thread.task = task = (MOVING, made.tracker.segments()[0], Message(MOVING), None, 1, made)
        pool = Pool(0, lambda *_: None)
        pool.threads.append(thread)
        settling = Settling(pool, Quarantine(some_settings(), 0, pool, SuspectsFile(None)), cast("Any", None), lambda: 0.0)
        return (
            lambda: (bool(settling.described([made])), made.closing.abandoned_from == MOVING),
            lambda: thread.hung.update({id(task): task}),
        )

    assert set(at_each_instruction(make)) <= {(True, False), (False, True)}


def test_a_dependency_that_answers_a_thread_of_the_handlers_own_meanwhile_does_no_harm() -> None:
    """Of a task process: an exception there would end it, as if by its task."""

    def make() -> Tuple[Callable[[], List[Any]], Callable[[], None]]:
        made = Partition("topic", 0)

        def use() -> None:
            with made.dependencies.call("payments", made.topic, made.closing):
                pass

        use()
        return lambda: main._calls(made), use

    assert {len(calls) for calls in at_each_instruction(make)} == {1, 2}
