"""The whole loop with DELIVERY=exactly-once, on a transactor that is done at once, or as the test says."""

from __future__ import annotations

import threading
from typing import Any, List, Optional, Tuple

import pytest
from confluent_kafka import KafkaError

from kafka_worker import build
from kafka_worker.kafka.outgoing import transactions
from kafka_worker.kafka.outgoing.transactor import Job
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.answers import Reject, Retry, Send
from tests.unit.fakes import Message, ScriptedGroup
from tests.unit.loops import Bench, assign, deliver, lose, revoke, stop, until

MOVED_ON = KafkaError(KafkaError.ILLEGAL_GENERATION, "moved on", txn_requires_abort=True)


class AtOnce:
    """In the place of the transactor."""

    def __init__(self) -> None:
        self.over: List[Job] = []
        self.lost = ""
        self.step = 0
        self.committing = True
        self.says: List[Optional[KafkaError]] = []  # of the next jobs; None, and at the end: committed
        self.committed: List[Tuple[int, List[bytes]]] = []  # offset, and what was sent with it
        self.started = False

    def start(self) -> None:
        self.started = True

    def another(self) -> None:
        """It may have committed something."""

    def do(self, job: Job) -> None:
        assert self.started
        job.error = self.says.pop(0) if self.says else None
        if job.error is None:
            sent = [record.value or b"" for parcel in job.parcels for record in parcel.records]
            self.committed += [(offset, sent) for _, _, offset, _ in job.places]
        self.over.append(job)

    @property
    def with_records(self) -> List[Tuple[int, List[bytes]]]:
        return [each for each in self.committed if each[1]]


class OneByOne(List[Job]):
    """What is over, as a deque."""

    def popleft(self) -> Job:
        return self.pop(0)


@pytest.fixture
def transactor(monkeypatch: pytest.MonkeyPatch) -> AtOnce:
    made = AtOnce()
    made.over = OneByOne()
    monkeypatch.setattr(build, "Transactor", lambda _properties: made)
    monkeypatch.setattr(transactions, "PAUSE_SECONDS", 0.001)
    return made


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(monkeypatch)
    made.call = lambda message, *_: Send("results", message.offset())
    return made


def play(bench: Bench, *steps: Any) -> ExitCode:
    return bench.play(*steps, delivery="exactly-once")


@pytest.mark.parametrize("last", [stop(), revoke()])
def test_results_are_in_the_transaction_of_their_offset_also_in_the_last_one(
    bench: Bench, transactor: AtOnce, last: Any
) -> None:
    code = play(bench, assign(), deliver(0, 1, 2), until(lambda: len(bench.done) == 3), last, stop())

    assert code is ExitCode.OK
    sent = [value for _, values in transactor.committed for value in values]
    assert sorted(sent) == [b"0", b"1", b"2"]
    assert [offset >= int(value) + 1 for offset, values in transactor.committed for value in values] == [True] * 3
    assert transactor.committed[-1][0] == 3
    assert bench.group.commits == []  # no other way


def test_what_is_done_behind_a_task_that_runs_is_not_seen_before_it(bench: Bench, transactor: AtOnce) -> None:
    release = threading.Event()
    seen: List[Any] = []

    def call(message: Message, *_: Any) -> Any:
        if message.offset() == 0:
            release.wait(5)
            return None
        return Send("results", message.offset())

    def look(_group: ScriptedGroup) -> List[Message]:
        seen.extend(transactor.with_records)
        release.set()
        return []

    bench.call = call
    play(
        bench,
        assign(),
        deliver(0, 1, 2),
        until(lambda: bench.done == {1, 2}),
        deliver(),
        look,
        until(lambda: 0 in bench.done),
        stop(),
    )

    assert seen == []
    assert transactor.with_records == [(3, [b"1", b"2"])]


def test_a_transaction_that_was_not_committed_is_tried_again_whole(bench: Bench, transactor: AtOnce) -> None:
    transactor.says = [MOVED_ON, MOVED_ON]

    play(
        bench,
        assign(),
        deliver(0, 1),
        until(lambda: transactor.with_records),
        stop(),
    )

    assert sum(values.count(b"0") for _, values in transactor.committed) == 1
    assert transactor.committed[-1][0] == 2
    assert "ILLEGAL_GENERATION" in bench.group.deeds


