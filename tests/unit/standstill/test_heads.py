"""What a partition's commit waits for is found wherever it is, with the reason."""

from __future__ import annotations

import time
from typing import Callable, List, Optional, Tuple, Type

import pytest

from kafka_worker.gates.breakers import Breakers
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.outcomes.retry_topics import RetryTopics
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import FirstComeFirstServed, InOrderOfOffset, Queue
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.partitions.task import Task, with_attempt
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.turns import Share
from kafka_worker.recovery.quarantine import Sorting
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits
from tests.unit.fakes import TOPIC, Message, in_lane
from tests.unit.kafka.outgoing.desk import Producer
from tests.unit.standstill.bench import EPOCH, Bench

HEAD = 7
AT_REST = 2.0  # milliseconds, for a report of all that may be in flight


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(outbox, "Producer", lambda *_, **__: Producer())
    made = Bench()
    made.partition.stored.found(HEAD, "", UNKNOWN)
    return made


def runs(bench: Bench, task: Task) -> None:
    thread = bench.pool.threads[0]
    thread.task, thread.started = task, bench.now - 340.0


def hangs(bench: Bench, task: Task) -> None:
    runs(bench, task)
    bench.pool.threads[0].hung[id(task)] = task


def runs_apart(bench: Bench, task: Task) -> None:
    bench.parts.quarantine.threads[0].task = task


def is_queued(bench: Bench, task: Task) -> None:
    bench.partition.queue.put(task)


def is_queued_and_its_topic_has_its_share(bench: Bench, task: Task) -> None:
    is_queued(bench, task)
    bench.pool._shares = {TOPIC: Share(0.01)}
    bench.pool._shares[TOPIC].enter(1)


def waits_for_its_next_attempt(bench: Bench, task: Task) -> None:
    bench.parts.decisions._retries.hold(with_attempt(task, 3), bench.now + 12.0)


def waits_for_its_time(bench: Bench, task: Task) -> None:
    bench.parts.decisions.sleeping.by_header = True
    task[2].set_headers([("deliver-at", b"2100-01-01T00:00Z")])
    bench.parts.decisions._retries.hold(task, bench.now + 60.0)


def is_set_aside(bench: Bench, task: Task) -> None:
    bench.parts.gates._gate("").aside.append(task)


def waits_to_run_apart(bench: Bench, task: Task) -> None:
    bench.parts.quarantine._queue.extend([task])


def is_kept_back(bench: Bench, task: Task) -> None:
    bench.pool.kept_back.append(task)


def is_sent(bench: Bench, task: Task) -> None:
    bench.parts.decisions._outbox.send("result", task, OutgoingRecord("out", None, None, []), lambda _task: None)


def was_refused(bench: Bench, task: Task) -> None:
    is_sent(bench, task)
    bench.partition.flow.refused("a dead letter can't be stored in x: no room", again=False)


def is_suspended(bench: Bench, task: Task) -> None:
    is_queued(bench, task)
    bench.partition.flow.suspend("the bank is away (ops@host)")


def is_left(bench: Bench, task: Task) -> None:
    bench.partition.closing.close(None)


def is_nowhere(_bench: Bench, _task: Task) -> None: ...


FOUND: List[Tuple[Callable[[Bench, Task], None], Waits, str]] = [
    (runs, Waits.RUNNING, ""),
    (hangs, Waits.RUNNING, "it has run for longer than HANDLER_KILL_SECONDS: its process is to be replaced"),
    (runs_apart, Waits.RUNNING, "apart, because it ran when a process died"),
    (is_queued, Waits.QUEUED, ""),
    (is_queued_and_its_topic_has_its_share, Waits.QUEUED, "as many of its topic run as THREADS_SHARE allows"),
    (waits_for_its_next_attempt, Waits.RETRY, ""),
    (waits_for_its_time, Waits.SCHEDULED, "2100-01-01T00:00:00.000Z"),
    (is_set_aside, Waits.BREAKER, ""),
    (waits_to_run_apart, Waits.SUSPECT, ""),
    (is_kept_back, Waits.LEAVING, ""),
    (is_sent, Waits.SENDING, ""),
    (was_refused, Waits.UNSTORED, "a dead letter can't be stored in x: no room"),
    (is_suspended, Waits.OPERATOR, "the bank is away (ops@host)"),
    (is_left, Waits.LEAVING, ""),
    (is_nowhere, Waits.UNSEEN, ""),
]


