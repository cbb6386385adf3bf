"""Which tasks may start. The test takes them from the queues, as handler threads would, and keeps the clock."""

from __future__ import annotations

from typing import Any, List

import pytest

from service.outcomes import Reject, Retry
from tests.unit.fakes import TOPIC, Message, some_settings
from worker.assignment import Partition
from worker.decoding import UndecodableError
from worker.gate import COUNT_SECONDS, Gate
from worker.lanes import Task
from worker.pool import Pool
from worker.queues import FirstComeFirstServed, InOrderOfOffset, Queue

OPEN_SECONDS, PROBES = 10.0, 2
ERROR = ConnectionError("refused")


class Bench:
    """A gate for some topics, each with a handler of its own name and one partition with tasks."""

    def __init__(self, *topics: str, tasks: int = 20, kind: Any = InOrderOfOffset, **changes: Any) -> None:
        settings = some_settings(
            **{"breaker_min_calls": 4, "breaker_open_seconds": OPEN_SECONDS, "breaker_probes": PROBES, **changes}
        )
        self.now = 0.0
        self.pool = Pool(2, lambda *_: None)
        self.gate = Gate(settings, self.pool, lambda topic: topic, lambda: self.now)
        self.partitions = [Partition(topic, 0, kind) for topic in topics or (TOPIC,)]
        for partition in self.partitions:
            partition.dependencies = self.gate.dependencies
            segment, _ = partition.tracker.take(0, tasks)
            partition.queue.extend([(offset, segment, Message(offset), None, 1) for offset in range(tasks)])
        self.turn(0.0)

    def turn(self, seconds: float = 0.01) -> bool:
        """So much later; whether what is served has changed."""
        self.now += seconds
        changed = self.gate.turn(self.partitions, self.now)
        self.queues: List[Queue] = self.gate.queues(self.partitions)
        return changed

    def taken(self, most: int = 100) -> List[Task]:
        """All tasks that may be started now, up to so many."""
        tasks: List[Task] = []
        for queue in self.queues:
            while len(tasks) < most:
                try:
                    tasks.append(queue.pop())
                except IndexError:
                    break
        return tasks

    def fail(self, *tasks: Task, error: BaseException = ERROR, last: bool = False) -> List[bool]:
        """Whether each is taken back."""
        return [self.gate.take_back(task, error, self.now, last=last) for task in tasks]

    def call(self, name: str, topic: str = TOPIC, error: Any = None) -> None:
        """A handler uses a dependency, which raises."""
        with self.gate.dependencies.call(name, topic):
            if error is not None:
                raise error

    def until_open(self) -> Bench:
        """By failures of the first partition's first tasks, the last of which is set aside."""
        assert self.fail(*self.taken(4)) == [False, False, False, True]
        self.turn()
        return self

    def until_half_open(self) -> Bench:
        self.until_open()
        self.turn(OPEN_SECONDS)
        return self

    def succeed(self, *tasks: Task) -> None:
        for task in tasks:
            task[1].complete(task[0])
        self.turn()


def offsets(tasks: List[Task]) -> List[int]:
    return [task[0] for task in tasks]


def test_usually_the_pool_takes_from_the_partitions_queues_themselves() -> None:
    bench = Bench()

    assert bench.queues == [bench.partitions[0].queue]
    assert not bench.turn()


def test_nothing_of_a_handler_is_started_while_its_breaker_is_open_and_of_others_everything() -> None:
    bench = Bench("a", "b").until_open()

    assert bench.queues == [bench.partitions[1].queue]
    assert [bench.gate.why(partition) for partition in bench.partitions] == ["the circuit breaker of a is open", ""]
    bench.turn(OPEN_SECONDS - 1)
    assert bench.queues == [bench.partitions[1].queue]


def test_a_failure_while_open_keeps_its_attempt_and_comes_again_when_it_is_closed() -> None:
    bench = Bench(tasks=5)
    running = bench.taken(5)
    bench.fail(*running[:4])
    bench.turn()

    assert bench.fail(running[4]) == [True]
    bench.turn(OPEN_SECONDS)
    bench.succeed(*bench.taken())
    bench.turn()

    assert bench.partitions[0].tracker.in_flight == 3  # the first three failed before, and are tried again as usual
    assert running[4][4] == 1


