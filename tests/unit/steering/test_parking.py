"""A message that is parked becomes one dead letter, wherever it is, and nothing else comes of it."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from kafka_worker.handler.context import Context
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.kafka.outgoing.outbox import Outbox
from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.outcomes.results import OF_A_BATCH, WHAT
from kafka_worker.partitions.assignment import Assignment
from kafka_worker.partitions.task import Task, finish, mark_running
from kafka_worker.partitions.undecided import BatchFailed, Raised, Returned, Undecided
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.ipc.orders import Order
from kafka_worker.steering.parking import LOOK_SECONDS, TOLD_SECONDS, Parking
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.support.stepping import at_each_instruction
from tests.unit.fakes import TOPIC, Message, in_lane
from tests.unit.kafka.outgoing.desk import Producer
from tests.unit.pools.kinds import KINDS, Work
from tests.unit.standstill import bench as benches

HERE = 7
ORDER = Order(Place(TOPIC, 0, HERE), "it hangs", "ops@host", 0.0)


class Bench(benches.Bench):
    """With one message that is to be parked, behind one that runs and before one of its key."""

    def __init__(self, producer: Producer, **changes: Any) -> None:
        super().__init__(**changes)
        self.producer = producer
        self.parking = Parking(self.parts, lambda: self.now)
        self.assignment = Assignment(lambda _topic, _number: self.partition)
        self.assignment.add(TOPIC, 0)

    def deliver(self) -> Task:
        """It holds its lane, in which another waits."""
        task, _ = self.in_lane(HERE), self.in_lane(HERE + 1)
        return task

    def in_lane(self, offset: int) -> Task:
        """At the end of one lane."""
        task: Task = (*self.take(offset)[:3], b"key", 1, self.partition)
        in_lane(task)
        return task

    def turn(self, *orders: Order) -> str:
        """What is said of it after some turns of the loop."""
        for _ in range(3):
            self.now += LOOK_SECONDS
            self.parts.decisions.turn()
            self.parking.turn(orders, self.assignment)
        return next((report.outcome for report in self.parking.reports()), "")

    @property
    def letters(self) -> List[Tuple[str, str, str]]:
        """Topic, error and attempts of each."""
        found = []
        for letter in self.producer.letters:
            headers: Dict[str, bytes] = dict(letter["headers"])
            error, attempts = headers.get("dead-letter.error-message", b""), headers.get("dead-letter.attempts", b"")
            found.append((letter["topic"], error.decode(), attempts.decode()))
        return found

    @property
    def queued(self) -> List[int]:
        return [task[0] for task in self.partition.queue.listed()]


@pytest.fixture
def bench(producer: Producer) -> Bench:
    return Bench(producer)


def runs(bench: Bench, task: Task) -> None:
    thread = bench.pool.threads[0]
    thread.task = task
    mark_running(task)


def runs_in_a_batch(bench: Bench, task: Task) -> None:
    bench.pool.threads[0].batch = [task]
    bench.pool.running = lambda: BatchPool.running(bench.pool)  # type: ignore[method-assign, arg-type]
    mark_running(task)


def runs_apart(bench: Bench, task: Task) -> None:
    bench.parts.quarantine.threads[0].task = task
    mark_running(task)


def is_queued(bench: Bench, task: Task) -> None:
    others = [bench.take(offset) for offset in range(HERE + 2, HERE + 9)]
    bench.partition.queue.extend([task, *others])


def waits_for_its_next_attempt(bench: Bench, task: Task) -> None:
    bench.parts.decisions._retries.add(task, bench.now + 3600.0, bench.now)


def is_set_aside(bench: Bench, task: Task) -> None:
    bench.parts.gates._gate("").aside.append(task)


def waits_to_run_apart(bench: Bench, task: Task) -> None:
    bench.parts.quarantine.admit(task)


def waits_to_be_stored(bench: Bench, what: str, task: Task) -> None:
    sender = bench.parts.decisions._outbox
    assert isinstance(sender, Outbox)
    letter = outbox._Letter(what, task, OutgoingRecord("out", None, None, []), lambda _: None)
    sender._again.append((bench.now + 3600.0, [letter]))


def has_a_result_that_is_refused(bench: Bench, task: Task) -> None:
    waits_to_be_stored(bench, WHAT, task)


FOUND: List[Tuple[Callable[[Bench, Task], None], str]] = [
    (runs, "1"),
    (runs_in_a_batch, "1"),
    (runs_apart, "1"),
    (is_queued, "0"),
    (waits_for_its_next_attempt, "1"),
    (is_set_aside, "0"),
    (waits_to_run_apart, "0"),
    (has_a_result_that_is_refused, "0"),
]


@pytest.mark.parametrize(("how", "attempts"), FOUND)
def test_it_becomes_a_letter_wherever_it_is_and_its_key_goes_on(
    bench: Bench, how: Callable[[Bench, Task], None], attempts: str
) -> None:
    how(bench, bench.deliver())

    outcome = bench.turn(ORDER)

    assert outcome == "parked"
    assert bench.letters == [(f"{TOPIC}.dlq", "parked by ops@host: it hangs", attempts)]
    assert bench.partition.tracker.is_done(HERE)
    assert HERE + 1 in bench.queued
    assert HERE not in bench.queued
    counted = {(each.what, each.kind): each.count for each in bench.parts.decisions.work.counts() if each.kind == "parked"}
    assert counted == {("tasks", "parked"): 1, ("dead_letters", "parked"): 1}


def test_what_waits_behind_its_key_goes_alone_and_the_key_waits_on(bench: Bench) -> None:
    first, _, behind = (bench.in_lane(offset) for offset in (HERE - 1, HERE, HERE + 1))

    outcome, queued = bench.turn(ORDER), bench.queued
    finish(first)

    assert (outcome, queued) == ("parked", [])
    assert bench.queued == [behind[0]]


def test_what_is_not_delivered_yet_is_kept_by_name_and_taken_when_it_comes(bench: Bench) -> None:
    early, named = bench.turn(ORDER), set(bench.partition.named)
    bench.parking.take([bench.take(HERE)])

    assert (early, named) == ("", {HERE})
    assert bench.turn(ORDER) == "parked"
    assert bench.letters == [(f"{TOPIC}.dlq", "parked by ops@host: it hangs", "0")]


def test_the_letter_has_the_newest_order_s_words(bench: Bench) -> None:
    bench.turn(ORDER)
    newer = ORDER._replace(reason="it still hangs", by="night@host")
    bench.turn(newer)
    bench.parking.take([bench.take(HERE)])

    assert bench.turn(newer) == "parked"
    assert bench.letters == [(f"{TOPIC}.dlq", "parked by night@host: it still hangs", "0")]


def test_what_is_taken_back_too_late_is_told_with_the_orders_that_have_it_no_more_and_has_its_outcome(bench: Bench) -> None:
    runs(bench, bench.deliver())
    bench.parking.turn([ORDER], bench.assignment)
    sent = [each.outcome for each in bench.parking.reports()]

    assert (sent, bench.turn(), len(bench.letters)) == (["sent"], "parked", 1)
    assert bench.partition.tracker.is_done(HERE)


def test_what_is_parked_keeps_its_place_among_orders_no_longer_than_somebody_may_wait_for_a_word_of_it(bench: Bench) -> None:
    runs(bench, bench.deliver())
    in_force = bench.turn(ORDER), len(bench.parking)
    bench.now += TOLD_SECONDS
    told = bench.turn(), len(bench.parking)  # a moment after the service has heard of it, and ended the order
    bench.now += TOLD_SECONDS

    assert (in_force, told) == (("parked", 1), ("parked", 1))
    assert (bench.turn(), len(bench.parking)) == ("", 0)


def test_an_order_that_is_withdrawn_names_nothing_any_more(bench: Bench) -> None:
    bench.turn(ORDER)
    bench.turn()

    assert bench.partition.named == set()


@pytest.mark.parametrize("how", ["before", "committed", "hole"])
def test_what_is_done_already_is_told_and_no_letter(bench: Bench, how: str) -> None:
    if how == "committed":
        bench.partition.stored.committed = HERE + 1
    elif how == "before":
        bench.take(HERE)[1].complete(HERE)
    else:
        bench.take(HERE - 1)
        bench.take(HERE + 1)

    assert bench.turn(ORDER) == "done"
    assert bench.letters == []


@pytest.mark.parametrize("what", ["dead letter", OF_A_BATCH])
def test_what_is_on_its_way_to_the_dead_letters_or_belongs_to_others_too_is_left(bench: Bench, what: str) -> None:
    waits_to_be_stored(bench, what, bench.deliver())

    assert bench.turn(ORDER) == ""
    assert bench.letters == []


def test_of_a_partition_that_goes_away_nothing_is_taken_out(bench: Bench) -> None:
    is_queued(bench, bench.deliver())
    bench.partition.closing.close(None)

    assert bench.turn(ORDER) == ""
    assert HERE in bench.queued


def test_a_probe_that_is_parked_says_nothing_about_its_breaker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told: List[List[Task]] = []
    monkeypatch.setattr(bench.parts.gates, "give_back", lambda tasks: told.append(list(tasks)))
    task = bench.deliver()
    runs(bench, task)

    bench.turn(ORDER)

    assert told == [[task]]


def test_the_handler_of_what_runs_is_told_that_it_is_cancelled_and_its_neighbours_are_not(bench: Bench) -> None:
    runs(bench, bench.deliver())
    contexts = [Context(Message(offset), bench.partition, 1) for offset in (HERE, HERE + 1)]

    bench.turn(ORDER)

    assert [context.cancelled for context in contexts] == [True, False]
    assert bench.partition.parked == {(0, HERE)}, "by this a task process tells it from one that is late"
    assert contexts[0].deadline is None


LATE: List[Tuple[str, Callable[[Task], Optional[Undecided]]]] = [
    ("raised", lambda task: Raised(task, ValueError("late"))),
    ("returned", lambda task: Returned((task,), [Send("out", b"late")])),
    ("batch", lambda task: BatchFailed([task, (HERE + 1, *task[1:])], ValueError("late"))),
]


@pytest.mark.parametrize(("what", "undecided"), LATE)
def test_what_a_void_call_leaves_behind_is_not_decided(
    bench: Bench, what: str, undecided: Callable[[Task], Undecided]
) -> None:
    task = bench.deliver()
    runs(bench, task)
    bench.turn(ORDER)
    bench.pool.undecided.append(undecided(task))
    bench.turn(ORDER)

    assert len(bench.letters) == 1
    assert bench.parts.decisions.counts().failed == 0
    assert [task[0] for task in bench.partition.queue.listed() if task[0] == HERE] == []
    assert (what == "batch") == (len(bench.queued) > 1)  # the other one of the batch is called alone


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raises", [False, True])
def test_nothing_that_comes_of_a_void_call_counts_whoever_runs_it(kind: str, *, raises: bool) -> None:
    """Neither its flag, which may be somebody else's by then, nor its lane, which has gone on, nor how long it took."""

    work, called, now = Work(2), threading.Event(), [100.0]

    def act(offset: int) -> Any:
        if offset == 0:
            work.partition.void.add(0)
            now[0] += 10.0
            called.set()
            if raises:
                raise ValueError(offset)

    made = KINDS[kind](act, lambda: None)
    made.clock = lambda: now[0]
    with started(made) as pool:
        lanes = work.give_in_one_lane(pool)
        assert called.wait(5)
        eventually(lambda: not pool.running(), 5, "it is over")

        assert work.watermark == 0
        assert [task[0] for task in lanes.values()] == [1]
        assert list(pool.undecided) == []
        assert sum(thread.done + thread.failed for thread in pool.threads) == 0
        assert [
            times for thread in pool.threads for times in thread.times.values() if any(times.counts) or times.seconds
        ] == []


