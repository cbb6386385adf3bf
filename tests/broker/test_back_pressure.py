"""More than the handlers can do: a bounded number is taken, the rest stays with the broker."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List

import pytest

from kafka_worker.kafka import consumer
from kafka_worker.kafka.consumer import create_consumer
from kafka_worker.kafka.incoming import prefetch
from kafka_worker.shared.system.memory import LEAST_BYTES, MEBIBYTE, SUPERVISOR_BYTES
from tests.support.eventually import eventually
from tests.support.messages import Sent, between, keys_of, message, messages
from tests.support.oracle import Oracle
from tests.support.processes import resident_bytes

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine
    from tests.support.service import Service

PARTITIONS = 4
LIMIT = 50
BATCH = LIMIT // 8
SECONDS = 60.0
# 30 are the process; the client's own queue holds 8 and a fetch of one more, in full before it is cut up.
MOST_MEMORY = 120 * MEBIBYTE


def child(running: Service) -> Dict[str, Any]:
    return dict(running.slots()[0]["child"])


def paused(running: Service) -> List[int]:
    return [
        p["partition"] for slot in running.slots() for p in (slot["child"] or {"partitions": []})["partitions"] if p["paused"]
    ]


def test_slow_handlers_bound_what_is_in_flight_and_in_memory_and_polling_goes_on(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    service: Callable[..., Service],
    record_property: Callable[..., None],
) -> None:
    name = topic(partitions=PARTITIONS)
    sent = messages(300, keys=40, sleep_ms=between(20, 40))
    padding = "x" * 100_000  # 30 MB in all
    admin.produce(name, [message(e.id, e.key, e.sequence, padding=padding, sleep_ms=e.payload["sleep_ms"]).row for e in sent])
    running = service(name, group, processes=1, env={"MAX_IN_FLIGHT": str(LIMIT)}).start().wait_ready()
    oracle, samples, pauses, memory = Oracle(running.ledger, sent), [], set(), 0
    pid = running.children()[0]

    while oracle.missing():
        samples.append(child(running))
        pauses |= set(paused(running))
        memory = max(memory, resident_bytes(pid))
        eventually(lambda: child(running)["done"] > samples[-1]["done"], SECONDS, "it goes on")

    record_property("most MiB", memory / MEBIBYTE)
    record_property("most in flight", max(sample["in_flight"] for sample in samples))
    assert LIMIT // 2 <= max(sample["in_flight"] for sample in samples) <= LIMIT + BATCH
    assert pauses
    assert max(sample["poll_age"] for sample in samples) < 1.0
    assert memory < MOST_MEMORY
    admin.wait_committed(group, name)
    eventually(lambda: not paused(running), SECONDS, "nothing stays paused")
    assert not oracle.started_twice()
    assert running.children() == {0: pid}


def test_a_partition_whose_key_is_blocked_starves_no_other(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=PARTITIONS)
    keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS)]
    admin.produce(name, [message("blocking", keys[0], sleep_ms=4000).row])
    admin.produce(name, [message(f"{key}-{n}", key, sleep_ms=1).row for n in range(300) for key in keys])

    running = engine(name, group, ordering="key", threads=2, max_in_flight=LIMIT).start()

    eventually(lambda: len(running.ledger.done()) == 900, 3.5, "the other partitions are done")
    assert [entry.id for entry in running.ledger.running()] == ["blocking"]
    eventually(lambda: running.paused() == {0}, 2.0, "only the blocked one is paused")
    admin.wait_committed(group, name)
    assert len(running.ledger.of("end")) == 1201


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> List[int]:
    """Bytes that the client has received from all brokers, at one moment after another."""
    seen: List[int] = []

    def note(statistics: str) -> None:
        seen.append(sum(broker["rxbytes"] for broker in json.loads(statistics)["brokers"].values()))

    def created(properties: Dict[str, Any]) -> Any:
        return create_consumer({**properties, "statistics.interval.ms": 100, "stats_cb": note})

    monkeypatch.setattr(consumer, "create_consumer", created)
    return seen


def test_with_a_backlog_no_thread_is_idle_and_next_to_nothing_is_fetched_twice(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], received: List[int]
) -> None:
    """Fewer tasks in flight than the client has fetched: what is beyond must neither be thrown away nor be waited for."""
    name, threads, size, count = topic(partitions=PARTITIONS), 16, 2000, 4000
    rows = [message(f"{n}", f"{n}", padding="x" * size, sleep_ms=20).row for n in range(count)]
    admin.produce(name, rows, {"batch.size": 16384})  # a fetch ends in the middle of one, whose rest is sent again
    running = engine(name, group, threads=threads, max_in_flight=100).start()
    eventually(lambda: done(running) >= 100, SECONDS, "it works")
    began, first, busy = time.monotonic(), done(running), busy_seconds(running)

    eventually(lambda: done(running) >= first + 2400, SECONDS, "most is done")

    share = (busy_seconds(running) - busy) / (time.monotonic() - began) / threads
    assert share > 0.75  # measured: 0.98, and 0.9 beside programs that take all the time they can get
    eventually(lambda: done(running) == count, SECONDS, "all is done")
    assert received[-1] < 1.6 * count * (size + 200)  # measured: 1.05 to 1.24; eleven times with a pause for each partition


def done(running: Engine) -> int:
    return sum(thread.done for thread in running.pool.threads)


def busy_seconds(running: Engine) -> float:
    return sum(thread.busy_seconds for thread in running.pool.threads)


def blocked_at_first() -> List[Sent]:
    """One key in each partition, held up for a while by its first message, so that every partition is paused for certain."""
    keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS)]
    sent = [message(f"{key}-0", key, sleep_ms=2000) for key in keys]
    return sent + [message(f"{key}-{n}", key, n, sleep_ms=5) for n in range(1, 60) for key in keys]


def test_nothing_stays_paused_when_partitions_go_and_come_back(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client remembers a pause over a rebalance."""
    for bound in ("SCARCE", "PLENTY"):  # all that is in hand is more than is wanted
        monkeypatch.setattr(prefetch, bound, 1)
    name = topic(partitions=PARTITIONS)
    sent = blocked_at_first()
    admin.produce(name, [each.row for each in sent])
    stays = engine(name, group, max_in_flight=8).start()
    eventually(lambda: len(stays.paused()) == PARTITIONS, SECONDS, "all partitions are paused")

    comes = engine(name, group, "engine-1", max_in_flight=8).start()
    eventually(lambda: len(comes.loop.report.partitions) == 2, SECONDS, "the newcomer has its share")
    comes.stop()

    oracle = Oracle(stays.ledger, sent)
    oracle.wait_done()
    admin.wait_committed(group, name)
    eventually(lambda: not stays.paused(), SECONDS, "nothing is paused")
    assert len(stays.loop.report.partitions) == PARTITIONS
    assert not oracle.run_twice()


