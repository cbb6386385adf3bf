"""Tasks far longer than `max.poll.interval.ms`: the group must not notice, and nobody may be held up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List

from tests.support.eventually import eventually
from tests.support.messages import Sent, keys_of, message
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

PARTITIONS = 4
LIMIT_MS = 6000  # the least that the broker allows for a session
LONG_MS = 3 * LIMIT_MS
SECONDS = 60.0


def mixed(long_keys: List[str], quick_keys: List[str], quick: int) -> List[Sent]:
    """In each long key a long task with quick followers; in each quick key quick ones only."""
    sent = [message(f"long-{key}", key, sleep_ms=LONG_MS) for key in long_keys]
    sent += [message(f"{key}-{n}", key, n + 1) for n in range(quick) for key in long_keys + quick_keys]
    return sent


def test_tasks_of_three_poll_intervals_run_once_and_hold_up_nobody_and_move_no_partition(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=PARTITIONS)
    long_keys, quick_keys = zip(*(keys_of(number, PARTITIONS, count=2) for number in range(PARTITIONS)))
    env = {
        "ORDERING": "key", "KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS": str(LIMIT_MS),
        "KAFKA_CONSUMER_SESSION_TIMEOUT_MS": str(LIMIT_MS),
    }  # fmt: skip
    running = service(name, group, processes=2, env=env).start().wait_ready(partitions=PARTITIONS)
    eventually(lambda: all(len(owned) == 2 for owned in running.partitions().values()), SECONDS, "balanced")
    owners, log = running.partitions(), len(running.log)
    sent = mixed(list(long_keys), list(quick_keys), quick=50)

    admin.produce(name, [each.row for each in sent])

    oracle = Oracle(running.ledger, sent)
    quick = {each.id for each in sent if each.key in quick_keys}
    eventually(lambda: quick <= set(running.ledger.done()), LONG_MS / 2000, "the quick keys are done meanwhile")
    assert {entry.id for entry in running.ledger.running()} == {f"long-{key}" for key in long_keys}
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is done and committed")
    assert not oracle.missing()
    assert not oracle.started_twice()
    assert not oracle.order_violations_per_key()
    assert running.partitions() == owners
    assert not [word for word in ("Revoked", "Lost", "Assigned", "ended") if word in running.log[log:]]
