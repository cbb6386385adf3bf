"""Something is wrong, and one command names the cause. Others of the kind: test_explain (a stuck message, a slow key, a
dead-letter topic that is missing), test_rights (a wrong right, a producer's clock), test_lag (partitions with uneven keys),
test_crash_loop, test_recycling (a leak, too little capacity), tests/soak/test_half_a_cluster.
"""

from __future__ import annotations

import contextlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List

from confluent_kafka import Consumer

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 30.0
DEPENDS = re.compile(r"waits for a circuit breaker to close.*the circuit breaker of payments is ", re.DOTALL)


def test_what_handlers_depend_on_is_named_when_it_is_dead(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service], tmp_path: Path
) -> None:
    name, outage = topic(partitions=1), tmp_path / "outage"
    outage.touch()
    trouble: Dict[str, Any] = {"uses": "payments", "trouble": "raise", "while": str(outage)}
    sent = [message(str(number), str(number), **trouble) for number in range(10)]
    admin.produce(name, [each.row for each in sent])
    env = {"BREAKER_MIN_CALLS": "5", "BREAKER_OPEN_SECONDS": "2", "RETRY_BACKOFF_SECONDS": "0.1"}
    running = service(name, group, processes=1, handler="tests.support.handlers:depending", env=env).start()
    eventually(lambda: "payments" in str(running.slots() and running.status()["problems"]), SECONDS, "it is noticed")

    status = running.command("status")
    eventually(lambda: DEPENDS.search(running.command("explain", name).stdout), SECONDS, "explain says so, too")
    outage.unlink()

    assert status.returncode == 1
    assert "problem: slot 0: circuit breaker of payments is " in status.stdout
    assert " calls failed, the last by TroubleError)" in status.stdout
    eventually(lambda: len(running.ledger.done()) == len(sent), SECONDS, "it goes on by itself")


def test_who_has_lost_its_place_to_another_of_the_same_name_says_so(
    topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    """Two services of a group, one host name: as where machines were cloned."""
    name = topic(partitions=1)
    first = service(name, group, processes=1).start().wait_ready(partitions=1)

    second = service(name, group, processes=1).start().wait_ready(partitions=1)

    eventually(lambda: not first.children(), SECONDS, "the first one's process has gone")
    status, checked = first.command("status").stdout, first.command("check").stdout
    assert "problem: slot 0: no process, next start in " in status
    assert "(last: exit 76 (fenced))" in status
    assert "replaced: slot 0: 1 fenced" in status
    assert "in the group, and our own member of that id was fenced" in checked
    assert "in the group, and" not in second.command("check").stdout


def test_a_plain_consumer_in_the_group_is_named_whether_it_keeps_us_out_or_takes_a_share(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    """Somebody's script with our group id: by the client's own strategy, or by ours."""
    name = topic(partitions=2)
    with consuming(admin.bootstrap, name, group, "range"):
        running = service(name, group, processes=1).start()
        eventually(lambda: "the group does not take us" in str(running.slots()), SECONDS, "why it is not in the group")
        status, checked = running.command("status"), running.command("check")
    eventually(lambda: running.slots()[0]["child"]["joined"], SECONDS, "it is in the group when the other has gone")
    healed = running.status()["conditions"]
    with consuming(admin.bootstrap, name, group, "cooperative-sticky"):
        eventually(lambda: len(running.partitions()[0]) == 1, SECONDS, "it shares the partitions with the other")
        shared = running.command("check").stdout

    assert "partition.assignment.strategy than we" in status.stdout
    assert "whose partition.assignment.strategy is range: with ours, cooperative-sticky, none of us is taken" in checked.stdout
    assert (status.returncode, checked.returncode) == (1, 1)
    assert "the group does not take us" not in str(healed)
    assert "this is no process of a service like ours: a-script at " in shared


@contextlib.contextmanager
def consuming(bootstrap: str, topic: str, group: str, strategy: str) -> Iterator[None]:
    """A plain consumer is in the group, and has its share of the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": group, "client.id": "a-script", "auto.offset.reset": "earliest",
            "partition.assignment.strategy": strategy,
        }
    )  # fmt: skip
    over, assigned = threading.Event(), threading.Event()

    def on_assign(_consumer: Consumer, partitions: List[Any]) -> None:
        if partitions:
            assigned.set()

    consumer.subscribe([topic], on_assign=on_assign)

    def consume() -> None:
        while not over.is_set():
            consumer.poll(0.05)

    with ThreadPoolExecutor() as thread:
        running = thread.submit(consume)
        try:
            assert assigned.wait(SECONDS), "it has its share"
            yield
        finally:
            over.set()
            running.result()
            consumer.close()
