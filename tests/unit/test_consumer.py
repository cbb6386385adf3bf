"""Our member of the group, on a client that does what a script says."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import pytest
from confluent_kafka import KafkaError, TopicPartition

from service.deadline import Deadline
from service.exit_codes import ExitCode
from tests.unit.fakes import TOPIC, Message
from worker import consumer
from worker.consumer import GroupConsumer, Name, Owner

OURS = (TOPIC, 0)


class Client:
    """In the place of the Kafka client: `in_consume` and `in_poll` are what happens inside of these."""

    def __init__(self, properties: Dict[str, Any]) -> None:
        self.callbacks = dict(properties)
        self.queue: List[Any] = []
        self.in_consume: Callable[[], Any] = list
        self.assigned = True

    def subscribe(self, _topics: List[str], **callbacks: Any) -> None:
        self.callbacks.update(callbacks)

    def unsubscribe(self) -> None:
        """The revocation comes with a later poll."""

    def assignment(self) -> List[int]:
        return [1] if self.assigned else []

    def poll(self, _timeout: float) -> Any:
        if self.queue:
            return self.queue.pop(0)
        self.assigned = False
        self.callbacks["on_revoke"](self, [TopicPartition(*OURS)])
        return None

    def consume(self, _most: int, _timeout: float) -> List[Any]:
        self.in_consume()
        return []

    def position(self, places: List[TopicPartition]) -> List[TopicPartition]:
        return [TopicPartition(place.topic, place.partition, 1) for place in places]


class Witness(Owner):
    """Asks for the positions when partitions are revoked, as the loop does to commit."""

    def __init__(self) -> None:
        self.positions: Optional[Dict[Name, int]] = None
        self.ends: List[int] = []
        self.group: GroupConsumer

    def on_revoked(self, names: List[Name]) -> None:
        self.positions = self.group.positions(names)

    def on_lost(self, names: List[Name]) -> None:
        raise LookupError("a fault")

    def on_end(self, name: Name, offset: int) -> None:
        self.ends.append(offset)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client({})
    monkeypatch.setattr(consumer, "create_consumer", lambda properties: made)
    return made


@pytest.fixture
def witness(client: Client) -> Witness:
    owner = Witness()
    owner.group = GroupConsumer({}, [TOPIC], owner)
    return owner


def test_positions_are_known_between_two_fetches(client: Client, witness: Witness) -> None:
    client.queue = [Message(0)]

    witness.group.fetch(5, 0.1)

    assert witness.group.positions([OURS]) == {OURS: 1}


def test_a_revocation_in_the_middle_of_a_fetch_knows_no_position_past_the_message_in_hand(
    client: Client, witness: Witness
) -> None:
    client.queue = [Message(0)]
    client.in_consume = lambda: client.callbacks["on_revoke"](client, [TopicPartition(*OURS)])

    messages = witness.group.fetch(5, 0.1)

    assert len(messages) == 1
    assert witness.positions == {}


def test_leaving_knows_no_position_past_messages_that_it_drops(client: Client, witness: Witness) -> None:
    client.queue = [Message(0)]
    witness.group.joined = True

    witness.group.leave(Deadline(5))

    assert witness.positions == {}


def test_a_fault_in_a_client_callback_loses_no_batch_and_ends_the_child_as_a_fault(client: Client, witness: Witness) -> None:
    client.queue = [Message(0)]
    client.in_consume = lambda: client.callbacks["on_lost"](client, [TopicPartition(*OURS)])

    messages = witness.group.fetch(5, 0.1)

    assert len(messages) == 1
    assert witness.group.ending is ExitCode.FAULT


def test_the_end_of_a_partition_is_told_and_is_no_message(client: Client, witness: Witness) -> None:
    event = Message(7)
    event.error = lambda: KafkaError(KafkaError._PARTITION_EOF)  # type: ignore[assignment]
    client.queue = [event]

    assert witness.group.fetch(5, 0.1) == []
    assert witness.ends == [7]
