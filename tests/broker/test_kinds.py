"""Handlers of each kind, several of them in one process, and what they want produced."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Callable, List, Optional

from tests.support.eventually import eventually
from tests.support.messages import Sent, message, messages
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    import pytest

    from tests.support.admin import Admin
    from tests.support.engine import Engine
    from tests.support.service import Service

SECONDS = 30.0
HANDLERS = "tests.support.handlers:"
# New topics, and missing ones, are known soon.
QUICKLY = {
    "consumer_properties": {"topic.metadata.refresh.interval.ms": "300"},
    "producer_properties": {"topic.metadata.propagation.max.ms": "500"},
}
Started = Callable[..., "Engine"]


def send(admin: Admin, topic: str, sent: List[Sent]) -> List[Sent]:
    admin.produce(topic, [each.row for each in sent])
    return sent


def routed(engine: Started, group: str, *entries: str, **settings: Any) -> Engine:
    """An engine with HANDLERS, `topic=name` each."""
    pairs = [entry.split("=") for entry in entries]
    handlers = tuple(f"{topic}={HANDLERS}{name}" for topic, name in pairs)
    return engine("", group, handlers=handlers, topics=tuple(topic for topic, _ in pairs), **{**QUICKLY, **settings})


def test_two_topics_have_a_thread_handler_and_an_async_one_in_the_same_process(
    admin: Admin, topic: Callable[..., str], group: str, engine: Started
) -> None:
    first, second = topic(partitions=2), topic(partitions=2)
    sent = send(admin, first, messages(60, keys=12, seed=1)) + send(admin, second, messages(60, keys=12, seed=2))

    running = routed(engine, group, f"{first}=work", f"{second}=coroutine").start()

    oracle = Oracle(running.ledger, sent)
    oracle.wait_done(SECONDS)
    eventually(lambda: admin.lag(group, first) + admin.lag(group, second) == 0, SECONDS, "everything is committed")
    assert {(entry.id[0], entry.thread.split("-")[0]) for entry in running.ledger.entries()} == {
        ("1", "handler"),
        ("2", "event"),
    }
    assert oracle.started_twice() == []


def test_a_pattern_meets_topics_that_come_later_and_never_their_dead_letters(
    admin: Admin, topic: Callable[..., str], group: str, engine: Started
) -> None:
    first = topic(partitions=1)
    running = routed(engine, group, f"^{first}=work", max_attempts=1).start()
    later = admin.create_topic(first + ".later", partitions=1)
    admin.create_topic(later + ".dlq", partitions=1)
    admin.create_topic(first + ".retry.10m", partitions=1)

    send(admin, first, [message("a")])
    send(admin, later, [message("b"), message("bad", trouble="raise"), message("c")])
    eventually(lambda: running.ledger.done() == ["a", "b", "c"], SECONDS, "both topics are consumed")
    eventually(lambda: admin.lag(group, first) + admin.lag(group, later) == 0, SECONDS, "everything is committed")
    send(admin, later, [message("d")])
    eventually(lambda: "d" in running.ledger.done(), SECONDS, "it goes on")

    assert len(running.ledger.of("fail")) == 1  # the dead letter was not consumed
    assert len(admin.records(later + ".dlq")) == 1
    (member,) = admin.members(group)
    assert {name for name, _number in member.partitions} == {first, later}


def test_a_pattern_may_wait_for_its_first_topic(
    admin: Admin, topic: Callable[..., str], group: str, engine: Started, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = topic(partitions=1)
    running = routed(engine, group, f"^{prefix}[.]=coroutine").start(wait=False)
    eventually(lambda: "A topic is missing" in caplog.text, SECONDS, "there is none, which is told")
    later = admin.create_topic(prefix + ".first", partitions=1)
    send(admin, later, [message("a")])

    eventually(lambda: running.ledger.done() == ["a"], SECONDS, "the topic is consumed")


def test_a_thousand_coroutines_do_three_thousand_messages_of_half_a_second_in_a_few(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    engine: Started,
    record_property: Callable[..., None],
) -> None:
    name = topic(partitions=8)
    sent = send(admin, name, messages(3000, keys=1500, sleep_ms=lambda _chance: 500))
    began = time.monotonic()

    running = engine(name, group, handler=HANDLERS + "coroutine", threads=1, coroutines=1000, max_in_flight=6000).start()

    oracle = Oracle(running.ledger, sent)
    oracle.wait_done(SECONDS)
    took = time.monotonic() - began
    record_property("seconds for 3,000 messages of 0.5 s", took)
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
    assert oracle.started_twice() == []
    assert oracle.order_violations_per_key() == []
    assert took < 20  # with 4 threads: more than 6 minutes


def test_a_batch_with_bad_messages_fails_those_alone(
    admin: Admin, topic: Callable[..., str], group: str, engine: Started
) -> None:
    """One is named by the handler, and one makes every list fail that it is in."""
    name = topic(partitions=1)
    admin.create_topic(name + ".dlq", partitions=1)
    good = [message(str(number), f"key-{number}") for number in range(30)]
    bad = [message("named", "a", trouble="item"), message("poison", "b", trouble="raise")]
    send(admin, name, [*good[:10], *bad, *good[10:]])

    running = engine(
        name, group, handler=HANDLERS + "batch", threads=1, batch_size=50, max_attempts=2, retry_backoff_seconds=0.1
    ).start()

    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
    assert sorted(running.ledger.done()) == sorted(each.id for each in good)
    assert sorted(json.loads(letter.value or b"")["id"] for letter in admin.records(name + ".dlq")) == ["named", "poison"]
    attempts = {entry.attempt for entry in running.ledger.of("start") if entry.id != "poison"}
    assert attempts == {1}  # nobody's attempt was spent on the poison of another


def test_an_offset_is_committed_only_when_the_results_are_stored(
    admin: Admin, topic: Callable[..., str], group: str, engine: Started
) -> None:
    """Of a thread handler that returns one result, and a coroutine that returns several."""
    one, several = topic(partitions=1), topic(partitions=1)
    there, missing = admin.create_topic(one + ".there", partitions=1), one + ".missing"
    sent = send(admin, one, [message("0", "a", to=there), message("1", "b", to=missing), message("2", "b", to=there)])
    sent += send(admin, several, [message("3", "a", to=[there]), message("4", "b", to=[there, missing]), message("5", to=[])])

    running = routed(engine, group, f"{one}=forward", f"{several}=forward_all").start()

    def committed() -> List[Optional[int]]:
        return [admin.committed(group, name)[0] for name in (one, several)]

    eventually(
        lambda: all(missing in partition.flow.held for partition in running.loop._ownership.assignment), SECONDS, "it is known"
    )
    eventually(lambda: committed() == [1, 1], SECONDS, "all before it is committed")
    assert sorted(running.ledger.done()) == ["0", "1", "3", "4", "5"]  # not the follower: results of a key keep their order
    admin.create_topic(missing, partitions=1)
    eventually(lambda: committed() == [3, 3], SECONDS, "the results are stored, and everything committed")

    assert not Oracle(running.ledger, sent).started_twice()
    assert sorted(record.value or b"" for record in admin.records(missing)) == [b"4", b'{"id":"1"}']
    assert sorted(record.value or b"" for record in admin.records(there)) == [b"3", b"4", b'{"id":"0"}', b'{"id":"2"}']


def test_lists_whose_results_are_stored_in_transactions_never_wait_for_a_message_that_waits_for_them(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    """The second message of a key waits for the first, which is stored with all between it and the others of its list."""
    name, results = topic(partitions=1), topic(partitions=1)
    made = [message(str(number), key=f"key-{number // 2}", to=results) for number in range(30)]
    send(admin, name, made)

    running = service(name, group, processes=1, handler=HANDLERS + "forward_batch", env={"DELIVERY": "exactly-once"}).start()

    running.wait_ready(partitions=1)
    admin.wait_committed(group, name)
    seen = [json.loads(record.value or b"{}")["id"] for record in admin.records(results)]
    assert seen == [each.id for each in made]  # in the order of their offsets, each once
