"""What is gone before it was done: nobody can do it any more, but it is told, and nothing that is there is skipped."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Callable

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 30.0


def test_what_is_gone_before_it_was_done_is_told_and_counted_and_what_is_there_is_done_whatever_auto_offset_reset_says(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    """Gone before the start, in the midst of a pause, and all that there was."""
    before, meanwhile, whole = names = [topic(partitions=1) for _ in range(3)]
    for name in names:
        admin.produce(name, [message(f"{name}-{number}").row for number in range(20)])
        admin.move(group, name, {0: 3})
    admin.delete_records(before, {0: 8})
    admin.delete_records(whole, {0: 20})
    running = service(",".join(names), group, processes=1, env={"KAFKA_CONSUMER_AUTO_OFFSET_RESET": "latest"}).start()
    for name in names:
        admin.wait_committed(group, name)

    assert running.command("pause", meanwhile, "--reason", "a look").returncode == 0
    paused = functools.partial(_paused, running, meanwhile)
    eventually(paused, SECONDS, "it is paused")
    admin.produce(meanwhile, [message(f"{meanwhile}-{number}").row for number in range(20, 30)])
    admin.delete_records(meanwhile, {0: 25})
    assert running.command("resume", meanwhile).returncode == 0
    admin.wait_committed(group, meanwhile)

    there = [(before, range(8, 20)), (meanwhile, range(3, 20)), (meanwhile, range(25, 30))]
    assert sorted(running.ledger.done()) == sorted(f"{name}-{number}" for name, numbers in there for number in numbers)
    lost = {(before, 3, 7, 5), (whole, 3, 19, 17), (meanwhile, 20, 24, 5)}
    told = [f"{count} messages of {name}[0], at offsets {first} to {last}, were gone" for name, first, last, count in lost]
    eventually(lambda: all(text in running.command("status").stdout for text in told), SECONDS, "all that is lost is told")
    assert running.command("status").returncode == 1
    counted = [f'kafka_worker_messages_lost_total{{topic="{name}"}} {count}' for name, _first, _last, count in lost]
    eventually(lambda: all(text in running.command("metrics").stdout for text in counted), SECONDS, "and counted")
    events = [json.loads(line) for line in running.command("events", "--json").stdout.splitlines()]
    assert {
        (each["topic"], each["offset"], each["to_offset"], each["count"])
        for each in events
        if each["event"] == "messages-lost"
    } == lost


def _paused(running: Service, name: str) -> bool:
    (child,) = [slot["child"] for slot in running.slots()]
    return any(each["pause"] for each in child["partitions"] if each["topic"] == name)