@pytest.mark.parametrize(("how", "waits", "why"), FOUND)
def test_the_first_that_is_not_done_is_found_with_what_it_waits_for(
    bench: Bench, how: Callable[[Bench, Task], None], waits: Waits, why: str
) -> None:
    task = bench.take(HEAD)
    bench.take(HEAD + 1)
    how(bench, task)

    head = bench.head().head

    assert head
    assert (head.offset, head.waits, head.why) == (HEAD, waits, why)


def test_of_what_runs_it_is_told_where_for_how_long_and_of_what_is_due_when(bench: Bench) -> None:
    task = bench.take(HEAD)
    runs(bench, task)
    running = bench.head().head
    bench.pool.threads[0].task = None
    waits_for_its_next_attempt(bench, task)

    assert running == HeadReport(HEAD, Waits.RUNNING, 0.0, None, 1.5, 1, running=340.0, thread="handler-0", due_at=1.5)
    assert bench.head().head == HeadReport(HEAD, Waits.RETRY, 0.0, None, 1.5, 3, due_in=12.0, due_at=1.5)


def test_a_call_that_is_void_runs_in_vain_and_not_for_its_message(bench: Bench) -> None:
    task = bench.take(HEAD)
    runs(bench, task)
    bench.partition.void.add(HEAD)
    is_sent(bench, task)  # its dead letter

    report = bench.head()
    asked = bench.heads.of_offset(bench.partition, HEAD, bench.now)

    assert report.head
    assert asked
    assert (report.head.waits, asked.waits, report.running) == (Waits.SENDING, Waits.SENDING, 0)


def test_how_many_wait_for_it_to_keep_their_order_is_told_of_each_of_them(bench: Bench) -> None:
    ours = [bench.take(HEAD + number) for number in range(4)]
    for offset, segment, message, _, *rest in ours:
        in_lane((offset, segment, message, b"key", *rest))
    runs(bench, ours[0])

    told = [bench.heads.of_offset(bench.partition, HEAD + number, bench.now) for number in range(4)]

    head = bench.head().head
    assert head
    assert head.followers == 3
    assert [each and (each.waits, each.followers) for each in told] == [
        (Waits.RUNNING, 3), (Waits.BEHIND_ITS_KEY, 2), (Waits.BEHIND_ITS_KEY, 1), (Waits.BEHIND_ITS_KEY, 0),
    ]  # fmt: skip


def test_what_is_queued_while_a_breaker_is_open_waits_for_that(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breakers, "why", lambda *_: "circuit breaker of payments is open")
    is_queued(bench, bench.take(HEAD))

    head = bench.head().head

    assert head
    assert (head.waits, head.why) == (Waits.BREAKER, "circuit breaker of payments is open")


@pytest.mark.parametrize("kind", [InOrderOfOffset, FirstComeFirstServed])
def test_it_is_found_in_each_kind_of_queue_behind_what_was_put_back_and_beside_suspects(kind: Type[Queue]) -> None:
    bench = Bench(kind)
    bench.partition.queue = Sorting(bench.partition.queue, lambda _: None, {5}, lambda _: None)
    tasks = [bench.take(offset) for offset in range(HEAD, HEAD + 9)]
    bench.partition.queue.extend(tasks[:6])
    for task in tasks[6:]:
        bench.partition.queue.put(task)

    head = bench.head().head

    assert head
    assert (head.offset, head.waits) == (HEAD, Waits.QUEUED)
    assert len(bench.partition.queue) == len(tasks)


def test_since_when_it_is_the_head_counts_through_all_that_becomes_of_it(bench: Bench) -> None:
    task = bench.take(HEAD)
    runs(bench, task)
    bench.head()
    bench.now += 300.0
    bench.pool.threads[0].task = None
    is_sent(bench, task)  # on its way nobody has it, and what is known of it stays

    head = bench.head().head

    assert head == HeadReport(HEAD, Waits.SENDING, 300.0, None, 1.5, 1, due_at=1.5)