def test_how_long_a_void_call_took_is_no_part_of_its_neighbours_times() -> None:
    now = [100.0]

    def call(message: Message, *_: Any) -> None:
        if message.offset() == 1:
            now[0] += 10.0
            work.partition.void.add(1)

    work, pool = Work(2), Pool(1, call)
    pool.clock = lambda: now[0]
    work.partition.queue.extend(work.task(offset) for offset in range(2))
    pool._serve_one(pool.threads[0], work.partition.queue.pop)

    assert (work.times(pool).counts[0], sum(work.times(pool).counts), work.times(pool).seconds) == (1, 1, 0.0)


ONE_OUTCOME = {("parked", 1, True, 1), ("done", 0, True, 1)}


def outcome(bench: Bench, *orders: Order) -> Tuple[str, int, bool, int]:
    """What is said of it, its letters, whether it is done, and how often its follower may run or does."""
    told = bench.turn(*orders)
    follower = bench.queued.count(HERE + 1) + bench.partition.tracker.is_done(HERE + 1)
    return told, len(bench.producer.letters), bench.partition.tracker.is_done(HERE), follower


def test_a_message_that_is_parked_at_whatever_instruction_of_its_thread_has_one_outcome(producer: Producer) -> None:
    def make() -> Tuple[Callable[[], Bench], Callable[[], object]]:
        producer.letters.clear()
        bench = Bench(producer)
        bench.partition.queue.put(bench.deliver())

        def run() -> Bench:
            bench.pool._serve_one(bench.pool.threads[0], bench.partition.queue.pop)
            return bench

        return run, lambda: bench.turn(ORDER)

    assert {outcome(bench, ORDER) for bench in at_each_instruction(make)} == ONE_OUTCOME


