"""Our member of the group, on a client that does what a script says."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka import consumer
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.system.deadline import Deadline
from tests.unit.fakes import TOPIC, Message

OURS = (TOPIC, 0)


class Client:
    """In the place of the Kafka client: `in_consume` and `in_poll` are what happens inside of these."""

    def __init__(self, properties: Dict[str, Any]) -> None:
        self.callbacks = dict(properties)
        self.queue: List[Any] = []
        self.in_consume: Callable[[], Any] = list
        self.assigned = True
        self.moments = 0
        self.refusals = 0  # how often it will not be sought in
        self.sought: List[Tuple[str, int, int]] = []
        self.stored: List[ClientPartition] = []  # what the broker tells of what is committed
        self.begun: List[Tuple[int, int]] = []  # number and offset of those that it was told to begin with

    def subscribe(self, _topics: List[str], **callbacks: Any) -> None:
        self.callbacks.update(callbacks)

    def unsubscribe(self) -> None:
        """The revocation comes with a later poll."""

    def assignment(self) -> List[int]:
        return [1] if self.assigned else []

    def memberid(self) -> Optional[str]:
        """It is gone some moments after what was assigned."""
        self.moments -= not self.assigned
        return "an id" if self.moments > 0 else None

    def poll(self, _timeout: float) -> Any:
        if self.queue:
            return self.queue.pop(0)
        self.assigned = False
        self.callbacks["on_revoke"](self, [ClientPartition(*OURS)])
        return None

    def list_topics(self, **_what: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def consume(self, _most: int, _timeout: float) -> List[Any]:
        self.in_consume()
        return []

    def resume(self, _places: List[ClientPartition]) -> None:
        """Nothing is paused."""

    def seek(self, place: ClientPartition) -> None:
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.sought.append((place.topic, place.partition, place.offset))

    def committed(self, _places: List[ClientPartition], timeout: float) -> List[ClientPartition]:
        assert timeout > 0
        return self.stored

    def assign(self, places: List[ClientPartition]) -> None:
        self.begun += [(place.partition, place.offset) for place in places]

    def position(self, places: List[ClientPartition]) -> List[ClientPartition]:
        return [ClientPartition(place.topic, place.partition, 1) for place in places]


class Witness(RebalanceListener):
    """Asks for the positions when partitions are revoked, as the loop does to commit."""

    def __init__(self) -> None:
        self.positions: Optional[Dict[TopicPartition, int]] = None
        self.ends: List[int] = []
        self.unreadable: List[Any] = []
        self.group: GroupConsumer

    def on_assigned(self, names: List[TopicPartition]) -> None:
        self.group.committed(names, 1.0)

    def on_revoked(self, names: List[TopicPartition]) -> None:
        self.positions = self.group.positions(names)

    def on_lost(self, names: List[TopicPartition]) -> None:
        raise LookupError("a fault")

    def on_unreadable(self, name: TopicPartition, offset: int, error: str, said: str) -> None:
        self.unreadable.append((name, offset, error))

    def on_end(self, name: TopicPartition, offset: int) -> None:
        self.ends.append(offset)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client({})
    monkeypatch.setattr(consumer, "create_consumer", lambda properties: made.callbacks.update(properties) or made)
    return made


@pytest.fixture
def witness(client: Client) -> Witness:
    owner = Witness()
    owner.group = GroupConsumer({}, [TOPIC], owner)
    return owner


@pytest.mark.parametrize(
    ("reset", "offset", "if_gone"),
    [("earliest", OFFSET_BEGINNING, "earliest"), ("latest", OFFSET_END, "earliest"), ("error", OFFSET_INVALID, "error")],
)
def test_what_is_assigned_begins_where_the_broker_told_or_at_once_where_auto_offset_reset_says(
    client: Client, reset: str, offset: int, if_gone: str
) -> None:
    """And where what was told is gone, nothing that is there is skipped."""
    owner = Witness()
    owner.group = GroupConsumer({"auto.offset.reset": reset}, [TOPIC], owner)
    client.stored = [ClientPartition(TOPIC, 0, 17), ClientPartition(TOPIC, 1)]

    client.callbacks["on_assign"](client, [ClientPartition(TOPIC, number) for number in range(3)])

    assert client.begun == [(0, 17), (1, offset), (2, OFFSET_INVALID)]
    assert client.callbacks["auto.offset.reset"] == if_gone


def test_where_the_broker_tells_nothing_the_client_begins_by_itself(client: Client, witness: Witness) -> None:
    client.callbacks["on_assign"](client, [ClientPartition(*OURS)])

    assert witness.group.joined
    assert client.begun == []


def test_messages_that_the_client_had_before_its_brokers_went_are_no_word_of_a_broker(
    client: Client, witness: Witness
) -> None:
    client.callbacks["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN))
    client.queue = [Message(0)]

    delivered = witness.group.fetch(5, 0.1)

    assert len(delivered) == 1
    assert witness.group.away


@pytest.mark.parametrize("over", ["stored", "revoked"])
def test_that_no_commit_is_stored_is_told_within_seconds_and_until_one_is_or_others_commit(client: Client, over: str) -> None:
    now, owner = [0.0], Witness()
    owner.group = GroupConsumer({}, [TOPIC], owner, lambda: now[0])
    refused, told = KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE), []
    for _ in range(3):
        client.callbacks["on_commit"](refused, [ClientPartition(TOPIC, 0, 7)])
        told.append(owner.group.brokers.trouble)
        now[0] += 2.0

    if over == "stored":
        client.callbacks["on_commit"](None, [ClientPartition(TOPIC, 0, 7)])
    else:
        client.callbacks["on_revoke"](client, [ClientPartition(*OURS)])

    told.append(owner.group.brokers.trouble)
    assert [text.partition(".")[0] for text in told] == ["", "", "no commit is stored: Broker: Coordinator not available", ""]


def test_why_the_group_does_not_take_us_is_told_until_it_does(client: Client, witness: Witness) -> None:
    """The client says so once. What else it says is none of that."""
    for text in ("JoinGroup failed: Broker: Inconsistent group protocol", "something else"):
        client.callbacks["error_cb"](KafkaError(KafkaError.INCONSISTENT_GROUP_PROTOCOL, text))
    told = witness.group.brokers.trouble
    client.callbacks["on_assign"](client, [])

    assert told.startswith("the group does not take us: JoinGroup failed: ")
    assert "partition.assignment.strategy" in told
    assert witness.group.brokers.trouble == ""


def test_positions_are_known_between_two_fetches(client: Client, witness: Witness) -> None:
    client.queue = [Message(0)]

    witness.group.fetch(5, 0.1)

    assert witness.group.positions([OURS]) == {OURS: 1}


def test_a_revocation_in_the_middle_of_a_fetch_knows_no_position_past_the_message_in_hand(
    client: Client, witness: Witness
) -> None:
    client.queue = [Message(0)]
    client.in_consume = lambda: client.callbacks["on_revoke"](client, [ClientPartition(*OURS)])

    messages = witness.group.fetch(5, 0.1)

    assert len(messages) == 1
    assert witness.positions == {}


def test_leaving_knows_no_position_past_messages_that_it_drops(client: Client, witness: Witness) -> None:
    client.queue = [Message(0)]
    witness.group.joined = True

    witness.group.leave(Deadline(5))

    assert witness.positions == {}


@pytest.mark.parametrize("patience", [5.0, 0.0])
def test_a_static_member_has_left_when_its_word_is_out_and_not_when_its_partitions_are_gone(
    client: Client, patience: float
) -> None:
    """A client that is closed between the two keeps the seat."""
    group = GroupConsumer({"group.instance.id": "here-0"}, [TOPIC], RebalanceListener())
    group.joined, client.moments = True, 3

    has_left = group.leave(Deadline(patience))

    assert (has_left, client.moments > 0) == (bool(patience), not patience)


def test_a_member_has_not_left_where_no_coordinator_hears_its_word(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client lets go of it, and says nothing; that broker is away, and others answer."""

    def nobody(_places: List[ClientPartition], timeout: float) -> List[ClientPartition]:
        raise KafkaException(KafkaError(KafkaError._WAIT_COORD, f"within {timeout} s"))

    monkeypatch.setattr(client, "committed", nobody)
    group = GroupConsumer({"group.instance.id": "here-0"}, [TOPIC], RebalanceListener())
    group.joined, client.moments = True, 3

    has_left = group.leave(Deadline(5.0))

    assert (has_left, client.moments) == (False, 0), "its word goes out all the same"


