"""With a task process that is played, on a real loop and real threads."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List

import pytest

from kafka_worker.isolation.task_process import TaskDiedError, TaskProcessError
from kafka_worker.outcomes.dead_letters import DeadLetters
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery import quarantine
from kafka_worker.recovery.quarantine import AT_ONCE, Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.deliver_at import written
from tests.support.ending import made_to_end
from tests.support.eventually import eventually
from tests.unit.fakes import TOPIC, Message, Step, some_settings
from tests.unit.loops import Bench, assign, deliver, revoke, stop, until

DEADLY = TaskDiedError("killed by SIGSEGV", 1 << 20, "a stack")


class Apart:
    """A bench whose suspects run in a played task process: it raises what `errors` has for an offset, in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = Bench(monkeypatch)
        self.calls: List[int] = []
        self.errors: Dict[int, List[Exception]] = {}
        self.letters: List[int] = []
        self.closed = 0  # how often the task process was ended
        self.wait: Callable[[int], object] = lambda _offset: None
        self.suspects = SuspectsFile(None)
        apart = self

        class Process:
            def __init__(self, *_: object) -> None: ...

            def close(self) -> None:
                apart.closed += 1

            def run(self, message: Message, _partition: Partition, _attempt: int, *_: object) -> None:
                apart.calls.append(message.offset())
                apart.wait(message.offset())
                errors = apart.errors.get(message.offset())
                if errors:
                    raise errors.pop(0)

        def send(_self: DeadLetters, task: Task, *_why: Any) -> None:
            """As if the broker had acknowledged it at once."""
            self.letters.append(task[0])
            self.bench.parts.decisions.complete(task)

        class OfThisTest(Quarantine):
            def __init__(self, settings: Any, slot: int, pool: Pool, _none: SuspectsFile) -> None:
                super().__init__(settings, slot, pool, apart.suspects)
                self.end = made_to_end(self)

        monkeypatch.setattr(quarantine, "TaskProcess", Process)
        monkeypatch.setattr(DeadLetters, "send", send)
        self.bench.quarantine = OfThisTest
        self._made = OfThisTest

    def blame(self, *offsets: int) -> None:
        self.suspects.blame([(TOPIC, 0, offset) for offset in offsets], "before")

    def play(self, *steps: Step, **changes: Any) -> ExitCode:
        code = self.bench.play(*steps, **changes)
        self.end(self.bench.parts.quarantine)
        return code

    def alone(self) -> Quarantine:
        """Without a loop."""
        return self._made(some_settings(), 0, Pool(1, lambda *_: None), SuspectsFile(None))

    @staticmethod
    def end(one: Quarantine) -> None:
        one.end()  # type: ignore[attr-defined]

    @property
    def known(self) -> Dict[int, int]:
        """Offset of each suspect, and its deaths."""
        return {offset: each.deaths for (_, _, offset), each in self.suspects.known.items()}


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Apart:
    return Apart(monkeypatch)


def test_suspects_run_apart_their_neighbours_where_they_always_do_and_all_are_done_once(apart: Apart) -> None:
    apart.blame(1, 3)

    all_called = until(lambda: len(apart.calls) == 2 and len(apart.bench.calls) == 3)

    apart.play(assign(), deliver(0, 1, 2, 3, 4), all_called, stop())

    assert apart.calls == [1, 3]
    assert sorted(apart.bench.calls) == [0, 2, 4]
    assert apart.bench.committed == 5
    assert apart.known == {}


def test_of_a_suspect_it_is_kept_what_happened_while_it_ran() -> None:
    ours = Quarantine(some_settings(), 0, Pool(1, lambda *_: None), SuspectsFile(None))

    ours.blame([(TOPIC, 0, 1)])
    ours.blame([(TOPIC, 0, 1), (TOPIC, 0, 2)], "all files were open")

    assert {offset: each.how for (_, _, offset), each in ours.suspects.known.items()} == {
        1: "was running when its process died", 2: "was running when all files were open",
    }  # fmt: skip


def test_a_suspect_with_a_time_of_its_own_runs_then_and_not_before(apart: Apart) -> None:
    """In a list it counted as running while others of it ran, though it was not called."""
    apart.blame(0)
    early, other = Message(0), Message(1)
    early.given_headers = [("deliver-at", written(time.time() + 0.1).encode())]
    called: List[float] = []
    due = time.monotonic() + 0.1
    apart.wait = lambda _offset: called.append(time.monotonic())

    apart.play(
        assign(), lambda _: [early, other], until(lambda: apart.bench.done == {1}), until(lambda: apart.calls == [0]), stop(),
        deliver_at_max_seconds=60.0,
    )  # fmt: skip

    assert called[0] >= due - 0.05
    assert apart.bench.committed == 2


