"""Every decision about what handler threads leave, one by one, without a loop."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Set, Tuple, get_args

import pytest
from confluent_kafka import KafkaError

from kafka_worker.gates.gates import Gates
from kafka_worker.handler.decoding import decode
from kafka_worker.isolation.task_process import TaskDiedError, TaskProcessError
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.kafka.outgoing.outbox import Outbox
from kafka_worker.kafka.outgoing.refusals import RESEND_SECONDS
from kafka_worker.kafka.properties import Member
from kafka_worker.outcomes.decisions import Counts, Decisions, NoFilesError
from kafka_worker.outcomes.results import BUSY_SECONDS
from kafka_worker.outcomes.retry import policies
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.undecided import BatchFailed, Raised, Returned, Undecided
from kafka_worker.pools.scheduled import NotYetError
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.events import Event
from kafka_worker.shared.foreign.answers import Reject, Retry, Send
from kafka_worker.shared.foreign.deliver_at import HEADER, written
from kafka_worker.shared.foreign.errors import UndecodableError
from kafka_worker.shared.foreign.exceptions import copied
from kafka_worker.shared.ipc.snapshot import WorkCount
from kafka_worker.shared.output.log_format import format_of
from kafka_worker.shared.system import room
from tests.unit.fakes import Message, some_settings
from tests.unit.kafka.outgoing.desk import Producer

BEGINNING = 1_900_000_000.0  # of the wall clock, when ours was at 0
DIED = TaskDiedError("killed by SIGSEGV", 1 << 20, "a stack")


class Table:
    """Decisions about tasks of one partition; the clock and the broker do what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        self.now = 100.0
        self.producer = Producer()
        monkeypatch.setattr(outbox, "Producer", lambda *_, **__: self.producer)
        settings = some_settings(max_attempts=2, max_deaths=2, retry_backoff_seconds=8.0, **changes)
        self.pool = Pool(1, lambda *_: None)
        self.quarantine = quarantine = Quarantine(settings, 0, self.pool, SuspectsFile(None))
        self.decisions = Decisions(
            settings, policies(settings, lambda: 0.5), self.pool, Outbox({}, self.clock), Member("host", 0), self.clock,
            quarantine, Gates(settings, self.pool, lambda _topic: "handler", self.clock), lambda: BEGINNING + self.now,
        )  # fmt: skip
        self.partition = Partition("topic", 0)

    def clock(self) -> float:
        return self.now

    def task(self, offset: int = 7, attempt: int = 1) -> Task:
        return offset, self.partition.tracker.take(offset)[0], Message(offset), None, attempt, self.partition

    def leave(self, *undecided: Undecided) -> None:
        self.pool.undecided.extend(undecided)
        self.decisions.turn()

    @property
    def letters(self) -> List[str]:
        return [letter["topic"] for letter in self.producer.letters]

    @property
    def queued(self) -> List[int]:
        return [self.partition.queue.pop()[0] for _ in range(len(self.partition.queue))]

    @property
    def became(self) -> Tuple[List[int], float, List[str], bool]:
        """What runs at once, in how many seconds the next one does (0: none waits), what was sent, whether there is a gap."""
        due = self.decisions.next_due()
        return self.queued, 0.0 if due is None else due - self.now, self.letters, self.partition.closing.abandoned_from == 7


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    return Table(monkeypatch)


LEAVES: Dict[str, Callable[[Table], Undecided]] = {
    "an error": lambda table: Raised(table.task(), ValueError("no")),
    "the last error": lambda table: Raised(table.task(attempt=2), ValueError("no")),
    "a wish": lambda table: Raised(table.task(), Retry(after=30)),
    "a verdict": lambda table: Raised(table.task(), Reject("never")),
    "a death": lambda table: Raised(table.task(), DIED),
    "no process": lambda table: Raised(table.task(), TaskProcessError("no memory")),
    "a batch": lambda table: BatchFailed([table.task(), table.task(8)], ValueError("no")),
    "a result": lambda table: Returned([table.task()], [Send("results", 1)]),
}
NOTHING: Tuple[List[int], float, List[str], bool] = ([], 0.0, [], False)
LETTER: Tuple[List[int], float, List[str], bool] = ([], 0.0, ["topic.dlq"], False)
GAP: Tuple[List[int], float, List[str], bool] = ([], 0.0, [], True)
RESULT: Tuple[List[int], float, List[str], bool] = ([], 0.0, ["results"], False)