def test_nothing_stays_paused_after_a_kill(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=PARTITIONS)
    sent = blocked_at_first()
    running = service(name, group, processes=2, env={"MAX_IN_FLIGHT": "8"}).start().wait_ready(partitions=PARTITIONS)
    admin.produce(name, [each.row for each in sent])
    eventually(lambda: len(paused(running)) == PARTITIONS, SECONDS, "all partitions are paused")

    os.kill(running.children()[0], signal.SIGKILL)

    oracle = Oracle(running.ledger, sent)
    oracle.wait_done()
    admin.wait_committed(group, name)
    eventually(lambda: not paused(running), SECONDS, "nothing is paused")


released = threading.Event()


def waits(_message: Any) -> None:
    released.wait(SECONDS)


@pytest.fixture
def _all_wait() -> Iterator[None]:
    """Handlers, until they are released, by the end of the test at the latest."""
    released.clear()
    yield
    released.set()


def in_flight(running: Engine) -> Dict[int, int]:
    return {p.partition: p.in_flight for p in running.loop.report.partitions}


@pytest.mark.usefixtures("_all_wait")
def test_a_busy_partition_among_many_idle_ones_has_room_and_when_all_are_busy_no_more_is_in_flight_than_allowed(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    many, limit = 100, 400
    name, keys = topic(partitions=many), [keys_of(number, many)[0] for number in range(many)]
    running = engine(name, group, handler=f"{__name__}:waits", threads=2, max_in_flight=limit).start()

    admin.produce(name, [message(f"{n}", keys[0], n).row for n in range(limit)])
    eventually(lambda: in_flight(running).get(0, 0) >= limit // 4, SECONDS, "the busy one has a quarter of the room and more")
    admin.produce(name, [message(f"{key}-{n}", key, n).row for n in range(20) for key in keys[1:]])
    eventually(lambda: len(in_flight(running)) == many and all(in_flight(running).values()), SECONDS, "all have something")
    most = sum(in_flight(running).values())
    released.set()

    assert limit // 2 <= most <= limit + limit // 8
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is done and committed")
    assert sum(thread.done for thread in running.pool.threads) == limit + 20 * (many - 1)


def test_a_message_heavier_than_all_that_may_be_in_flight_whose_dead_letter_can_not_be_stored_stops_its_partition_only(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=2, **{"max.message.bytes": "10000000"})
    keys = [keys_of(number, 2)[0] for number in range(2)]
    limited = str(SUPERVISOR_BYTES + LEAST_BYTES)
    bad = message("bad", keys[0], padding="x" * 9_000_000, trouble="reject")
    good = message("good", keys[1], padding="x" * 9_000_000)
    running = engine(
        name, group, memory_limit=limited, producer_properties={"topic.metadata.propagation.max.ms": "500"}
    ).start()
    admin.produce(name, [bad.row], {"message.max.bytes": 10_000_000})
    eventually(lambda: running.held() == {0}, SECONDS, "its partition is held")

    light = [message(f"light-{n}", keys[1], n) for n in range(100)]
    admin.produce(name, [light[0].row, good.row, *[each.row for each in light[1:]]], {"message.max.bytes": 10_000_000})

    oracle = Oracle(running.ledger, [*light, good])
    oracle.wait_done(SECONDS, "the other partition goes on")
    assert running.held() == {0}