def test_a_suspect_that_was_parked_while_it_ran_is_none_any_more(apart: Apart) -> None:
    one, partition = apart.alone(), Partition(TOPIC, 3)
    segment, _ = partition.tracker.take(0, 2)
    for offset in range(2):
        one.threads[offset].task = (offset, segment, Message(offset), None, 1, partition)

    partition.void.add(0)

    assert one.count == 1
    apart.end(one)


def test_the_task_process_of_a_thread_is_ended_though_another_took_the_last_suspect(apart: Apart) -> None:
    one = apart.alone()

    one._start_once()  # each looks for a suspect, and there is none any more

    eventually(lambda: apart.closed == AT_ONCE, 5.0, "each has ended its task process")
    apart.end(one)


def test_while_a_suspect_runs_others_go_on_and_its_key_waits(apart: Apart) -> None:
    release = threading.Event()
    apart.blame(0)
    apart.wait = lambda _offset: release.wait(10)
    batch = [Message(0, b"a"), Message(1, b"a"), Message(2, b"b")]

    apart.play(
        assign(),
        lambda _: batch,
        until(lambda: apart.bench.done == {2} and apart.calls == [0]),
        until(lambda: release.set() or apart.bench.done == {1, 2}),  # type: ignore[func-returns-value]
        stop(),
    )

    assert apart.bench.committed == 3


def test_a_suspect_that_waits_in_its_lane_runs_apart_when_its_turn_comes(apart: Apart) -> None:
    apart.blame(1)
    batch = [Message(0, b"a"), Message(1, b"a"), Message(2, b"a")]

    apart.play(assign(), lambda _: batch, until(lambda: 2 in apart.bench.done), stop())

    assert (apart.bench.calls, apart.calls) == ([0, 2], [1])


def test_the_second_death_makes_a_dead_letter_of_just_that_message(apart: Apart) -> None:
    """It was blamed with three neighbours; alone, it dies once more."""
    apart.blame(0, 1, 2, 3)
    apart.errors = {2: [DEADLY]}

    apart.play(assign(), deliver(0, 1, 2, 3), until(lambda: apart.letters), until(lambda: len(apart.calls) == 4), stop())

    assert apart.letters == [2]
    assert sorted(apart.calls) == [0, 1, 2, 3]
    assert apart.bench.committed == 4
    assert apart.known == {}


def test_below_the_limit_it_runs_again_at_once_and_behind_the_others(apart: Apart) -> None:
    apart.blame(0, 1)
    apart.errors = {0: [DEADLY, DEADLY]}

    apart.play(assign(), deliver(0, 1), until(lambda: len(apart.calls) == 4), stop(), max_deaths=4)

    assert sorted(apart.calls) == [0, 0, 0, 1]
    assert apart.calls[0] == 0
    assert apart.letters == []
    assert apart.bench.committed == 2


def test_nobody_is_condemned_without_a_death_alone(apart: Apart) -> None:
    """Even where one death suffices, and after many in company."""
    for _ in range(5):
        apart.blame(0, 1)

    apart.play(assign(), deliver(0, 1), until(lambda: len(apart.calls) == 2), stop(), max_deaths=1)

    assert apart.letters == []
    assert apart.bench.committed == 2


def test_where_each_task_has_a_task_process_a_death_counts_without_any_suspicion_before(apart: Apart) -> None:
    """With ISOLATION=process it is the handler threads' own calls that die."""

    def die(message: Message, _partition: Partition, _attempt: int) -> None:
        if message.offset() == 1:
            raise DEADLY

    apart.bench.call = die
    apart.play(assign(), deliver(0, 1, 2), until(lambda: apart.letters), stop())

    assert apart.letters == [1]
    assert sorted(apart.bench.calls) == [0, 1, 1, 2]
    assert apart.bench.committed == 3


def test_a_suspect_stays_one_when_offsets_go_back(apart: Apart) -> None:
    apart.blame(5)
    apart.play(assign(), deliver(20), until(lambda: apart.bench.done), deliver(5), until(lambda: apart.calls), stop())

    assert (apart.bench.calls, apart.calls) == ([20], [5])