def test_probes_are_counted_and_the_next_one_waits_for_the_outcome_of_one_before() -> None:
    bench = Bench().until_half_open()

    first = bench.taken()
    assert offsets(first) == [4, 5]
    bench.turn()
    assert bench.taken() == []
    bench.fail(first[0], error=Reject())  # says nothing of the handler
    bench.turn()
    assert offsets(bench.taken()) == [6]


def test_when_all_probes_are_done_everything_goes_on() -> None:
    bench = Bench().until_half_open()

    bench.succeed(*bench.taken())

    assert bench.turn() or bench.queues == [bench.partitions[0].queue]
    assert offsets(bench.taken()) == [3, *range(6, 20)]  # what was set aside is in its place


def test_a_probe_that_fails_holds_everything_again_and_others_are_the_next_probes() -> None:
    bench = Bench().until_half_open()
    first = bench.taken()

    assert bench.fail(*first) == [True, True]
    bench.turn()
    assert bench.queues == []
    bench.turn(OPEN_SECONDS)
    assert offsets(bench.taken()) == [6, 7]


def test_with_nothing_else_to_try_what_failed_longest_ago_is_tried_again() -> None:
    bench = Bench(tasks=6).until_half_open()
    bench.fail(*bench.taken())
    bench.turn(OPEN_SECONDS)
    bench.turn(OPEN_SECONDS)

    assert offsets(bench.taken()) == [3, 4]


def test_a_message_that_fails_beside_one_that_succeeds_is_to_blame_itself() -> None:
    bench = Bench().until_half_open()
    good, bad = bench.taken()

    bench.succeed(good)

    assert bench.fail(bad) == [False]


def test_a_task_that_was_running_when_it_opened_is_no_probe() -> None:
    bench = Bench()
    late = bench.taken(1)
    bench.until_half_open()

    assert bench.fail(*late) == [True]
    bench.turn()
    assert len(bench.taken()) == PROBES


@pytest.mark.parametrize("error", [Reject(), Retry(), UndecodableError()])
def test_what_speaks_of_the_message_alone_opens_no_breaker(error: BaseException) -> None:
    bench = Bench(dead_letter_storm_share=0.0)

    assert not any(bench.fail(*bench.taken(), error=error))
    bench.turn()
    assert len(bench.queues) == 1


def test_what_is_done_counts_before_what_failed_since() -> None:
    bench = Bench()
    bench.turn(COUNT_SECONDS)
    bench.pool.threads[0].done_of[TOPIC] = 5
    bench.now += COUNT_SECONDS / 10

    assert bench.fail(*bench.taken(4)) == [False] * 4
    assert bench.gate.reports(bench.now)[0].calls == 9


def test_probes_of_a_partition_that_goes_away_make_room_for_others() -> None:
    bench = Bench("a").until_half_open()
    bench.taken()
    bench.partitions[0].forget()
    again = Partition("a", 0)
    segment, _ = again.tracker.take(0, 5)
    again.queue.extend([(offset, segment, Message(offset), None, 1) for offset in range(5)])
    bench.partitions = [again]

    bench.turn()

    assert len(bench.taken()) == PROBES


def test_a_closed_partition_that_is_held_is_not_waited_for() -> None:
    bench = Bench().until_half_open()
    (partition,) = bench.partitions
    last, _ = bench.taken()
    last[1].complete(19)
    partition.close(None)

    bench.turn()

    assert bench.queues == []
    assert partition.settled(-1)


@pytest.mark.parametrize("kind", [InOrderOfOffset, FirstComeFirstServed])
def test_what_was_set_aside_comes_back_in_order(kind: Any) -> None:
    bench = Bench(tasks=8, kind=kind)
    bench.fail(*bench.taken(6))
    bench.turn()
    bench.turn(OPEN_SECONDS)
    bench.succeed(*bench.taken(PROBES))
    bench.turn()

    assert offsets(bench.taken()) == [3, 4, 5]