def test_a_static_member_that_has_not_joined_has_no_word_to_leave_by(client: Client) -> None:
    group = GroupConsumer({"group.instance.id": "here-0"}, [TOPIC], RebalanceListener())
    client.assigned = False

    assert not group.leave(Deadline(0.0))


def test_a_fault_in_a_client_callback_loses_no_batch_and_ends_the_child_as_a_fault(client: Client, witness: Witness) -> None:
    client.queue = [Message(0)]
    client.in_consume = lambda: client.callbacks["on_lost"](client, [ClientPartition(*OURS)])

    messages = witness.group.fetch(5, 0.1)

    assert len(messages) == 1
    assert witness.group.ending is ExitCode.FAULT


def test_the_end_of_a_partition_is_told_and_is_no_message(client: Client, witness: Witness) -> None:
    event = Message(7)
    event.error = lambda: KafkaError(KafkaError._PARTITION_EOF)  # type: ignore[assignment]
    client.queue = [event]

    assert witness.group.fetch(5, 0.1) == []
    assert witness.ends == [7]


def test_what_comes_of_a_partition_before_it_has_begun_anew_is_dropped_and_tells_no_position_and_no_end(
    client: Client, witness: Witness
) -> None:
    """The client refuses to begin anew as long as it has not begun to fetch."""
    end = Message(20)
    end.error = lambda: KafkaError(KafkaError._PARTITION_EOF)  # type: ignore[assignment]
    client.queue = [Message(20), end, Message(0)]
    client.refusals = 2

    witness.group.rewind(OURS)
    before = [witness.group.fetch(1, 0.1), witness.group.fetch(1, 0.1)]
    positions = witness.group.positions([OURS])
    after = witness.group.fetch(1, 0.1)

    assert (before, witness.ends, positions) == ([[], []], [], {})
    assert [message.offset() for message in after] == [0]
    assert client.sought == [(*OURS, OFFSET_BEGINNING)]
    assert witness.group.positions([OURS]) == {OURS: 1}


