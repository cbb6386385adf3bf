"""Topics that are written in transactions: aborted messages and the markers between them leave holes in the offsets."""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Callable, List, Sequence

import pytest
from confluent_kafka import Producer

from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.messages import Sent, between, message, messages
from tests.support.oracle import Oracle

SECONDS = 30.0


class Transactions:
    """One transactional producer."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex, "linger.ms": 0})
        self._producer.init_transactions(SECONDS)

    def begin(self, sent: Sequence[Sent]) -> None:
        """Write, acknowledged, and leave the transaction open."""
        self._producer.begin_transaction()
        for each in sent:
            self._producer.produce(self._topic, json.dumps(each.payload).encode(), each.key.encode())
        assert self._producer.flush(SECONDS) == 0

    def commit(self, sent: Sequence[Sent] = ()) -> None:
        """These messages, and what is open."""
        if sent:
            self.begin(sent)
        self._producer.commit_transaction(SECONDS)

    def abort(self, sent: Sequence[Sent] = ()) -> None:
        """These messages, and what is open, come to nothing."""
        if sent:
            self.begin(sent)
        self._producer.abort_transaction(SECONDS)


@pytest.fixture
def name(topic: Callable[..., str]) -> str:
    return topic(partitions=1)


@pytest.fixture
def transactions(admin: Admin, name: str) -> Transactions:
    return Transactions(admin.bootstrap, name)


def some(prefix: str, count: int) -> List[Sent]:
    return [message(f"{prefix}-{number}", key=f"key-{number % 3}", sequence=number) for number in range(count)]


def lag_is_gone(admin: Admin, group: str, name: str) -> None:
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "the broker sees no lag")


@pytest.mark.parametrize("ordering", ["key", "none"])
def test_aborted_messages_are_never_handled_and_no_lag_remains_behind_markers(
    admin: Admin, name: str, group: str, transactions: Transactions, engine: Callable[..., Engine], ordering: str
) -> None:
    transactions.commit(some("first", 5))
    transactions.abort(some("aborted", 4))
    transactions.commit(some("second", 5))
    transactions.abort(some("aborted-at-the-end", 3))

    running = engine(name, group, ordering=ordering).start()

    lag_is_gone(admin, group, name)
    assert sorted(running.ledger.done()) == sorted(each.id for each in some("first", 5) + some("second", 5))
    assert not Oracle(running.ledger, ()).started_twice()


def test_no_lag_remains_where_nothing_is_ever_delivered(
    admin: Admin, name: str, group: str, transactions: Transactions, engine: Callable[..., Engine]
) -> None:
    transactions.abort(some("aborted", 4))

    running = engine(name, group).start()
    lag_is_gone(admin, group, name)
    transactions.abort(some("aborted-later", 4))
    lag_is_gone(admin, group, name)

    assert admin.end_offsets(name)[0] == 10  # eight messages and two markers
    assert running.ledger.entries() == []


def test_an_open_transaction_is_waited_for_and_then_handled(
    admin: Admin, name: str, group: str, transactions: Transactions, engine: Callable[..., Engine]
) -> None:
    transactions.commit(some("first", 2))
    running = engine(name, group).start()
    transactions.begin(some("open", 3))
    eventually(lambda: admin.committed(group, name)[0] == 3, SECONDS, "all before the transaction is committed")
    assert admin.lag(group, name) == 3

    transactions.commit()

    lag_is_gone(admin, group, name)
    assert sorted(running.ledger.done()) == sorted(each.id for each in some("first", 2) + some("open", 3))


def test_nothing_unfinished_is_committed_among_holes(
    admin: Admin, name: str, group: str, transactions: Transactions, engine: Callable[..., Engine]
) -> None:
    """Every second offset is a hole, and tasks end out of order."""
    sent = messages(100, sleep_ms=between(5, 120))
    chance = random.Random(1)
    for each in sent:
        transactions.commit([each])
        if chance.random() < 0.2:
            transactions.abort(some("aborted", 1))

    offsets = {record.offset for record in admin.records(name)}

    running = engine(name, group, ordering="none", threads=4, commit_interval_seconds=0.05).start()

    seen = set()
    deadline = time.monotonic() + SECONDS
    while admin.lag(group, name) and time.monotonic() < deadline:
        committed = admin.committed(group, name)[0] or 0
        seen.add(committed)
        done = {entry.offset for entry in running.ledger.of("end")}
        assert {offset for offset in offsets if offset < committed} <= done
    assert len(seen) > 5, "too few different commits were seen to prove anything"
    assert sorted(running.ledger.done()) == sorted(each.id for each in sent)
    assert admin.lag(group, name) == 0
