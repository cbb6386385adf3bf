"""More than the handlers can do: a bounded number is taken, the rest stays with the broker."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Callable, Dict, List

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
MEBIBYTE = 1 << 20
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
    eventually(
        lambda: {p.partition for p in running.loop.partitions if p.paused} == {0}, 2.0, "only the blocked one is paused"
    )
    admin.wait_committed(group, name)
    assert len(running.ledger.of("end")) == 1201


def blocked_at_first() -> List[Sent]:
    """One key in each partition, held up for a while by its first message, so that every partition is paused for certain."""
    keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS)]
    sent = [message(f"{key}-0", key, sleep_ms=2000) for key in keys]
    return sent + [message(f"{key}-{n}", key, n, sleep_ms=5) for n in range(1, 60) for key in keys]


def test_nothing_stays_paused_when_partitions_go_and_come_back(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    """The client remembers a pause over a rebalance."""
    name = topic(partitions=PARTITIONS)
    sent = blocked_at_first()
    admin.produce(name, [each.row for each in sent])
    stays = engine(name, group, max_in_flight=8).start()
    eventually(lambda: all(p.paused for p in stays.loop.partitions), SECONDS, "all partitions are paused")

    comes = engine(name, group, "engine-1", max_in_flight=8).start()
    eventually(lambda: len(comes.loop.partitions) == 2, SECONDS, "the newcomer has its share")
    comes.stop()

    oracle = Oracle(stays.ledger, sent)
    eventually(lambda: not oracle.missing(), SECONDS, "everything is done")
    admin.wait_committed(group, name)
    eventually(lambda: not any(p.paused for p in stays.loop.partitions), SECONDS, "nothing is paused")
    assert len(stays.loop.partitions) == PARTITIONS
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
    eventually(lambda: not oracle.missing(), SECONDS, "everything is done")
    admin.wait_committed(group, name)
    eventually(lambda: not paused(running), SECONDS, "nothing is paused")