def test_another_head_has_a_time_of_its_own(bench: Bench) -> None:
    first, second = bench.take(HEAD), bench.take(HEAD + 1)
    bench.head()
    bench.now += 300.0
    first[1].complete(HEAD)
    runs(bench, second)

    head = bench.head().head

    assert head
    assert (head.offset, head.seconds) == (HEAD + 1, 0.0)


def aged(bench: Bench, seconds: float) -> Message:
    message = Message(HEAD)
    message.given_timestamp = (1, round((EPOCH + bench.now - seconds) * 1000))
    return message


@pytest.mark.parametrize(("age", "told"), [(341.0, 341.0), (-86400.0, 0.0)])
def test_lag_in_seconds_is_the_age_of_the_first_that_is_not_done(bench: Bench, age: float, told: float) -> None:
    offset, segment, _, *rest = bench.take(HEAD)
    runs(bench, (offset, segment, aged(bench, age), *rest))  # type: ignore[arg-type]

    assert bench.head(HEAD + 1).lag_seconds == pytest.approx(told, abs=0.01)


def is_in_hand(bench: Bench, message: Message) -> None:
    bench.partition.flow.keep([message])


def is_taken(bench: Bench, message: Message) -> None:
    offset, segment, _, *rest = bench.take(HEAD)
    bench.parts.decisions.delayed([(offset, segment, message, *rest)])  # type: ignore[list-item]


@pytest.mark.parametrize("how", [is_in_hand, is_taken])
@pytest.mark.parametrize(("wait", "told"), [(50.0, 0.0), (-20.0, 20.0)])
def test_what_waits_in_a_retry_topic_is_late_when_its_wait_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: Callable[[Bench, Message], None], wait: float, told: float
) -> None:
    monkeypatch.setattr(bench.parts.decisions.sleeping, "topics", RetryTopics([TOPIC], ["30s"], lambda: EPOCH + bench.now))
    bench.partition.topic, bench.partition.retries_of = TOPIC + ".retry.30s", TOPIC
    message = aged(bench, 3600.0)
    due = round((EPOCH + bench.now + wait) * 1000)
    ours = {
        "topic": TOPIC,
        "partition": 0,
        "offset": 3,
        "timestamp": 1500,
        "attempt": 2,
        "due-at": due,
        "first-failed-at": 1500,
    }
    message.given_headers = [("retry." + name, str(value).encode()) for name, value in ours.items()]
    how(bench, message)

    assert bench.head(HEAD + 1).lag_seconds == pytest.approx(told, abs=0.01)


def test_lag_in_seconds_is_not_known_of_a_message_without_a_time(bench: Bench) -> None:
    message = Message(HEAD)
    message.given_timestamp = (0, 0)
    offset, segment, _, *rest = bench.take(HEAD)
    runs(bench, (offset, segment, message, *rest))  # type: ignore[arg-type]

    assert bench.head(HEAD + 1).lag_seconds == -1.0


def test_where_all_is_done_nothing_is_late(bench: Bench) -> None:
    bench.take(HEAD)[1].complete(HEAD)

    report = bench.head(HEAD + 1)

    assert (report.head, report.lag_seconds) == (None, 0.0)


def test_where_the_end_is_not_known_nothing_is_said(bench: Bench) -> None:
    assert (bench.head().head, bench.head().lag_seconds) == (None, -1.0)


def test_what_is_not_delivered_yet_is_told_with_what_keeps_it(bench: Bench) -> None:
    plainly = bench.head(HEAD + 3)
    bench.partition.flow.pause()
    paused = bench.head(HEAD + 3)
    bench.partition.flow.unreadable("it is damaged", HEAD + 1, bench.now)
    held = bench.head(HEAD + 3)

    assert plainly.lag_seconds == -1.0
    assert [(each.head.offset, each.head.waits, each.head.why) for each in (plainly, paused, held) if each.head] == [
        (HEAD, Waits.UNDELIVERED, ""), (HEAD, Waits.PAUSED, ""), (HEAD + 1, Waits.HELD, "it is damaged"),
    ]  # fmt: skip


