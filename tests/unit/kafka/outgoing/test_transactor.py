"""One transaction after the other, by a client that answers as the test says."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.outgoing import transactor
from kafka_worker.kafka.outgoing.transactor import Job, Transactor
from tests.support.eventually import eventually
from tests.unit.kafka.outgoing.transacting import ABORT, FATAL, GONE, LATE, Bench

AWAY = KafkaError(KafkaError._TRANSPORT)  # nobody tells of a topic
LEADERLESS = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)  # of a topic of which that is said, one partition


class Client:
    """Answers as the test says: a list of errors for each call, None for "well"."""

    def __init__(self, says: Dict[str, List[Optional[KafkaError]]]) -> None:
        self._says = says
        self.calls: List[str] = []
        self.absent: Dict[str, List[Optional[KafkaError]]] = {}  # what is said of a topic, one time after the other
        self.looked_for: List[str] = []
        self.noted: Callable[[str], object] = id

    def list_topics(self, topic: str, _timeout: float) -> Any:
        self.looked_for.append(topic)
        self.noted("list_topics")
        said = self.absent.get(topic, [])
        error = said.pop(0) if said else None
        if error is AWAY:
            raise KafkaException(error)
        led = error is not LEADERLESS
        partitions = {0: SimpleNamespace(leader=1), 1: SimpleNamespace(leader=1 if led else -1)}
        return SimpleNamespace(topics={topic: SimpleNamespace(error=error if led else None, partitions=partitions)})

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_arguments: Any, on_delivery: Any = None, **_named: Any) -> Any:
            self.calls.append(name)
            self.noted(name)
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
        ({"init_transactions": [LATE], "commit_transaction": [LATE] * 3}, None, [WHOLE[0], *WHOLE, *WHOLE[-1:] * 3]),
        ({"init_transactions": [LATE] * 2}, LATE, WHOLE[:1] * 2),
        ({"send_offsets_to_transaction": [LATE] * 2}, LATE, [*WHOLE[:4], WHOLE[3], "abort_transaction"]),
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


@pytest.mark.parametrize(
    ("hangs", "calls", "replaced"),
    [("flush", WHOLE[:3], True), ("send_offsets_to_transaction", WHOLE[:4], True), ("commit_transaction", WHOLE, False)],
)
def test_whose_place_was_taken_does_nothing_more_when_its_client_comes_back(
    hangs: str, calls: List[str], *, replaced: bool
) -> None:
    """And nobody takes the place of one that may have committed something."""
    client, others = Client({}), []
    ours = Transactor({}, lambda *_, **__: client)
    client.noted = lambda name: others.append(ours.another()) if name == hangs else None
    bench = Bench()
    bench.send(0)
    job = bench.commit()
    assert job

    with pytest.raises(SystemExit) if replaced else contextlib.nullcontext():
        ours.attempt(job)

    assert [name for name in client.calls if name not in ("poll", "flush")] == calls
    assert [other is not None for other in others] == [replaced]


def test_nobody_takes_the_place_of_one_of_whose_transaction_nobody_knows_what_became_though_it_is_over() -> None:
    """The other could send all of it once more."""
    ours, bench = Transactor({}, lambda *_, **__: Client({"commit_transaction": [FATAL]})), Bench()
    bench.send(0)
    job = bench.commit()
    assert job
    ours.do(job)
    ours._run()

    assert (ours.over.popleft(), ours.lost, ours.another()) == (job, "another one", None)


def test_what_a_client_says_of_a_record_after_its_place_was_taken_is_laid_to_nobody() -> None:
    """It throws away what it has not sent."""
    client = Client({"produce": [GONE]})
    ours = Transactor({}, lambda *_, **__: client)
    client.noted = lambda name: ours.another() if name == "produce" else None
    bench = Bench()
    bench.send(0)
    job = bench.commit()
    assert job

    with pytest.raises(SystemExit):
        ours.attempt(job)

    assert job.parcels[0].problem is None


def test_each_call_that_may_wait_has_its_own_time_and_who_has_nothing_to_do_has_none() -> None:
    client, steps = Client({"commit_transaction": [None, FATAL]}), []
    ours = Transactor({}, lambda *_, **__: client)
    client.noted = lambda name: steps.append((name, ours.step))
    bench = Bench()
    bench.send(0)
    bench.send(1, to="other")
    job = bench.commit()
    assert job
    ours.start()
    ours.do(job)
    eventually(lambda: ours.over and ours.step == 0, 5, "it is over")

    waits = [(name, step) for name, step in steps if name not in ("begin_transaction", "produce", "poll")]
    ours.do(job)  # by which its thread ends
    assert [name for name, _ in waits] == [WHOLE[0], "list_topics", "list_topics", "flush", *WHOLE[3:]]
    assert len({step for _, step in waits}) == len(waits)
    assert all(step > 0 for _, step in waits)


def test_a_client_that_can_not_even_abort_makes_room_for_another() -> None:
    """That of a broker that was away says again and again that it takes longer."""
    client, made = Client({"send_offsets_to_transaction": [ABORT], "abort_transaction": [LATE] * 2}), []

    def make(*_: Any, **__: Any) -> Client:
        made.append(client)
        return client

    transactor = Transactor({}, make)
    bench = Bench()
    bench.send(0)
    job = bench.commit()
    assert job

    assert [transactor.attempt(job), transactor.attempt(job)] == [ABORT, None]
    assert len(made) == 2


def test_whose_record_was_refused_is_told_and_the_offset_with_it_is_not_committed() -> None:
    error, _, calls, job = attempt({"produce": [GONE]})

    assert (error, calls, job.parcels[0].problem) == (GONE, [*WHOLE[:3], "abort_transaction"], GONE)


def test_a_topic_is_looked_for_before_a_transaction_begins_and_again_when_one_was_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once more at once, as one that was just made may not have reached every broker."""
    monkeypatch.setattr(transactor, "MADE_SECONDS", 0.0)
    client = Client({"send_offsets_to_transaction": [None, ABORT]})
    client.absent["gone"] = [GONE, GONE, GONE, None, LEADERLESS, LEADERLESS]
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

    assert tried() == (GONE, ["gone", "out", "gone"], False)
    assert [(parcel.topic, parcel.problem) for parcel in job.parcels] == [("out", None), ("gone", GONE)]
    assert tried() == (None, ["gone", "gone"], True)
    assert tried() == (ABORT, [], True)
    assert tried() == (LEADERLESS, ["gone", "out", "gone"], False)
    assert tried() == (None, ["gone"], True)


@pytest.mark.parametrize(
    ("says", "looks", "pauses"), [(AWAY, ["one"], 0), (GONE, ["one", "three", "two"] * 2, 1)], ids=["nobody", "all missing"]
)
def test_topics_that_nobody_tells_of_or_that_are_missing_cost_one_wait_in_all_and_not_one_each(
    says: KafkaError, looks: List[str], pauses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: List[float] = []
    monkeypatch.setattr("kafka_worker.kafka.outgoing.transactor.time.sleep", paused.append)
    client, bench = Client({}), Bench()
    for offset, topic in enumerate(("one", "two", "three")):
        client.absent[topic] = [says, says]
        bench.send(offset, to=topic)
    job = bench.commit()
    assert job

    assert Transactor({}, lambda *_, **__: client).attempt(job) == (None if says is AWAY else GONE)
    assert (client.looked_for, len(paused)) == (looks, pauses)
