"""What is in a transaction, and what becomes of it: without a broker, and without its thread."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka import transactions, transactor
from kafka_worker.kafka.outbox import RESEND_SECONDS, OutgoingRecord
from kafka_worker.kafka.transactions import PAUSE_SECONDS, TROUBLE_SECONDS, Transactions
from kafka_worker.kafka.transactor import Job, Transactor
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, finish
from kafka_worker.shared.logs import Seldom
from tests.unit.fakes import TOPIC, Message

GONE = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
REFUSED = KafkaError(KafkaError.INVALID_RECORD)  # a batch, for one of its records
LATE = KafkaError(KafkaError._TIMED_OUT, "not yet", retriable=True)
ABORT = KafkaError(KafkaError.ILLEGAL_GENERATION, "moved on", txn_requires_abort=True)
FATAL = KafkaError(KafkaError._FENCED, "another one", fatal=True)


class ByHand:
    """In the place of the thread: the test says what becomes of the job."""

    def __init__(self) -> None:
        self.jobs: List[Job] = []
        self.over: List[Job] = []
        self.lost = self.waits = ""

    def do(self, job: Job) -> None:
        self.jobs.append(job)


class Bench:
    """A partition of ten offsets, all in flight, and what their tasks send."""

    def __init__(self) -> None:
        self.now = 100.0
        self.by_hand = ByHand()
        self.ours = Transactions(self.by_hand, lambda: self.now)  # type: ignore[arg-type]
        self.partition = Partition("topic", 0)
        self.segment, _ = self.partition.tracker.take(0, 10)
        self.failed: List[Exception] = []

    def task(self, offset: int) -> Task:
        return offset, self.segment, Message(offset), None, 1, self.partition

    def done(self, *offsets: int) -> None:
        for offset in offsets:
            finish(self.task(offset))

    def send(self, *offsets: int, count: int = 1, to: str = "out") -> None:
        """What one call with these sends."""
        records = [OutgoingRecord(to, None, b"%d" % offsets[0], []) for _ in range(count)]
        left = [count]

        def stored(_task: Task) -> None:
            left[0] -= 1
            if not left[0]:
                self.done(*offsets)

        self.ours.send_all("result", [self.task(offset) for offset in offsets], records, stored, self.failed.append)

    def commit(self) -> Optional[Job]:
        target = self.ours.reach(self.partition)
        started = self.ours.commit([("topic", 0, target, "map")], "member")
        return self.by_hand.jobs[-1] if started else None

    def over(self, error: Optional[KafkaError] = None, blamed: Tuple[int, ...] = (), *, at_once: bool = False) -> None:
        job = self.by_hand.jobs[-1]
        job.error = error
        for parcel in job.parcels:
            if parcel.offsets[0] in blamed:
                parcel.problem, parcel.at_once = error, at_once
        self.by_hand.over.append(job)
        self.ours_serve()

    def ours_serve(self) -> None:
        waiting, self.by_hand.over = self.by_hand.over, []
        for job in waiting:
            self.ours._over(job)

    @property
    def sent(self) -> List[int]:
        return [parcel.offsets[0] for parcel in self.by_hand.jobs[-1].parcels]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("done", "sends", "reach", "sent"),
    [
        ([], [], 0, []),
        ([0, 1], [[2], [3]], 4, [2, 3]),
        ([0], [[3], [1]], 2, [1]),  # 2 runs: what is sent behind it waits
        ([1, 3], [[0], [2]], 4, [0, 2]),
        ([0], [[1, 4], [2]], 1, []),  # a batch is stored as a whole, or not at all
        ([0, 3], [[1, 4], [2]], 5, [1, 2]),
        ([], [[0], [1, 5], [2, 3], [4, 9]], 1, [0]),
        (list(range(9)), [[9]], 10, [9]),
    ],
)
def test_a_transaction_has_the_offset_and_what_all_tasks_below_it_send(
    bench: Bench, done: List[int], sends: List[List[int]], reach: int, sent: List[int]
) -> None:
    bench.done(*done)
    for offsets in sends:
        bench.send(*offsets)
    job = bench.commit()

    assert job
    assert (job.places, job.member) == ([("topic", 0, reach, "map")], "member")
    assert bench.sent == sent
    assert bench.partition.tracker.watermark() <= reach
    bench.over()
    assert bench.partition.tracker.watermark() == reach
    assert list(bench.ours.answers) == [([("topic", 0, reach)], None)]
    assert bench.partition.flow.in_transit == len(sends) - len(sent)


def test_tasks_stay_in_flight_until_their_transaction_is_committed_and_one_is_under_way_at_a_time(bench: Bench) -> None:
    bench.send(0, count=2)
    before = bench.ours.ready
    bench.commit()
    meanwhile = (
        bench.partition.tracker.watermark(),
        bench.commit(),
        bench.ours.in_transit,
        bench.ours.highest(bench.partition),
    )
    bench.over(ABORT)
    paused = (bench.ours.ready, bench.commit())
    bench.now += PAUSE_SECONDS
    bench.commit()
    bench.over()

    assert (before, meanwhile, paused) == (True, (0, None, 1, 0), (False, None))
    assert bench.partition.tracker.watermark() == 1
    assert [error for _, error in bench.ours.answers] == [ABORT, None]


def test_who_of_many_was_refused_is_found_out_one_by_one_and_the_others_go_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="kafka_worker")
    for offset in (0, 1, 2):
        bench.send(offset)
    bench.commit()
    bench.over(REFUSED, blamed=(0, 1))  # of one batch
    bench.now += PAUSE_SECONDS
    bench.commit()
    first = bench.sent
    bench.over()
    bench.commit()
    second = bench.sent
    bench.over(REFUSED, blamed=(1,))
    held = (bench.partition.flow.held, bench.ours.unstored["result", TOPIC], bench.ours.reach(bench.partition))
    bench.now += RESEND_SECONDS
    bench.commit()
    third = bench.sent
    bench.over()
    bench.commit()

    assert (first, second, third, bench.sent) == ([0], [1], [1], [2])
    assert held == (f"a result can't be stored in out: {REFUSED.str()}", 1, 1)
    assert (bench.partition.flow.held, bench.ours.unstored["result", TOPIC]) == ("", 0)
    assert [vars(each)["event"] for each in caplog.records] == ["partition-held", "partition-goes-on"]


def test_one_that_is_refused_above_others_keeps_none_below_it(bench: Bench) -> None:
    for offset in (0, 1, 2):
        bench.send(offset)
    bench.commit()
    bench.over(REFUSED, blamed=(1,))  # its records go elsewhere
    bench.now += PAUSE_SECONDS
    bench.commit()
    first = bench.sent
    bench.over()
    bench.commit()
    second = bench.sent
    bench.over(REFUSED, blamed=(1,))

    assert (first, second) == ([0], [1])
    assert bench.partition.flow.held == f"a result can't be stored in out: {REFUSED.str()}"


def test_a_topic_that_is_not_there_holds_who_sends_there_and_others_that_do_wait_without_another_try(bench: Bench) -> None:
    bench.send(0)
    bench.send(1, to="gone")
    bench.commit()
    bench.over(GONE, blamed=(1,))
    held = bench.partition.flow.held
    other = Partition("topic", 1)
    segment, _ = other.tracker.take(0, 1)
    record = OutgoingRecord("gone", None, b"", [])
    bench.ours.send("dead letter", (0, segment, Message(0), None, 1, other), record, lambda _task: None)
    bench.now += PAUSE_SECONDS
    bench.commit()
    sent = bench.sent
    bench.over()
    meanwhile = (bench.ours.reach(bench.partition), bench.ours.reach(other), bench.ours.ready)
    bench.now += RESEND_SECONDS

    assert held == "a result can't be stored in gone: Broker: Unknown topic or partition"
    assert (sent, meanwhile) == ([0], (1, 0, False))
    assert (bench.ours.reach(bench.partition), bench.ours.reach(other)) == (2, 1)


def test_a_batch_in_doubt_that_others_lie_within_is_stored_with_them_and_till_then_keeps_no_other_partition(
    bench: Bench,
) -> None:
    other = Partition("topic", 1)
    segment, _ = other.tracker.take(0, 1)
    bench.done(0, 3)
    for offsets in ([1, 4], [2]):
        bench.send(*offsets)
    bench.commit()
    bench.over(GONE, blamed=(1,))
    held = bench.partition.flow.held  # the two can't be told apart, so it is known who it was
    bench.now += RESEND_SECONDS
    bench.commit()
    again = bench.sent
    bench.over()

    late = Bench()
    late.send(1, 4)
    late.ours._in_doubt.update(late.ours._parcels[late.partition])  # while 0, 2 and 3 run
    record = OutgoingRecord("out", None, b"", [])
    late.ours.send("result", (0, segment, Message(0), None, 1, other), record, lambda _task: None)

    assert held == "a result can't be stored in out: Broker: Unknown topic or partition"
    assert again == [1, 2] and bench.partition.tracker.watermark() == 5
    assert (late.ours.reach(late.partition), late.ours.reach(other)) == (0, 1)


def test_what_is_refused_of_a_partition_that_has_gone_meanwhile_is_not_counted_as_unstored(bench: Bench) -> None:
    bench.send(0)
    bench.commit()
    bench.partition.closing.forget()
    bench.ours.serve()
    bench.over(GONE, blamed=(0,))

    assert bench.ours.unstored["result", TOPIC] == 0
    assert bench.partition.flow.held == ""


def test_what_the_client_refused_at_once_before_may_be_held_by_the_broker_now(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.send(0)
    bench.commit()
    bench.over(KafkaError(KafkaError._UNKNOWN_TOPIC), blamed=(0,), at_once=True)
    bench.ours._complaint = Seldom(transactions.log, lambda: bench.now)
    bench.now += RESEND_SECONDS
    job = bench.commit()
    assert job
    job.error = job.parcels[0].problem = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    bench.by_hand.over.append(job)
    bench.ours_serve()

    assert bench.failed == []
    assert bench.partition.flow.held
    assert "raise max.message.bytes of that topic, or set KAFKA_PRODUCER_COMPRESSION_TYPE=zstd" in caplog.text


def test_what_the_client_itself_can_not_take_is_a_failure_of_its_call(bench: Bench) -> None:
    bench.send(0)
    bench.commit()
    bench.over(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), blamed=(0,), at_once=True)

    assert [type(problem) for problem in bench.failed] == [KafkaException]
    assert bench.ours.highest(bench.partition) == -1


def test_of_a_partition_that_goes_away_what_can_be_stored_is_waited_for_and_nothing_else(bench: Bench) -> None:
    bench.done(0)
    for offset in (1, 2, 4, 6):
        bench.send(offset)
    bench.partition.closing.close(None)
    whole = bench.ours.abandon()
    bench.partition.closing.abandon(3)  # it waits for an hour
    given_up = [task[0] for task in bench.ours.abandon()]
    bench.partition.closing.forget()
    bench.ours.serve()

    assert (whole, given_up) == ([], [4, 6])
    assert bench.ours.highest(bench.partition) == -1


def test_that_none_is_committed_for_a_while_is_told(bench: Bench) -> None:
    bench.send(0)
    bench.commit()
    bench.over(ABORT)
    early = bench.ours.trouble
    bench.now += TROUBLE_SECONDS
    late = bench.ours.trouble
    bench.commit()
    bench.now += TROUBLE_SECONDS
    bench.by_hand.waits = "no coordinator"
    endless = bench.ours.trouble
    bench.over()

    assert (early, late, bench.ours.trouble) == ("", "no transaction is committed: moved on", "")
    assert endless == "a transaction has no end: no coordinator"


def test_what_is_refused_for_its_record_is_told_of_its_partition_and_not_as_if_nothing_were_committed(bench: Bench) -> None:
    bench.send(0)
    bench.commit()
    bench.over(GONE, blamed=(0,))
    bench.now += TROUBLE_SECONDS

    assert bench.ours.trouble == ""
    assert "can't be stored" in bench.partition.flow.wrong


# ---- the producer ---------------------------------------------------------------------------------------------------------


class Client:
    """Answers as the test says: a list of errors for each call, None for "well"."""

    def __init__(self, says: Dict[str, List[Optional[KafkaError]]]) -> None:
        self._says = says
        self.calls: List[str] = []
        self.absent: Dict[str, List[Optional[KafkaError]]] = {}  # what is said of a topic, one time after the other
        self.looked_for: List[str] = []

    def list_topics(self, topic: str, _timeout: float) -> Any:
        self.looked_for.append(topic)
        said = self.absent.get(topic, [])
        return SimpleNamespace(topics={topic: SimpleNamespace(error=said.pop(0) if said else None)})

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_arguments: Any, on_delivery: Any = None, **_named: Any) -> Any:
            self.calls.append(name)
            said = self._says.get(name, [])
            error = said.pop(0) if said else None
            if name == "produce" and error is not None:
                on_delivery(error, None)
            elif error is not None:
                raise KafkaException(error)
            return 0

        return call


def attempt(says: Dict[str, List[Optional[KafkaError]]]) -> Tuple[Optional[KafkaError], str, List[str], Job]:
    client = Client(says)
    transactor = Transactor({}, lambda *_, **__: client)
    bench = Bench()
    bench.send(0)
    job = bench.commit()
    assert job
    error = transactor.attempt(job)
    return error, transactor.lost, [name for name in client.calls if name not in ("poll", "flush")], job


WHOLE = ["init_transactions", "begin_transaction", "produce", "send_offsets_to_transaction", "commit_transaction"]


@pytest.mark.parametrize(
    ("says", "error", "calls"),
    [
        ({}, None, WHOLE),
        ({"init_transactions": [LATE], "commit_transaction": [LATE]}, None, [WHOLE[0], *WHOLE, WHOLE[-1]]),
        ({"init_transactions": [FATAL]}, FATAL, WHOLE[:1]),
        ({"send_offsets_to_transaction": [ABORT]}, ABORT, [*WHOLE[:4], "abort_transaction"]),
        ({"commit_transaction": [ABORT]}, ABORT, [*WHOLE, "abort_transaction"]),
        (
            {"send_offsets_to_transaction": [ABORT], "abort_transaction": [LATE]},
            ABORT,
            [*WHOLE[:4], *["abort_transaction"] * 2],
        ),
        ({"send_offsets_to_transaction": [FATAL], "abort_transaction": [FATAL]}, FATAL, [*WHOLE[:4], "abort_transaction"]),
    ],
)
def test_a_transaction_is_committed_or_aborted_and_asked_about_until_that_is_known(
    says: Dict[str, List[Optional[KafkaError]]], error: Optional[KafkaError], calls: List[str]
) -> None:
    assert attempt(says)[:3] == (error, "", calls)


def test_when_nobody_knows_what_became_of_it_nothing_more_is_done() -> None:
    error, lost, calls, _ = attempt({"commit_transaction": [FATAL]})

    assert (error, lost, calls) == (FATAL, "another one", WHOLE)


def test_whose_record_was_refused_is_told_and_the_offset_with_it_is_not_committed() -> None:
    error, _, calls, job = attempt({"produce": [GONE]})

    assert (error, calls, job.parcels[0].problem) == (GONE, [*WHOLE[:3], "abort_transaction"], GONE)


def test_a_topic_is_looked_for_before_a_transaction_begins_and_again_when_one_was_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once more at once, as one that was just made may not have reached every broker."""
    monkeypatch.setattr(transactor, "MADE_SECONDS", 0.0)
    client = Client({"send_offsets_to_transaction": [None, ABORT]})
    client.absent["gone"] = [GONE, GONE, GONE]
    ours, bench = Transactor({}, lambda *_, **__: client), Bench()
    bench.send(0)
    bench.send(1, to="gone")
    job = bench.commit()
    assert job

    def tried() -> Tuple[Optional[KafkaError], List[str], bool]:
        client.looked_for.clear()
        client.calls.clear()
        for parcel in job.parcels:
            parcel.problem = None
        return ours.attempt(job), list(client.looked_for), "begin_transaction" in client.calls

    assert tried() == (GONE, ["gone", "gone", "out"], False)
    assert [(parcel.topic, parcel.problem) for parcel in job.parcels] == [("out", None), ("gone", GONE)]
    assert tried() == (None, ["gone", "gone"], True)
    assert tried() == (ABORT, [], True)
    assert tried() == (None, ["gone", "out"], True)