def test_a_suspect_that_raises_is_tried_again_like_any_other_and_apart(apart: Apart) -> None:
    apart.blame(0)
    apart.errors = {0: [ValueError(7)]}
    apart.bench.delays = {7: 0.0}

    apart.play(assign(), deliver(0), until(lambda: len(apart.calls) == 2), stop())

    assert apart.bench.calls == []
    assert apart.bench.committed == 1
    assert apart.known == {}


def test_where_no_task_process_can_be_had_nobody_is_to_blame(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskProcessError, "again_after", 0.01)
    apart.blame(0)
    apart.errors = {0: [TaskProcessError("no memory")] * 5}

    apart.play(assign(), deliver(0), until(lambda: len(apart.calls) == 6), stop())

    assert apart.letters == []
    assert apart.bench.committed == 1


def until_closed(apart: Apart) -> Callable[[int], object]:
    """How long each suspect runs: until its partition is closed."""
    return lambda _offset: eventually(
        lambda: all(partition.closing.closed for partition in apart.bench.loop._ownership.assignment),
        10,
        "the partition is closed",
    )


def test_a_revocation_waits_for_running_suspects_and_starts_no_other(apart: Apart) -> None:
    suspects = range(AT_ONCE + 1)
    apart.wait = until_closed(apart)
    apart.blame(*suspects)

    apart.play(assign(), deliver(*suspects), until(lambda: len(apart.calls) == AT_ONCE), revoke(), stop())

    assert sorted(apart.calls) == list(range(AT_ONCE))
    assert apart.bench.committed == AT_ONCE
    assert apart.known == {AT_ONCE: 1}


def test_a_death_is_blamed_on_what_ran_in_that_process_and_not_on_what_ran_apart(apart: Apart) -> None:
    apart.blame(4)

    apart.alone().blame([(TOPIC, 0, 4), (TOPIC, 0, 5)])

    assert apart.known == {4: 1, 5: 1}


def test_what_was_done_before_is_no_suspect_any_more(apart: Apart) -> None:
    apart.blame(4, 5, 8)
    partition = Partition(TOPIC, 0)
    partition.stored.committed, partition.stored.done_before = 5, [(8, 9)]
    ours = apart.alone()
    before = partition.queue

    ours.receive([partition])

    assert apart.known == {5: 1}
    assert partition.queue is not before
    apart.end(ours)


def test_a_partition_without_suspects_keeps_its_queue(apart: Apart) -> None:
    apart.blame(5)
    partition = Partition("other", 0)
    before = partition.queue

    apart.alone().receive([partition])

    assert partition.queue is before


def test_a_drain_does_not_wait_for_a_call_that_hangs_and_says_of_no_other_that_it_did(apart: Apart) -> None:
    hangs, release = threading.Event(), threading.Event()

    def call(message: Message, _partition: Partition, _attempt: int) -> None:
        if message.offset() == 1:
            hangs.set()
            release.wait(10)

    def give_up(_group: object) -> List[Message]:
        ((thread, task),) = apart.bench.loop.running()
        thread.hung[id(task)] = task
        return []

    apart.bench.call = call
    code = apart.play(
        assign(),
        deliver(0, 1, 2, 3),
        until(lambda: hangs.is_set() and apart.bench.done == {0, 2, 3}),
        give_up,
        stop(seconds=8),
    )
    release.set()

    assert code is ExitCode.OK
    assert apart.bench.committed == 1
    assert apart.bench.loop.report.cut_off == ()


def test_a_stop_waits_for_the_suspects_that_run_and_not_for_those_that_wait_for_their_turn(apart: Apart) -> None:
    suspects = range(AT_ONCE + 2)
    apart.wait = until_closed(apart)
    apart.blame(*suspects)

    code = apart.play(
        assign(),
        deliver(*suspects, AT_ONCE + 2),
        until(lambda: len(apart.calls) == AT_ONCE and apart.bench.done == {AT_ONCE + 2}),
        stop(seconds=8),
    )

    assert code is ExitCode.OK
    assert sorted(apart.calls) == list(range(AT_ONCE))
    assert apart.bench.committed == AT_ONCE
    assert set(apart.known) == {AT_ONCE, AT_ONCE + 1}


def test_the_task_process_is_ended_when_there_is_no_suspect_any_more(apart: Apart) -> None:
    apart.blame(0, 1)

    apart.play(assign(), deliver(0, 1), until(lambda: len(apart.calls) == 2 and apart.closed), stop())

    assert apart.known == {}
