"""Results, for whatever the Kafka client says when it is given them."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.kafka.outgoing import outbox
from kafka_worker.kafka.outgoing.outbox import ROOM_SECONDS
from kafka_worker.kafka.outgoing.refusals import RESEND_SECONDS
from kafka_worker.outcomes.results import ResultSender
from kafka_worker.partitions.undecided import Returned
from kafka_worker.shared.foreign.answers import Send
from tests.unit.kafka.outgoing.desk import Desk, Producer

ROOM = BufferError("queue full")
TOPIC = KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC))


class Moody(Producer):
    """Says what it is told to, and then takes everything."""

    def __init__(self, moods: List[Optional[Exception]]) -> None:
        super().__init__()
        self._moods = moods

    def produce(self, topic: str, **letter: Any) -> None:
        mood = self._moods.pop() if self._moods else None
        if mood is not None:
            raise mood
        super().produce(topic, **letter)


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    moods=st.lists(st.sampled_from([None, None, ROOM, TOPIC]), max_size=15),
    waits=st.lists(st.sampled_from([0.0, ROOM_SECONDS, RESEND_SECONDS]), max_size=8),
)
def test_each_list_is_stored_once_and_in_its_order(
    sizes: List[int], moods: List[Optional[Exception]], waits: List[float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(patch)
        desk.producers.append(Moody(moods))
        patch.setattr(outbox, "Producer", lambda *_, **__: desk.producers[0])
        done: List[int] = []
        results = ResultSender(
            desk.outbox, lambda task: done.append(task[0]), lambda _: pytest.fail("nothing is wrong with any")
        )
        for offset, size in enumerate(sizes):
            sends = [Send("t", [offset, number]) for number in range(size)]
            results.send(Returned([desk.task(offset)], sends), desk.now)
        for wait in [*waits, *[RESEND_SECONDS] * (len(moods) + 2)]:
            desk.now += wait
            desk.outbox.serve()
            desk.answer()

    stored: Dict[str, List[bytes]] = {}
    for letter in desk.letters:
        stored.setdefault(letter["value"][:3].decode(), []).append(letter["value"])
    wanted = [[b"[%d,%d]" % (offset, number) for number in range(size)] for offset, size in enumerate(sizes)]
    assert sorted(stored.values()) == wanted
    assert sorted(done) == list(range(len(sizes)))
    assert (desk.outbox.in_transit, desk.outbox.unstored["result", "topic"], desk.partition.flow.held) == (0, 0, "")
