"""Topics, groups and clusters that are made anew under their old names: what was done of the former ones says nothing of the
messages of the new ones, however much their offsets are alike."""

from __future__ import annotations

import os
import signal
import tempfile
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List

import pytest

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.messages import Sent, message
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

SECONDS = 30.0
COUNT = 20
# So long an interval that all there is to know after a death is in the journal; so short a session that the group is soon
# empty.
ENVIRONMENT = {"COMMIT_INTERVAL_SECONDS": "60", "KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "6000"}

Make = Callable[..., "Service"]


@pytest.fixture
def runtime() -> Iterator[str]:
    """A runtime directory that several services use, one after the other. Short: a Unix socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield folder


def numbered(prefix: str) -> List[Sent]:
    return [message(f"{prefix}-{number}", key=f"key-{number % 5}") for number in range(COUNT)]


def do_all(admin: Admin, name: str, prefix: str, running: Service) -> None:
    """Send messages of that prefix; returns when all are done."""
    sent = numbered(prefix)
    admin.produce(name, [each.row for each in sent])
    oracle = Oracle(running.ledger, sent)
    oracle.wait_done(SECONDS, f"all {prefix} messages are done")


def kill_everything(running: Service) -> None:
    """As when its host dies, but for what stands in the runtime directory."""
    for pid in (running.pid, *running.children().values()):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: running.returncode is not None, SECONDS, "it is dead")


def wait_empty(admin: Admin, group: str) -> None:
    eventually(lambda: admin.group_state(group) == "EMPTY", SECONDS, "the dead member's session is over")


def topic_anew(admin: Admin, name: str, _group: str) -> None:
    admin.make_anew(name)


def group_deleted(admin: Admin, _name: str, group: str) -> None:
    wait_empty(admin, group)
    admin.delete_group(group)


def reset_again(admin: Admin, name: str, group: str) -> None:
    wait_empty(admin, group)
    admin.move(group, name, {0: 0})


@pytest.mark.parametrize("meanwhile", [topic_anew, group_deleted, reset_again])
def test_after_a_death_nothing_of_what_was_made_anew_is_taken_for_done(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    service: Make,
    meanwhile: Callable[[Admin, str, str], None],
) -> None:
    name = topic(partitions=1)
    if meanwhile is reset_again:
        admin.move(group, name, {0: 0})
    running = service(name, group, processes=1, env=ENVIRONMENT).start()
    do_all(admin, name, "old", running)
    kill_everything(running)

    meanwhile(admin, name, group)
    running.start()

    if meanwhile is not topic_anew:
        again = Oracle(running.ledger, numbered("old"))
        eventually(lambda: len(again.started_twice()) == COUNT, SECONDS, "the same messages are run again")
    do_all(admin, name, "new", running)


def test_after_a_death_nothing_of_another_cluster_with_the_same_names_is_taken_for_done(
    admin: Admin, own_kafka: Cluster, topic: Callable[..., str], group: str, service: Make, runtime: str
) -> None:
    name = topic(partitions=1)
    options: Dict[str, Any] = {"processes": 1, "env": ENVIRONMENT, "runtime_directory": runtime}
    running = service(name, group, **options).start()
    do_all(admin, name, "old", running)
    kill_everything(running)

    other = Admin(own_kafka.bootstrap)
    other.create_topic(name, partitions=1)
    running = service(name, group, own_kafka.bootstrap, **options).start()

    do_all(other, name, "new", running)


def test_nothing_of_a_cluster_that_was_wiped_under_the_running_service_is_taken_for_done(
    own_kafka: Cluster, group: str, service: Make
) -> None:
    name = Admin(own_kafka.bootstrap).create_topic(partitions=1)
    running = service(name, group, own_kafka.bootstrap, processes=1, env=ENVIRONMENT).start()
    do_all(Admin(own_kafka.bootstrap), name, "old", running)

    own_kafka.wipe()
    admin = Admin(own_kafka.bootstrap)
    admin.create_topic(name, partitions=1)

    do_all(admin, name, "new", running)


def test_what_was_done_of_a_topic_before_it_was_made_anew_counts_no_more_while_a_task_of_it_still_runs(
    admin: Admin, topic: Callable[..., str], group: str, service: Make
) -> None:
    """Its memory is not given to anybody as long as the task may write into it, and is found by whoever comes next."""
    name = topic(partitions=1)
    slow = message("slow", sleep_ms=60_000)
    admin.produce(name, [slow.row])
    running = service(name, group, processes=1, env={**ENVIRONMENT, "ORDERING": "none"}).start()
    do_all(admin, name, "old", running)
    assert "slow" in {entry.id for entry in running.ledger.of("start")}

    admin.delete_topics([name])
    eventually(lambda: f"there is no topic {name}" in running.command("status").stdout, SECONDS, "status says that it is gone")
    admin.create_topic(name, partitions=1)
    first, *others = numbered("new")
    admin.produce(name, [first.row])
    oracle = Oracle(running.ledger, [first])
    oracle.wait_done(SECONDS, "its first message is done")
    os.kill(running.children()[0], signal.SIGKILL)
    admin.produce(name, [each.row for each in others])

    oracle = Oracle(running.ledger, others)
    oracle.wait_done(SECONDS, "all others are done after the death too")
