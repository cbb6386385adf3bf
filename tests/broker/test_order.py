"""ORDERING, judged by what the handlers themselves wrote down."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Optional

import pytest

from tests.support.eventually import eventually
from tests.support.messages import Sent, between, keys_of, message, messages
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine
    from tests.support.ledger import Entry
    from tests.support.service import Service

SECONDS = 40.0
PARTITIONS = 4


def most_at_once(entries: Iterable[Entry], lane: Callable[[Entry], object]) -> Dict[object, int]:
    """For each lane the greatest number of its tasks that ran at the same time."""
    running: Dict[object, int] = defaultdict(int)
    most: Dict[object, int] = defaultdict(int)
    for entry in entries:
        running[lane(entry)] += 1 if entry.event == "start" else -1
        most[lane(entry)] = max(most[lane(entry)], running[lane(entry)])
    return most


def starts_by(entries: Iterable[Entry], lane: Callable[[Entry], object]) -> Dict[object, List[int]]:
    """For each lane the offsets in the order in which they were started, repetitions included."""
    starts: Dict[object, List[int]] = defaultdict(list)
    for entry in entries:
        if entry.event == "start":
            starts[lane(entry)].append(entry.offset)
    return starts


def done(admin: Admin, group: str, name: str, oracle: Oracle) -> None:
    oracle.wait_done(SECONDS)
    admin.wait_committed(group, name)


def failing(sent: List[Sent], every: int, times: int) -> List[Sent]:
    """The same messages, of which some fail so many times."""
    trouble = {"trouble": "raise", "times": times}
    return [
        replace(each, payload={**each.payload, **trouble}) if number % every == 0 else each for number, each in enumerate(sent)
    ]


def test_one_keys_messages_run_in_order_and_different_keys_at_once(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=PARTITIONS)
    sent = messages(400, keys=20, sleep_ms=between(1, 30))
    admin.produce(name, [each.row for each in sent])

    running = service(name, group, processes=2, env={"ORDERING": "key"}).start()

    oracle = Oracle(running.ledger, sent)
    done(admin, group, name, oracle)
    entries = running.ledger.entries()
    assert set(most_at_once(entries, lambda entry: entry.key).values()) == {1}
    assert most_at_once(entries, lambda entry: entry.pid)[entries[0].pid] == 4  # all threads of a process
    assert not oracle.order_violations_per_key()
    assert not oracle.started_twice()


def test_followers_of_a_failing_message_wait_for_its_retry_and_other_keys_do_not(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=PARTITIONS)
    sent = failing(messages(200, keys=20, sleep_ms=between(0, 3)), every=10, times=2)
    admin.produce(name, [each.row for each in sent])

    running = engine(name, group, ordering="key", retry_backoff_seconds=0.3).start()

    oracle = Oracle(running.ledger, sent)
    done(admin, group, name, oracle)
    starts = starts_by(running.ledger.entries(), lambda entry: entry.key)
    assert len(running.ledger.of("fail")) == 40
    assert all(offsets == sorted(offsets) for offsets in starts.values())  # a retry comes before its followers
    assert not oracle.order_violations_per_key()
    assert other_keys_ran_during_a_retry(running.ledger.entries())


def other_keys_ran_during_a_retry(entries: List[Entry]) -> bool:
    failed = next(entry for entry in entries if entry.event == "fail")
    again = next(e for e in entries if e.event == "start" and (e.id, e.attempt) == (failed.id, failed.attempt + 1))
    return any(entry.event == "end" and failed.at < entry.at < again.at for entry in entries)


def test_a_dead_letter_sets_the_followers_of_its_key_free(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    admin.create_topic(name + ".dlq", partitions=1)
    first, *followers = [message(str(number), sequence=number) for number in range(5)]
    hopeless = message(first.id, first.key, trouble="raise")
    admin.produce(name, [each.row for each in (hopeless, *followers)])

    running = engine(name, group, ordering="key", retry_backoff_seconds=0.1).start()

    done(admin, group, name, Oracle(running.ledger, followers))
    assert [entry.id for entry in running.ledger.of("start")] == ["0", "0", "0", "1", "2", "3", "4"]
    assert [letter.offset for letter in admin.records(name + ".dlq")] == [0]


def test_a_partition_runs_one_message_after_the_other_whatever_its_keys(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=PARTITIONS)
    sent = failing(messages(120, keys=40, sleep_ms=between(1, 10)), every=30, times=1)
    admin.produce(name, [each.row for each in sent])

    running = engine(name, group, ordering="partition", retry_backoff_seconds=0.3).start()

    done(admin, group, name, Oracle(running.ledger, sent))
    entries = running.ledger.entries()
    assert set(most_at_once(entries, lambda entry: entry.partition).values()) == {1}
    assert most_at_once(entries, lambda _: "all")["all"] > 1  # partitions at once
    assert all(offsets == sorted(offsets) for offsets in starts_by(entries, lambda entry: entry.partition).values())


@pytest.mark.parametrize("key", ["the same", None])
def test_without_order_all_threads_work_on_one_key(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], key: Optional[str]
) -> None:
    name = topic(partitions=1)
    sent = [message(str(number), sleep_ms=30) for number in range(40)]
    admin.produce(name, [(key.encode() if key else None, each.row[1], None) for each in sent])

    # Messages without a key have no order under "key" either.
    running = engine(name, group, ordering="none" if key else "key", threads=4).start()

    done(admin, group, name, Oracle(running.ledger, sent))
    assert most_at_once(running.ledger.entries(), lambda _: "all")["all"] == 4
    assert not Oracle(running.ledger, sent).started_twice()


def test_a_busy_key_holds_up_nobody_else_in_its_partition(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=2)
    slow, quick = keys_of(0, 2, count=2)
    admin.produce(name, [message("slow", slow, sleep_ms=3000).row])
    admin.produce(name, [message(f"{key}-{number}", key).row for number in range(50) for key in (slow, quick)])

    running = engine(name, group, ordering="key", threads=2).start()

    eventually(lambda: sum(e.key == quick for e in running.ledger.of("end")) == 50, 2.5, "the quick key is done")
    assert [entry.id for entry in running.ledger.running()] == ["slow"]
    admin.wait_committed(group, name)
