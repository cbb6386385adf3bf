"""Who sits down between two processes of a seat, where brokers give no seat to a second one (KIP-848). On clients that do what
they are told; tests of processes on Kafka 4 have the brokers' side."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import pytest
from confluent_kafka import KafkaError

from kafka_worker.kafka import consumer
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.groups import new_protocol
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system.deadline import Deadline
from tests.unit.fakes import TOPIC

OURS = {"group.protocol": "consumer", "group.instance.id": "host-0", "group.id": "g"}
REFUSED = KafkaError(KafkaError.UNRELEASED_INSTANCE_ID)


class Client:
    """One of those that are made one after the other; each word of what it is told is in a common account."""

    def __init__(self, properties: Dict[str, Any], account: List[str]) -> None:
        self._kind = properties.get("group.protocol", "classic")
        self._account = account
        self.properties = properties
        self.next: Optional[str] = "assign"  # what its next poll brings
        self._note("joins")

    def _note(self, word: str) -> None:
        self._account.append(f"{self._kind} {word}")

    def subscribe(self, _topics: List[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def poll(self, _timeout: float) -> None:
        what, self.next = self.next, None
        if what == "assign":
            self.callbacks["on_assign"](self, [])
        elif what == "refuse":
            self.properties["error_cb"](REFUSED)

    def resume(self, _places: List[Any]) -> None:
        """Nothing is paused."""

    def committed(self, _places: List[Any], **_more: Any) -> List[Any]:
        return []

    def assignment(self) -> List[Any]:
        return []

    def memberid(self) -> Optional[str]:
        return None if f"{self._kind} leaves" in self._account else "an id"

    def unsubscribe(self) -> None:
        self._note("leaves")

    def close(self) -> None:
        self._note("closes")


class Clients:
    """All that were made."""

    def __init__(self) -> None:
        self.made: List[Client] = []
        self.account: List[str] = []
        self.in_between: Optional[str] = "assign"  # what the first poll of who sits in between brings
        self.group: GroupConsumer

    def __call__(self, properties: Dict[str, Any]) -> Client:
        self.made.append(Client(properties, self.account))
        if "group.protocol" not in properties:
            self.made[-1].next = self.in_between
        return self.made[-1]

    def fetch(self, times: int) -> None:
        for _ in range(times):
            assert self.group.fetch(5, 0.0) == []


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    found = Clients()
    for module in (consumer, new_protocol):
        monkeypatch.setattr(module, "create_consumer", found)
    found.group = new_protocol.create_member(OURS, [TOPIC], RebalanceListener(), lambda: 0.0)
    return found


def test_a_seat_that_is_free_is_taken_without_more_ado(clients: Clients) -> None:
    clients.fetch(3)

    assert clients.account == ["consumer joins"]
    assert clients.group.joined


def test_a_seat_that_a_former_process_has_left_no_word_in_is_taken_by_way_of_one_in_between(clients: Clients) -> None:
    clients.made[0].next = "refuse"

    clients.fetch(3)

    assert clients.account == [
        "consumer joins", "consumer closes", "classic joins", "classic closes", "consumer joins",
    ]  # fmt: skip
    assert clients.made[1].properties["group.instance.id"] == "host-0"
    assert (clients.group.joined, clients.group.ending) == (True, None)


@pytest.mark.parametrize("presumed", [False, True], ids=["told", "presumed before"])
def test_who_had_the_seat_and_is_refused_has_a_twin_and_takes_nothing(clients: Clients, *, presumed: bool) -> None:
    if presumed:
        clients.group._on_statistics(statistics(1, 1))
    clients.fetch(1)
    clients.made[0].next = "refuse"

    clients.fetch(3)

    assert clients.account == ["consumer joins"]
    assert clients.group.ending is ExitCode.FENCED


def test_who_is_only_presumed_to_have_the_seat_and_is_refused_takes_it_from_the_former_process(clients: Clients) -> None:
    """A broker that was away answers that it is not ready yet: an answer like another, where they are counted."""
    clients.group._on_statistics(statistics(1, 1))
    clients.made[0].next = "refuse"

    clients.fetch(3)

    assert clients.account == [
        "consumer joins", "consumer closes", "classic joins", "classic closes", "consumer joins",
    ]  # fmt: skip
    assert (clients.group.joined, clients.group.ending) == (True, None)


def test_who_can_not_be_sat_for_gives_way(clients: Clients) -> None:
    now = [0.0]
    clients.group._clock = lambda: now[0]
    clients.made[0].next, clients.in_between = "refuse", None
    clients.fetch(2)
    now[0] = new_protocol.SIT_SECONDS + 1

    clients.fetch(1)

    assert clients.group.ending is ExitCode.FENCED
    assert clients.account == ["consumer joins", "consumer closes", "classic joins"]


def test_a_seat_is_given_up_by_way_of_one_in_between_because_our_own_word_would_keep_it(clients: Clients) -> None:
    clients.fetch(1)

    clients.group.leave(Deadline(5))
    clients.group.close()

    assert clients.account == ["consumer joins", "consumer closes", "classic joins", "classic leaves", "classic closes"]


def statistics(asked: int, answered: int, state: str = "up") -> str:
    """The client's, in which questions for a place are counted, and not named."""
    coordinator = {"tx": 3 + asked, "rx": 3 + answered, "req": {"Metadata": 2, "ApiVersion": 1}}
    return json.dumps({"brokers": {"GroupCoordinator": coordinator}, "cgrp": {"state": state, "join_state": "init"}})


