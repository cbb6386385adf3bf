"""Where a group goes on when topics come, go, or are moved about by people."""

from __future__ import annotations

import contextlib
import ctypes
import logging
from typing import TYPE_CHECKING, Any, Callable, List

import pytest
from confluent_kafka import KafkaError

from kafka_worker.kafka import client_log
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.ops.first_run.embedded_broker import MockCluster, send
from kafka_worker.ownership import arrivals
from kafka_worker.ownership.arrivals import UNTOLD
from tests.support.eventually import eventually
from tests.support.messages import Sent, between, message, messages
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine
    from tests.support.service import Service

SECONDS = 30.0
OFFSET_FETCH = 9  # the question what is committed, in Kafka's protocol


def numbered(prefix: str, count: int) -> List[Sent]:
    return [message(f"{prefix}-{number}", key=f"key-{number % 5}") for number in range(count)]


def wait_dealt_with(admin: Admin, group: str, name: str, running: Engine, sent: List[Sent]) -> None:
    """Until exactly these are done and committed."""
    Oracle(running.ledger, sent).wait_done(SECONDS)
    eventually(lambda: admin.committed(group, name) == {0: len(sent)}, SECONDS, "exactly they are committed")


def test_nothing_unfinished_is_ever_committed(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=2)
    sent = messages(150, sleep_ms=between(1, 120))
    places = set(admin.produce(name, [each.row for each in sent]))

    running = engine(name, group, ordering="none", threads=6, commit_interval_seconds=0.05).start()

    seen = set()
    while Oracle(running.ledger, sent).missing():
        committed = admin.committed(group, name)
        seen.add(tuple(committed.values()))
        done = {(entry.partition, entry.offset) for entry in running.ledger.of("end")}
        assert {(number, offset) for number, offset in places if offset < (committed[number] or 0)} <= done
    assert len(seen) > 5, "too few different commits were seen to prove anything"
    admin.wait_committed(group, name)


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
def test_a_group_that_has_committed_nothing_begins_at_once_where_the_client_alone_would_wait_for_a_timer(
    strategy: str, admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, client_log.client_log.name)
    name = topic(partitions=2)
    admin.produce(name, [each.row for each in numbered("message", 10)])

    properties = {"debug": "topic", "partition.assignment.strategy": strategy}
    running = engine(name, group, consumer_properties=properties).start()

    admin.wait_committed(group, name)
    Oracle(running.ledger, numbered("message", 10)).wait_done(SECONDS)
    said = [record.getMessage() for record in caplog.records if record.name == client_log.client_log.name]
    assert any("offset query" in line or "Start fetch" in line for line in said)
    assert not [line for line in said if "backoff" in line]


def test_offsets_that_an_operator_moved_back_are_obeyed(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [each.row for each in numbered("message", 10)])
    running = engine(name, group).start()
    admin.wait_committed(group, name)
    running.stop()

    admin.move(group, name, {0: 7})
    running = engine(name, group).start()

    admin.wait_committed(group, name)
    again = sorted(entry.offset for entry in running.ledger.of("end"))
    assert again == [0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9]


def test_a_topic_that_was_made_anew_is_consumed_from_its_beginning(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [each.row for each in numbered("old", 20)])
    running = engine(name, group).start()
    admin.wait_committed(group, name)
    running.stop()

    admin.make_anew(name)
    admin.produce(name, [each.row for each in numbered("new", 5)])
    running = engine(name, group).start()

    oracle = Oracle(running.ledger, numbered("old", 20) + numbered("new", 5))
    oracle.wait_done(SECONDS, "the new ones are done too")
    admin.wait_committed(group, name)
    assert admin.committed(group, name) == {0: 5}
    assert not oracle.started_twice()