@pytest.mark.parametrize("orders", [(ORDER,), ()], ids=["in force", "taken back meanwhile"])
def test_a_call_that_ends_at_whatever_instruction_of_who_parks_it_has_one_outcome(
    producer: Producer, orders: Tuple[Order, ...]
) -> None:
    def make() -> Tuple[Callable[[], Tuple[Bench, Task, bool]], Callable[[], None]]:
        producer.letters.clear()
        bench = Bench(producer)
        task = bench.deliver()
        bench.parking.turn([ORDER], bench.assignment)
        runs(bench, task)
        (parked,), thread = bench.parking._parked.values(), bench.pool.threads[0]
        return (
            lambda: (bench, task, bench.parking._made_void(parked, thread, task)),
            lambda: end(bench.pool, thread, task),
        )

    found = set()
    for bench, task, void in at_each_instruction(make):
        (parked,) = bench.parking._parked.values()
        if void:
            bench.parking._send(parked, task, began=True)
        found.add(outcome(bench, *orders))
    assert found == ONE_OUTCOME | (set() if orders else {("", 0, True, 1)})


def end(pool: Pool, thread: HandlerThread, task: Task) -> None:
    """What a handler thread does when its call is over."""
    thread.ended = task
    pool._record(task, None)
    thread.task = None