def test_an_open_breaker_holds_up_nothing_where_nothing_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breakers, "why", lambda *_: "circuit breaker of payments is open")

    at_rest, behind = bench.head(HEAD), bench.head(HEAD + 1)

    assert (at_rest.head, at_rest.lag_seconds) == (None, 0.0)
    assert behind.head
    assert behind.head.waits is Waits.BREAKER


def test_what_is_in_hand_and_has_no_room_is_told_with_its_time(bench: Bench) -> None:
    bench.partition.flow.keep([Message(HEAD, b"key"), Message(HEAD + 1)])

    assert bench.head(HEAD + 9).head == HeadReport(HEAD, Waits.PAUSED, 0.0, "key", 1.5, 1, due_at=1.5)


def test_what_is_done_beyond_and_what_is_queued_is_counted(bench: Bench) -> None:
    tasks = [bench.take(offset) for offset in (HEAD, HEAD + 1, HEAD + 2, HEAD + 5, HEAD + 6)]  # a hole of two
    for task in tasks[1:3]:
        task[1].complete(task[0])
    bench.partition.queue.extend(tasks[3:])
    runs(bench, tasks[0])

    report = bench.head()

    assert (report.in_flight, report.done_beyond, report.queued) == (3, 4, 2)


def test_a_report_costs_nothing_worth_mentioning_with_all_that_may_be_in_flight(bench: Bench) -> None:
    """64 partitions and 8,000 messages that wait for their next attempt: the furthest that a search goes."""
    partitions = [Partition(TOPIC, number) for number in range(64)]
    for partition in partitions:
        segment, _ = partition.tracker.take(0, 125)
        for offset in reversed(range(125)):
            task: Task = (offset, segment, Message(offset), None, 1, partition)
            bench.parts.decisions._retries.hold(task, bench.now + offset)
    reported = [(partition, partition.report(-1)) for partition in partitions]

    costs = []
    for _ in range(10):
        began = time.thread_time()
        told = bench.heads.added_to(reported, bench.now)
        costs.append((time.thread_time() - began) * 1000)

    assert {report.head.waits for _, report in told if report.head} == {Waits.RETRY}
    assert min(costs) < 5 * AT_REST


def test_nothing_of_a_partition_that_went_away_is_remembered(bench: Bench) -> None:
    bench.take(HEAD)
    bench.head()

    bench.heads.added_to([], bench.now)

    assert bench.heads._known == {}


def test_a_thread_of_the_pool_is_none_of_the_quarantine(bench: Bench) -> None:
    bench.pool.threads.append(HandlerThread("quarantine-0"))
    bench.pool.threads[-1].task = bench.take(HEAD)

    head = bench.head().head

    assert head
    assert head.why == ""


@pytest.mark.parametrize("kind", [InOrderOfOffset, FirstComeFirstServed])
def test_any_message_that_is_asked_about_is_found(kind: Type[Queue]) -> None:
    bench = Bench(kind)
    tasks = [bench.take(offset) for offset in range(HEAD, HEAD + 6)]
    runs(bench, tasks[0])
    tasks[1][1].complete(HEAD + 1)
    for offset, segment, message, _, *rest in tasks[2:4]:
        in_lane((offset, segment, message, b"key", *rest))
    bench.partition.queue.extend(tasks[4:])
    bench.partition.flow.keep([Message(HEAD + 6)])

    def told(offset: int) -> Optional[Waits]:
        head = bench.heads.of_offset(bench.partition, offset, bench.now)
        return head.waits if head else None

    assert [told(offset) for offset in range(HEAD - 1, HEAD + 8)] == [
        None, Waits.RUNNING, None, Waits.UNSEEN, Waits.BEHIND_ITS_KEY, Waits.QUEUED, Waits.QUEUED, Waits.PAUSED,
        Waits.UNDELIVERED,
    ]  # fmt: skip