def test_too_many_dead_letters_hold_everything_and_one_a_round_gets_through() -> None:
    bench = Bench("a", "b", dead_letter_storm_messages=10)
    doomed = bench.taken(8)

    assert bench.fail(*doomed, error=Reject(), last=True) == [False] * 4 + [True] * 4
    bench.turn()
    assert bench.queues == []
    bench.turn(OPEN_SECONDS)
    assert bench.fail(*bench.taken(PROBES), error=Reject(), last=True) == [False, True]
    bench.turn()
    assert bench.queues == []
    assert bench.gate.reports(bench.now)[-1].name == "dead letters"


def test_no_breakers_no_holding() -> None:
    bench = Bench(breaker_failure_share=0.0, dead_letter_storm_share=0.0)

    assert not any(bench.fail(*bench.taken(), last=True))
    assert bench.gate.reports(0.0) == []


# ---- dependencies ----


def test_a_dependency_that_fails_holds_the_handlers_that_use_it_as_a_whole() -> None:
    bench = Bench("a", "b", "c")
    bench.call("payments", "b")
    for _ in range(4):
        with pytest.raises(ConnectionError):
            bench.call("payments", "a", ERROR)

    assert bench.turn()
    assert bench.queues == [bench.partitions[2].queue]


def test_a_failure_that_comes_from_a_dependency_does_not_count_while_that_is_not_well() -> None:
    bench = Bench()
    first, second = bench.taken(2)
    bench.pool.threads[0].done_of[TOPIC] = 8  # they keep the handler's own breaker closed
    for _ in range(4):
        with pytest.raises(ConnectionError) as raised:
            bench.call("payments", error=ConnectionError("refused"))
    wrapped = ValueError("no payment")
    wrapped.__cause__ = raised.value

    assert bench.fail(first, error=wrapped) == [True]
    assert bench.fail(second, error=ValueError("my own")) == [False]


def test_messages_that_do_not_use_the_dependency_decide_nothing_about_it() -> None:
    bench = Bench()
    for _ in range(4):
        with pytest.raises(ConnectionError):
            bench.call("payments", error=ERROR)
    bench.turn()
    bench.turn(OPEN_SECONDS)

    bench.succeed(*bench.taken())
    assert len(bench.taken()) == PROBES
    for _ in range(PROBES):
        bench.call("payments")
    bench.turn()

    assert bench.queues == [bench.partitions[0].queue]


def test_a_call_that_began_before_the_round_is_no_probe_of_it() -> None:
    bench = Bench()
    slow = bench.gate.dependencies.call("payments", TOPIC)
    slow.__enter__()
    for _ in range(4):
        with pytest.raises(ConnectionError):
            bench.call("payments", error=ERROR)
    bench.turn()
    bench.turn(OPEN_SECONDS)

    slow.__exit__(ConnectionError, ERROR, None)
    bench.turn()

    assert [report.state for report in bench.gate.reports(0.0) if report.name == "payments"] == ["half-open"]


def test_names_of_dependencies_are_bounded_in_number_and_form(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for number in range(150):
        bench.call("host-%d" % number)
    bench.turn()

    assert len(bench.gate.reports(0.0)) == 102  # the handler's and that of the dead letters are two
    assert caplog.text.count("have no circuit breaker") == 1
    for name in ("", "x" * 101, "two\nlines", b"bytes"):
        with pytest.raises(ValueError, match="dependency's name"):
            bench.call(name)  # type: ignore[arg-type]


# ---- the rate limit ----


def test_with_a_rate_limit_each_start_costs_a_token() -> None:
    bench = Bench("a", "b", max_messages_per_second=10.0)

    assert bench.taken() == []
    bench.turn(0.1)
    assert len(bench.taken()) == 1
    bench.turn(0.1)
    bench.turn(0.1)
    assert len(bench.taken()) == 2


def test_each_process_has_its_share_of_the_rate() -> None:
    bench = Bench(max_messages_per_second=100.0, processes=4)

    bench.turn(0.2)

    assert len(bench.taken()) == 5


def test_a_probe_costs_a_token_too_and_no_permit_is_lost_for_want_of_one() -> None:
    bench = Bench(max_messages_per_second=10.0)
    bench.turn(0.2)
    bench.fail(*bench.taken(2))
    bench.turn(0.2)
    bench.fail(*bench.taken(2))
    bench.turn()
    bench.turn(OPEN_SECONDS)

    assert len(bench.taken()) == PROBES