def test_a_member_without_partitions_is_known_to_have_its_place(clients: Clients) -> None:
    clients.group._on_statistics(statistics(0, 0, "wait-coord"))
    clients.group._on_statistics(statistics(1, 0))
    assert not clients.group.joined
    clients.group._on_statistics(statistics(1, 1))

    assert (clients.group.joined, clients.group.ending, clients.group.unsettled_at) == (True, None, None)


def test_brokers_that_do_not_know_the_protocol_are_told_from_slow_ones_by_what_they_were_never_asked(clients: Clients) -> None:
    now = [0.0]
    clients.group._clock = lambda: now[0]
    for asked, state in ((0, "up"), (0, "wait-coord"), (0, "up"), (1, "up"), (0, "up")):
        clients.group._on_statistics(statistics(asked, 0, state))
        now[0] += new_protocol.ASK_SECONDS
    assert clients.group.ending is None
    clients.group._on_statistics(statistics(0, 0))

    assert clients.group.ending is ExitCode.CONFIGURATION


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (KafkaError.UNSUPPORTED_ASSIGNOR, ExitCode.CONFIGURATION),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, ExitCode.NOT_AUTHORISED),
        (KafkaError.FENCED_INSTANCE_ID, ExitCode.FENCED),
        (KafkaError.GROUP_MAX_SIZE_REACHED, ExitCode.GAVE_UP),
    ],
)
def test_by_what_ends_the_client_is_read_from_its_words(clients: Clients, code: int, ending: ExitCode) -> None:
    said = KafkaError(KafkaError._FATAL, f"Fatal error: {KafkaError(code).str()}: ConsumerGroupHeartbeat fatal error")

    clients.group._on_error(said)

    assert clients.group.ending is ending


@pytest.mark.parametrize("changes", [{"group.protocol": "classic"}, {"group.instance.id": None}])
def test_others_leave_by_their_own_word(clients: Clients, changes: Dict[str, Any]) -> None:
    properties = {name: value for name, value in {**OURS, **changes}.items() if value}
    group = new_protocol.create_member(properties, [TOPIC], RebalanceListener(), lambda: 0.0)
    del clients.account[:]

    group.leave(Deadline(5))

    assert [word.split()[1] for word in clients.account] == ["leaves"]