def test_of_a_topic_that_is_said_to_be_made_anew_in_the_midst_of_a_fetch_nothing_is_given_away_that_came_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "create_consumer", Client)
    owner = Witness()
    group = GroupConsumer({}, [TOPIC], owner)
    client: Any = group._consumer
    client_log = client.callbacks["logger"]
    owner.on_made_anew = lambda topic, topic_id: group.rewind(OURS)  # type: ignore[method-assign]

    def says(topic_id: str) -> None:
        client_log.log(10, "%s [%s] %s", "METADATA", "client", f"[thrd:main]: Topic {TOPIC} changed id from A to {topic_id}")

    says("one")
    client.in_consume = lambda: says("another")
    client.queue = [Message(20)]

    assert group.fetch(5, 0.1) == []
    client.queue = [Message(0)]
    assert [message.offset() for message in group.fetch(1, 0.1)] == [0]
    assert client.sought == [(*OURS, OFFSET_BEGINNING)]


def test_a_partition_that_went_away_is_not_begun_anew(client: Client, witness: Witness) -> None:
    client.refusals = 1
    witness.group.rewind(OURS)
    witness.group.fetch(1, 0.1)  # it is revoked
    client.queue = [Message(20)]

    assert len(witness.group.fetch(1, 0.1)) == 1
    assert client.sought == []


@pytest.mark.parametrize(
    ("code", "place", "told"),
    [
        (KafkaError._BAD_COMPRESSION, OURS, [(OURS, 7, "_BAD_COMPRESSION")]),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, OURS, [(OURS, 7, "TOPIC_AUTHORIZATION_FAILED")]),
        (KafkaError.UNKNOWN, OURS, [(OURS, 7, "UNKNOWN")]),  # whatever else a fetch of it may be answered with
        (KafkaError.UNKNOWN, (TOPIC, -1), []),  # of the whole topic
        (KafkaError.GROUP_AUTHORIZATION_FAILED, (None, 0), []),  # of no topic: so the client says it of the group
        (KafkaError._ALL_BROKERS_DOWN, OURS, []),
    ],
)
def test_an_error_of_one_partition_is_told_with_its_place(
    client: Client, witness: Witness, code: int, place: Any, told: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = Message(7, partition=place[1])
    monkeypatch.setattr(event, "error", lambda: KafkaError(code))
    monkeypatch.setattr(event, "topic", lambda: place[0])
    client.queue = [Message(6), event]

    witness.group.fetch(1, 0.1)
    witness.group.fetch(1, 0.1)

    assert witness.unreadable == told
    assert witness.group.ending is None


def test_a_partition_is_read_on_from_where_it_is_told_to(client: Client, witness: Witness) -> None:
    witness.group.rewind(OURS, 7)
    client.queue = [Message(7)]

    assert len(witness.group.fetch(1, 0.1)) == 1
    assert client.sought == [(*OURS, 7)]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_given_back_is_read_again_when_it_is_resumed_from_the_lowest_offset_on(
    client: Client, witness: Witness, at_once: bool
) -> None:
    """Also of those from which it was to be read at once, when the client had not begun to."""
    witness.group.rewind(OURS, 7, when_resumed=not at_once)
    witness.group.rewind(OURS, 12, when_resumed=True)
    client.queue = [Message(13), Message(7)]
    before = (witness.group.fetch(1, 0.1), client.sought)
    witness.group.resume([OURS])

    assert before == ([], [])
    assert len(witness.group.fetch(1, 0.1)) == 1
    assert client.sought == [(*OURS, 7)]


def test_what_is_given_back_is_read_again_also_where_a_place_behind_it_is_tried_again_before_that(
    client: Client, witness: Witness
) -> None:
    """A partition that can't be read on, of which something is in hand: it fills the memory of others."""
    witness.group.rewind(OURS, 7, when_resumed=True)
    witness.group.rewind(OURS, 12)
    witness.group.fetch(1, 0.1)

    assert client.sought == [(*OURS, 7)]


def test_since_when_a_rebalance_waits_for_others_is_known_from_the_clients_statistics(
    client: Client, witness: Witness
) -> None:
    now = [100.0]
    witness.group._clock = lambda: now[0]
    seen = []
    for state in ("steady", "wait-join", "wait-sync", "steady", "wait-join"):
        witness.group._on_statistics('{ "topics": { "cgrp": {} }, "cgrp": { "state": "up", "join_state": "' + state + '", "r')
        seen.append(witness.group.unsettled_at)
        now[0] += 5.0
    client.callbacks["on_assign"](client, [ClientPartition(*OURS)])  # who was cut off for long has waited for no member

    assert [*seen, witness.group.unsettled_at] == [None, 105.0, 105.0, None, 120.0, None]