def test_of_a_message_that_can_not_be_read_the_log_says_how_and_not_where_in_our_code(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    """A producer that sends no JSON would fill it, 25 lines a message. The letter has the traceback all the same."""
    try:
        decode(b"none")
    except UndecodableError as problem:
        error = copied(problem)

    table.leave(Raised(table.task(), error))

    (record,) = caplog.records
    first, second = format_of("text", "slot-0")(record).decode().splitlines()
    assert first.endswith("offset 7 goes to the dead letters after attempt 1: UndecodableError")
    assert second.endswith("UndecodableError: JSONDecodeError: Expecting value: line 1 column 1 (char 0)")
    assert "Traceback" in str(table.producer.letters[0]["headers"])


@pytest.mark.parametrize("in_transactions", [True, False])
def test_a_call_whose_results_wait_for_those_of_others_has_answered_as_far_as_its_breaker_goes(
    table: Table, monkeypatch: pytest.MonkeyPatch, *, in_transactions: bool
) -> None:
    answered: List[Any] = []
    monkeypatch.setattr(Gates, "answered", lambda _self, tasks: answered.extend(tasks))
    table.decisions.transactions = object() if in_transactions else None  # type: ignore[assignment]
    task = table.task()

    table.leave(Returned([task], [Send("results", 1)]))

    assert answered == ([task] if in_transactions else [])


def early(table: Table, seconds: float) -> Raised:
    """A message whose time has not come."""
    task = table.task()
    task[2].set_headers([(HEADER, written(BEGINNING + table.now + seconds).encode())])
    return Raised(task, NotYetError(BEGINNING + table.now + seconds))


def test_a_message_whose_time_has_not_come_waits_as_it_is_and_the_clock_is_looked_at_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Table(monkeypatch, deliver_at_max_seconds=1000.0)
    table.leave(early(table, 61.0))
    waits = (table.became, table.decisions.counts().failed, table.decisions.retries({table.partition: 7})[0][1:])
    table.now += 60.0
    table.decisions.turn()
    nearly = table.became
    table.now += 1.0
    table.decisions.turn()

    assert waits == (([], 60.0, [], False), 0, (161.0, BEGINNING + 161.0))
    assert (nearly, table.queued) == (([], 1.0, [], False), [7])


def test_with_retry_topics_a_message_waits_there_for_its_time_and_has_used_up_no_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Table(monkeypatch, deliver_at_max_seconds=1000.0, retry_topics=("30s",))
    table.leave(early(table, 31.0))
    (sent,) = table.producer.letters
    there = Partition("topic.retry.30s", 0)
    there.retries_of = "topic"
    message = Message(3)
    message.given_headers = sent["headers"]
    table.decisions.delayed([(3, there.tracker.take(3)[0], message, None, 1, there)])
    due = table.decisions.next_due()
    table.now += 31.5
    table.decisions.turn()
    table.decisions.turn()
    again = there.queue.pop()

    assert (sent["topic"], due) == ("topic.retry.30s", 130.0)  # then it is looked whether it stands in the way
    assert (again[0], again[4], type(again[4])) == (3, 1, int)
    assert table.decisions.retries({there: 3}) == []


def test_there_is_a_decision_for_each_thing_that_may_be_left(table: Table) -> None:
    assert set(table.decisions._decide) == set(get_args(Undecided))


def test_attempts_and_waits_are_those_of_the_topic_that_a_message_came_from_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {"topic": {"retry_backoff_seconds": 2.0}, "other": {"max_attempts": 1}}
    table = Table(monkeypatch, topic_tables=own)
    table.leave(LEAVES["an error"](table))

    assert table.became == ([], 1.0, [], False)

    table.partition = Partition("other.retry.1s", 0, retries_of="other")
    table.leave(LEAVES["an error"](table))

    assert table.letters == ["topic.dlq"]  # as the message says


@pytest.mark.parametrize(
    ("left", "became"),
    [
        ("an error", ([], 4.0, [], False)),
        ("the last error", LETTER),
        ("a wish", ([], 30.0, [], False)),
        ("a verdict", LETTER),
        ("a death", ([7], 0.0, [], False)),
        ("no process", ([], TaskProcessError.again_after, [], False)),
        ("a batch", ([7, 8], 0.0, [], False)),
        ("a result", RESULT),
    ],
)
def test_what_is_left_is_decided(table: Table, left: str, became: Any) -> None:
    table.leave(LEAVES[left](table))

    assert table.became == became
    assert table.decisions.counts().failed == (left not in ("no process", "a batch", "a result"))


def test_where_no_file_can_be_opened_nobody_has_failed_and_who_ran_then_is_suspect(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "out_of_files", lambda: True)
    monkeypatch.setattr(table.pool, "running", lambda: [(table.pool.threads[0], table.task(9))])

    table.leave(Raised(table.task(7, attempt=2), OSError(24)), Raised(table.task(8, attempt=2), ValueError("no")))
    table.leave(Raised(table.task(10, attempt=2), OSError(24)))
    table.leave(Raised(table.task(11), Reject("never")))

    assert table.decisions.counts().failed == 1
    assert table.letters == ["topic.dlq"]  # of the verdict
    assert table.decisions.next_due() == table.now + NoFilesError.again_after
    assert {offset for _, _, offset in table.quarantine.suspects.known} == {7, 8, 9}
    monkeypatch.setattr(room, "out_of_files", lambda: False)
    table.leave(Raised(table.task(12, attempt=2), OSError(24)))
    assert table.letters == ["topic.dlq"] * 2


def test_where_no_file_can_be_opened_each_message_of_a_batch_that_fails_is_suspect(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "out_of_files", lambda: True)
    first, other = (BatchFailed([table.task(at), table.task(at + 1)], OSError(24)) for at in (7, 9))

    table.leave(first, other, Raised(table.task(11), Reject("never")), Raised(table.task(12), TaskProcessError("no memory")))

    assert {offset for _, _, offset in table.quarantine.suspects.known} == {7, 8, 9, 10}
    assert sorted(table.queued) == [7, 8, 9, 10]  # each alone


@pytest.mark.parametrize(
    ("left", "suspects"), [("an error", {7}), ("a batch", {7, 8}), ("a verdict", set()), ("no process", set())]
)
def test_what_fails_for_want_of_files_while_its_process_is_replaced_for_that_is_suspect(
    table: Table, monkeypatch: pytest.MonkeyPatch, left: str, suspects: Set[int]
) -> None:
    monkeypatch.setattr(room, "out_of_files", lambda: True)
    undecided = LEAVES[left](table)
    table.partition.closing.close(None)

    table.leave(undecided)

    assert {offset for _, _, offset in table.quarantine.suspects.known} == suspects


def test_for_want_of_files_a_task_waits_by_an_event_that_names_no_task_process(
    table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "out_of_files", lambda: True)

    table.leave(LEAVES["an error"](table))

    waits = caplog.records[-1]
    assert (vars(waits)["event"], table.decisions.trouble in waits.getMessage()) == (Event.UNABLE.value, True)
    assert table.decisions.trouble.startswith("all files that this process may have are open")


@pytest.mark.parametrize("left", LEAVES)
def test_of_a_partition_that_goes_away_only_verdicts_and_results_count(table: Table, left: str) -> None:
    undecided = LEAVES[left](table)
    table.partition.closing.close(None)

    table.leave(undecided)

    assert table.became == {"a verdict": LETTER, "a result": RESULT}.get(left, GAP)
    assert table.decisions.counts().failed == (left == "a verdict")


@pytest.mark.parametrize("left", LEAVES)
def test_of_a_partition_that_went_away_nothing_is_decided(table: Table, left: str) -> None:
    undecided = LEAVES[left](table)
    table.partition.closing.forget()

    table.leave(undecided)

    assert table.became == NOTHING


def test_partitions_of_which_something_is_undecided_are_known_until_it_is(table: Table) -> None:
    table.pool.undecided.append(LEAVES["an error"](table))
    before = table.decisions.undecided()

    table.decisions.turn()

    assert (before, table.decisions.undecided()) == ({table.partition}, set())


def test_what_waits_and_what_became_dead_letters_is_counted(table: Table) -> None:
    decisions = table.decisions
    table.leave(LEAVES["an error"](table), Raised(table.task(8), Reject("never")))
    on_its_way = (decisions.counts(), decisions.busy(table.now))
    table.producer.answer(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    decisions.turn()
    refused = (decisions.counts(), decisions.busy(table.now))
    waiting = decisions.waiting_of_topics()
    table.now += RESEND_SECONDS
    decisions.turn()
    table.producer.answer()
    decisions.turn()

    assert on_its_way == (Counts(failed=2, retrying=1, dead_letters=0, unstored_letters=0), True)
    assert refused == (Counts(failed=2, retrying=1, dead_letters=0, unstored_letters=1), False)
    assert waiting == [WorkCount("retries_waiting", "topic", "", 1), WorkCount("dead_letters_unstored", "topic", "", 1)]
    assert (decisions.counts(), decisions.busy(table.now)) == (Counts(2, 0, 1, 0), False)
    assert [(each.what, each.topic, each.kind, each.count) for each in decisions.work.counts()] == [
        ("attempts_failed", "topic", "ValueError", 1),
        ("attempts_failed", "topic", "Reject", 1),
        ("messages_sent", "", "topic.dlq", 1),
        ("dead_letters", "topic", "rejected", 1),
        ("tasks", "topic", "dead_letter", 1),
    ]


def test_results_make_it_busy_for_a_while_as_more_will_come(table: Table) -> None:
    table.leave(LEAVES["a result"](table))
    table.producer.answer()
    table.decisions.turn()

    busy = table.decisions.busy
    assert (busy(table.now), busy(table.now + BUSY_SECONDS)) == (True, False)