def test_several_topics_are_consumed_by_one_group(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    first, second = topic(partitions=2), topic(partitions=3)
    admin.produce(first, [each.row for each in numbered("first", 50)])
    admin.produce(second, [each.row for each in numbered("second", 50)])

    running = service(f"{first},{second}", group, processes=2).start()

    oracle = Oracle(running.ledger, numbered("first", 50) + numbered("second", 50))
    oracle.wait_done(SECONDS, "both topics are done")
    admin.wait_committed(group, first)
    admin.wait_committed(group, second)
    assert not oracle.started_twice()
    eventually(lambda: sum(map(len, running.partitions().values())) == 5, SECONDS, "status shows all partitions")


def test_a_topic_that_does_not_exist_yet_is_waited_for(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    existing = topic(partitions=1)
    later = existing + "-later"
    admin.produce(existing, [each.row for each in numbered("first", 5)])
    env = {"KAFKA_CONSUMER_TOPIC_METADATA_REFRESH_INTERVAL_MS": "1000"}
    running = service(f"{existing},{later}", group, processes=1, env=env).start().wait_ready()
    children = running.children()
    eventually(lambda: "A topic is missing" in running.log, SECONDS, "the log warns")

    admin.create_topic(later, partitions=1)
    admin.produce(later, [each.row for each in numbered("later", 5)])

    oracle = Oracle(running.ledger, numbered("first", 5) + numbered("later", 5))
    oracle.wait_done(SECONDS, "both topics are done")
    admin.wait_committed(group, later)
    assert running.children() == children


def test_a_topic_that_is_made_anew_under_a_running_service_is_consumed_and_committed_from_its_beginning(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    """Also by a member that has committed the old end without ever having been given a message."""
    name = topic(partitions=1)
    admin.produce(name, [each.row for each in numbered("old", 20)])
    before = engine(name, group).start()
    admin.wait_committed(group, name)
    before.stop()
    running = engine(name, group).start()
    eventually(
        lambda: running.loop.report.partitions and running.loop.report.partitions[0].committed == 20,
        SECONDS,
        "it has committed",
    )

    admin.make_anew(name)
    admin.produce(name, [each.row for each in numbered("new", 5)])

    wait_dealt_with(admin, group, name, running, numbered("new", 5))


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_of_a_topic_made_anew_under_a_running_service_all_is_run_once_and_in_order_also_what_has_the_offsets_of_what_was_done(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], reset: str
) -> None:
    """The client goes on where it was, and says so in its log only."""
    name = topic(partitions=1)
    admin.move(group, name, {0: 0})
    running = engine(name, group, consumer_properties={"auto.offset.reset": reset}).start()
    admin.produce(name, [each.row for each in numbered("old", 20)])
    admin.wait_committed(group, name)

    admin.make_anew(name)
    sent = messages(60)
    admin.produce(name, [each.row for each in sent])

    wait_dealt_with(admin, group, name, running, sent)
    oracle = Oracle(running.ledger, sent)
    assert (oracle.order_violations_per_key(), oracle.started_twice()) == ([], [])


def test_what_comes_to_partitions_before_a_running_service_knows_of_them_is_not_lost(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [each.row for each in numbered("old", 5)])
    properties = {"auto.offset.reset": "latest", "topic.metadata.refresh.interval.ms": "1000"}
    running = engine(name, group, consumer_properties=properties).start()
    eventually(lambda: admin.committed(group, name) == {0: 5}, SECONDS, "it has begun at the end")

    admin.add_partitions(name, 4)
    sent = numbered("new", 20)
    admin.produce(name, [each.row for each in sent], {"client.id": "knows all partitions"})

    Oracle(running.ledger, sent).wait_done(SECONDS)
    assert {entry.id for entry in running.ledger.of("end")} == {each.id for each in sent}


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_an_offset_that_outlived_its_topic_is_no_place_to_go_on_from_in_the_next_of_that_name(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], reset: str
) -> None:
    """As a commit does that comes when the topic is there again."""
    name = topic(partitions=1)
    admin.move(group, name, {0: 0})
    admin.produce(name, [each.row for each in numbered("old", 20)])
    running = engine(name, group).start()
    admin.wait_committed(group, name)
    running.stop()
    outlives = admin.metadata(group, name)[0] or ""

    admin.make_anew(name)
    admin.produce(name, [each.row for each in numbered("new", 25)])
    admin.move(group, name, {0: 20}, outlives)
    running = engine(name, group, consumer_properties={"auto.offset.reset": reset}).start()

    wait_dealt_with(admin, group, name, running, numbered("new", 25))


def test_nothing_is_run_again_when_the_broker_does_not_tell_at_once_what_was_committed(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages come meanwhile, and wait."""
    name = topic(partitions=1)
    slow = message("slow", sleep_ms=8000)
    sent = [slow, *numbered("message", 30)]
    admin.produce(name, [each.row for each in sent])
    running = engine(name, group, ordering="none").start()
    eventually(lambda: len(Oracle(running.ledger, sent).missing()) == 1, SECONDS, "all but one are done")
    running.stop(drain_seconds=0)
    assert admin.committed(group, name) == {0: 0}
    unanswered: List[object] = []
    answer = GroupConsumer.committed

    def silent_at_first(consumer: GroupConsumer, names: Any, timeout: float) -> Any:
        if len(unanswered) < 2:
            unanswered.append(names)
            return {}
        return answer(consumer, names, timeout)

    monkeypatch.setattr(arrivals, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(GroupConsumer, "committed", silent_at_first)
    running = engine(name, group, ordering="none").start()

    eventually(
        lambda: running.loop.report.partitions and running.loop.report.partitions[0].held == UNTOLD, SECONDS, "it is held"
    )
    admin.wait_committed(group, name)
    assert len(unanswered) == 2
    assert Oracle(running.ledger, sent).started_twice() == ["slow"]


def refuse(broker: MockCluster, question: int, error: int) -> Callable[[], None]:
    """From now on the broker answers all such questions so, by their number in the protocol, until this is called."""
    library, cluster, many = broker._library, ctypes.c_void_p(broker._cluster), 10_000
    library.rd_kafka_mock_push_request_errors_array(cluster, question, many, (ctypes.c_int * many)(*[error] * many))
    return lambda: library.rd_kafka_mock_clear_request_errors(cluster, question)


def test_partitions_go_on_when_what_was_committed_was_refused_for_longer_than_an_assignment_waits(
    group: str, engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself would ask once, and be refused as we were."""
    monkeypatch.setattr(arrivals, "COMMITTED_SECONDS", 0.3)
    monkeypatch.setattr(arrivals, "LOOK_SECONDS", 0.5)
    with contextlib.closing(MockCluster(join_delay_ms=0)) as broker:
        names = ["one", "three", "two"]
        broker.create_topic("refused", 2)
        send(broker.address(), "refused", [(name, message(name).row[1] or b"") for name in names])
        allow = refuse(broker, OFFSET_FETCH, KafkaError.NOT_COORDINATOR)
        running = engine("refused", group, bootstrap_servers=broker.address()).start()
        eventually(lambda: {each.held for each in running.loop.report.partitions} == {UNTOLD}, SECONDS, "they are held")
        assert running.ledger.done() == []

        allow()

        eventually(lambda: sorted(running.ledger.done()) == names, SECONDS, "all are done")
        running.stop()
