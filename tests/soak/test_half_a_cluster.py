"""One broker of two is gone, or silent, and with it the partitions that it alone had."""

from __future__ import annotations

import functools
import json
import time
from typing import Callable, Dict, List, Set

import pytest

from kafka_worker.ops.connection import ANSWER_SECONDS, NOT_ALL
from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.messages import keys_of, message
from tests.support.service import Service

SECONDS = 60.0
PARTITIONS = 4
SOON = 15.0  # what takes 3 or 5 s, on a busy machine


class Pair(Cluster):
    """Each has topics of its own, both have the group's offsets. The first alone decides who is there."""

    def __init__(self, **more: str) -> None:
        """`more`: properties of both, with underscores for dots."""
        given = {name.replace("_", "."): value for name, value in more.items()}
        super().__init__(brokers=2, properties={"default.replication.factor": "1", "min.insync.replicas": "1", **given})

    def _configuration(self, number: int, listeners: List[str], controllers: List[str]) -> Dict[str, str]:
        common = super()._configuration(number, listeners, controllers)
        if number == 1:
            return {**common, "controller.quorum.voters": f"1@{controllers[0]}"}
        return {
            **common,
            "controller.quorum.voters": f"1@{controllers[0]}",
            "process.roles": "broker",
            "listeners": f"PLAINTEXT://{listeners[number - 1]}",
        }


def test_the_partitions_that_a_dead_broker_had_are_named_and_the_others_go_on(
    group: str, service: Callable[..., Service]
) -> None:
    with Pair() as pair:
        admin = Admin(pair.bootstrap)
        name = admin.create_topic(partitions=PARTITIONS)
        letters = admin.create_topic(name + ".dlq", partitions=1, config={"min.insync.replicas": "2"}, copies=2)
        running = service(name, group, pair.bootstrap, processes=1, env={"STALL_SECONDS": "3"}).start()
        running.wait_ready(partitions=PARTITIONS)
        assert unserved(running) == ""

        pair.node(2).kill()

        def named() -> Set[int]:
            found = unserved(running)
            lost = {number for number in range(PARTITIONS) if f"{name}[{number}]" in found}
            return lost if len(lost) == PARTITIONS / 2 and f"{letters}[0] takes nothing" in found else set()

        lost = eventually(named, SECONDS, "check names them, and that letters are not taken")
        keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS) if number not in lost]
        admin.produce(name, [message(key, key).row for key in keys])
        eventually(lambda: set(running.ledger.done()) == set(keys), SECONDS, "the others go on")
        eventually(lambda: stalled(running) == lost, SECONDS, "status names them")


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_that_too_few_replicas_are_in_sync_for_what_is_sent_or_committed_is_told_within_seconds(
    delivery: str, group: str, service: Callable[..., Service]
) -> None:
    with Pair(transaction_state_log_min_isr="1") as pair:
        admin = Admin(pair.bootstrap)
        name = admin.create_topic(partitions=1, copies=2)
        letters = admin.create_topic(name + ".dlq", partitions=1, copies=2)
        env = {"DELIVERY": delivery, "STALL_SECONDS": "60"}
        running = service(name, group, pair.bootstrap, processes=1, env=env).start().wait_ready(partitions=1)
        admin.produce(name, [message("first").row])
        admin.wait_committed(group, name)
        pair.node(2).kill()
        admin.produce(name, [message("second").row])
        eventually(lambda: running.status()["slots"][0]["child"]["partitions"][0]["committed"] >= 2, SECONDS, "one is enough")

        for shut, trouble, said in (
            (letters, "reject", "a dead letter for" if delivery == "at-least-once" else "a transaction has no end"),
            ("__consumer_offsets", "", "no commit is stored" if delivery == "at-least-once" else "transaction"),
        ):
            admin.configure(shut, "min.insync.replicas", "2")
            admin.produce(name, [message(shut, trouble=trouble).row])
            began = time.monotonic()
            eventually(functools.partial(_says, running, said), SECONDS, "status says so")
            assert time.monotonic() - began < SOON
            admin.configure(shut, "min.insync.replicas", "1")
            eventually(lambda: not running.status()["problems"], SECONDS, "it goes on")


def _says(running: Service, said: str) -> bool:
    return any(said in text for text in running.status()["problems"])


def test_a_broker_that_is_silent_is_named_and_waited_for_once(group: str, service: Callable[..., Service]) -> None:
    """Others still count it in, as with one that we alone can't reach."""
    with Pair(broker_session_timeout_ms="600000") as pair:
        name = Admin(pair.bootstrap).create_topic(partitions=PARTITIONS)
        asking = service(name, group, pair.bootstrap)
        assert unserved(asking) == ""

        pair.node(2).freeze()

        began = time.monotonic()
        found = {each["check"]: each for each in json.loads(asking.command("check", "--json").stdout)}
        seconds = time.monotonic() - began
        assert pair.node(2).address in found["brokers"]["text"]
        assert name in found["leaders"]["text"]
        assert (found["topics"]["state"], found["rights"]["state"]) == ("ok", "ok")
        assert seconds < 3 * ANSWER_SECONDS + 5  # that broker, and what it may be asked about the group
        lag = asking.command("lag")
        assert (lag.returncode, "No broker answers" in lag.stderr) == (NOT_ALL, False)


def unserved(running: Service) -> str:
    """The partitions that no broker serves, as `check` has it."""
    found = {each["check"]: each for each in json.loads(running.command("check", "--json").stdout)}
    return str(found["leaders"]["text"]) if found["leaders"]["state"] == "fail" else ""


def stalled(running: Service) -> Set[int]:
    """As `status` has it."""
    (slot,) = running.slots()
    return {each["partition"] for each in slot["child"]["partitions"] if "Has it a leader?" in each["stalled"]}
