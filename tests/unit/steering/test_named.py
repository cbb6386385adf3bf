"""What is parked before it is delivered never starts, and nobody waits for it."""

from __future__ import annotations

import pytest

from kafka_worker.kafka.outgoing import outbox
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.orders import Order
from tests.unit.fakes import TOPIC, Message
from tests.unit.kafka.outgoing.desk import QuickProducer
from tests.unit.loops import Bench, stop, until

ORDER = Order(Place(TOPIC, 0, 1), "it kills", "ops@host", 0.0)


@pytest.mark.parametrize("topics", [{}, {"topics": ("first",), "retry_topics": ("30s",)}], ids=["its topic", "a retry topic"])
def test_it_becomes_a_letter_as_it_comes_and_its_key_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    topics: dict,  # type: ignore[type-arg]
) -> None:
    producer, bench = QuickProducer(), Bench(monkeypatch)
    monkeypatch.setattr(outbox, "Producer", lambda *_, **__: producer)
    if topics:
        monkeypatch.setattr(Message, "topic", lambda _: "first.retry.30s")
    order = ORDER if not topics else ORDER._replace(place=Place("first.retry.30s", 0, 1))
    name = ("first.retry.30s" if topics else TOPIC, 0)
    bench.play(
        lambda group: bench.loop.order((order,)) or group.listener.on_assigned([name]) or [],  # type: ignore[func-returns-value]
        lambda _: [Message(offset, b"key") for offset in (0, 1, 2)],
        until(lambda: bench.done == {0, 2} and producer.letters),
        until(lambda: bench.loop.report.parked),
        stop(),
        **topics,
    )

    (letter,) = producer.letters
    assert letter["topic"] == ("first.dlq" if topics else f"{TOPIC}.dlq")
    assert sorted(bench.calls) == [0, 2]
    assert bench.committed == 3
    assert [(each.offset, each.outcome) for each in bench.loop.report.parked] == [(1, "parked")]