@pytest.mark.parametrize("why", [KafkaError.INVALID_TRANSACTION_TIMEOUT, KafkaError._UNSUPPORTED_FEATURE])
def test_what_the_brokers_can_not_do_ends_it_as_wrongly_configured(
    bench: Bench, transactor: AtOnce, caplog: pytest.LogCaptureFixture, why: int
) -> None:
    transactor.says = [KafkaError(why, "larger than they take")]

    code = play(bench, assign(), deliver(0, 1), until(lambda: bench.group.ending is not None), deliver())

    assert code is ExitCode.CONFIGURATION
    assert "The brokers can't do what DELIVERY=exactly-once asks of them: larger than they take" in caplog.text


def test_dead_letters_and_retries_that_leave_go_the_same_way(bench: Bench, transactor: AtOnce) -> None:
    def call(message: Message, *_: Any) -> Any:
        raise Reject("never") if message.offset() == 0 else Retry(after=3600)

    bench.call = call
    bench.delays = {}
    bench._monkeypatch.setattr("tests.unit.loops._Delays.delay", lambda _self, error, *_: getattr(error, "after", None))
    bench.play(
        assign(),
        deliver(0, 1),
        until(lambda: sum(len(values) for _, values in transactor.committed) == 2),
        stop(),
        delivery="exactly-once",
        retry_topics=("1h",),
    )

    assert transactor.committed[-1][0] == 2


def test_what_waits_of_a_partition_that_was_lost_is_nobodys_here(bench: Bench, transactor: AtOnce) -> None:
    release = threading.Event()
    bench.call = lambda message, *_: (message.offset() or release.wait(5)) and Send("results", 1)

    def after(_group: ScriptedGroup) -> List[Message]:
        release.set()
        return []

    play(
        bench,
        assign(),
        deliver(0, 1),
        until(lambda: 1 in bench.done),
        deliver(),
        lose(),
        after,
        until(lambda: 0 in bench.done),
        stop(),
    )

    assert transactor.with_records == []


def test_when_nobody_knows_what_became_of_one_the_process_ends_and_commits_no_more(bench: Bench, transactor: AtOnce) -> None:
    def lost(_group: ScriptedGroup) -> List[Message]:
        transactor.lost = "no answer"
        return []

    code = play(bench, assign(), lost, until(lambda: False))

    assert code is ExitCode.FENCED


def test_a_process_whose_client_does_not_come_back_ends_and_waits_for_nothing(
    bench: Bench, transactor: AtOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "COMMIT_SECONDS", 0.01)

    def hangs(_group: ScriptedGroup) -> List[Message]:
        transactor.step = 1
        return []

    code = play(bench, assign(), hangs, until(lambda: False))

    assert code is ExitCode.FAULT


@pytest.mark.parametrize(
    ("error", "losses", "told"),
    [
        (KafkaError.FENCED_INSTANCE_ID, 1, []),
        (KafkaError.FENCED_INSTANCE_ID, 0, ["FENCED_INSTANCE_ID"]),
        (KafkaError._FENCED, 1, []),  # brokers that were away for a minute end what was open
    ],
)
def test_that_a_transaction_of_who_we_were_before_is_fenced_says_nothing_of_who_we_are(
    bench: Bench, transactor: AtOnce, error: int, losses: int, told: List[str]
) -> None:
    """Who was lost and came back has its seat by another name: what was under way had the former one."""
    answer, do = [], transactor.do

    def late(job: Job) -> None:
        job.error = KafkaError(error)
        answer.append(job)
        transactor.do = do  # type: ignore[method-assign]

    def back(group: ScriptedGroup) -> List[Message]:
        group.losses += losses
        transactor.over.append(answer.pop())
        return []

    transactor.do = late  # type: ignore[method-assign]
    play(bench, assign(), deliver(0), until(lambda: bool(answer)), back, until(lambda: bool(transactor.committed)), stop())

    assert [name for name in bench.group.deeds if "FENCED" in name] == told
