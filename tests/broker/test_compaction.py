"""A topic that really was compacted: offsets with holes of all sizes, inside a batch and between batches, not only the single
ones of transaction markers."""

from __future__ import annotations

import random
import time
from typing import Callable, List

import pytest

from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.messages import Sent, message
from tests.support.oracle import Oracle

SECONDS = 40.0  # a cleaner with its own settings looks every 15 s
COUNT, AT_ONCE = 300, 20
TAIL = 100  # more than a segment has
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": "6000",  # only what is no longer written to is compacted
    "min.cleanable.dirty.ratio": "0.01",
}


def some() -> List[Sent]:
    """One in four has a key of its own and outlives the compaction, as do the last ones, which are never compacted; the others
    have few keys, of which the last one stays."""
    chance = random.Random(1)
    own = [number > COUNT - TAIL or chance.random() < 0.25 for number in range(COUNT)]
    keys = [f"own-{number}" if its_own else f"shared-{number % 5}" for number, its_own in enumerate(own)]
    return [message(str(number), key, number, sleep_ms=chance.randint(0, 40)) for number, key in enumerate(keys)]


def no_key_is_left_twice(admin: Admin, name: str) -> bool:
    keys = [record.key for record in admin.records(name)]
    return len(set(keys)) == len(keys)


@pytest.fixture
def compacted(admin: Admin, topic: Callable[..., str]) -> str:
    name = topic(partitions=1, **COMPACTED)
    sent = some()
    for start in range(0, COUNT, AT_ONCE):
        admin.produce(name, [each.row for each in sent[start : start + AT_ONCE]])
    eventually(lambda: no_key_is_left_twice(admin, name), SECONDS, "the cleaner has done its work")
    return name


def test_in_a_compacted_topic_what_is_left_is_done_once_also_across_a_stop_and_nothing_unfinished_is_committed(
    admin: Admin, compacted: str, group: str, engine: Callable[..., Engine]
) -> None:
    settings = {"ordering": "none", "threads": 4, "max_in_flight": 60, "commit_interval_seconds": 0.05}
    first = engine(compacted, group, **settings).start()
    eventually(lambda: len(first.ledger.of("end")) >= 20, SECONDS, "it is under way")
    first.stop()
    stopped_at = admin.committed(group, compacted)[0]
    second = engine(compacted, group, **settings).start()

    offsets = {record.offset for record in admin.records(compacted)}
    assert len(offsets) < 0.6 * COUNT
    deadline, seen = time.monotonic() + SECONDS, {stopped_at}
    while admin.lag(group, compacted) and time.monotonic() < deadline:
        committed = admin.committed(group, compacted)[0] or 0
        seen.add(committed)
        done = {entry.offset for entry in second.ledger.of("end")}
        assert {offset for offset in offsets if offset < committed} <= done

    assert admin.lag(group, compacted) == 0
    assert {entry.offset for entry in second.ledger.of("end")} >= offsets
    assert not Oracle(second.ledger, ()).started_twice()
    assert len(seen) > 3, "too few different commits were seen to prove anything"
