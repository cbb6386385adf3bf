"""Topics for the bench: messages of which each is a number, its task's.

Number n is in partition n % partitions, at offset n // partitions: so what the marks say of a number says it of a place."""

from __future__ import annotations

import json
import time
import uuid
from typing import Dict, Iterable, Iterator, NamedTuple, Tuple, Union

from confluent_kafka import Producer

from tests.support.admin import Admin

VALUE_BYTES = 177
KEYS = 10_000
LARGEST = 2_000_000  # bytes
FLUSH_SECONDS = 120.0


class Shape(NamedTuple):
    """What is in a topic."""

    messages: int
    partitions: int = 16
    hot_every: int = 0  # every so many messages of partition 0 one has the same key; 0: none has
    value_bytes: int = VALUE_BYTES

    def key(self, number: int) -> bytes:
        """Of a message. All with the same key are in the same partition."""
        partition, place = number % self.partitions, number // self.partitions
        if self.hot_every and partition == 0 and place % self.hot_every == 0:
            return b"hot"
        return b"key-%d-%d" % (partition, place % max(1, KEYS // self.partitions))


def value(number: int, size: int = VALUE_BYTES) -> bytes:
    """Of a message: JSON of always the same length."""
    bare = json.dumps({"id": number, "kind": "bench", "ok": True, "text": ""})
    return f'{bare[:-2]}{"x" * (size - len(bare))}"}}'.encode()


def numbered(shape: Shape) -> Iterator[Tuple[int, bytes, bytes]]:
    """Partition, key and value of each message."""
    for number in range(shape.messages):
        yield number % shape.partitions, shape.key(number), value(number, shape.value_bytes)


class Topics:
    """Those of one broker, each made once."""

    def __init__(self, bootstrap: str) -> None:
        self.admin = Admin(bootstrap)
        self._bootstrap = bootstrap
        self._filled: Dict[Shape, str] = {}
        self._streamers: Dict[int, Producer] = {}  # by `linger.ms`; kept, as a new one has to learn where to send to

    def filled(self, shape: Shape) -> str:
        """A topic with all of this, made when it is asked for the first time."""
        if shape not in self._filled:
            self._filled[shape] = self.empty(shape.partitions)
            producer = self._producer({"linger.ms": 50, "enable.idempotence": True})  # numbers tell places: nothing twice
            for number, (partition, key, content) in enumerate(numbered(shape)):
                producer.produce(self._filled[shape], content, key, partition)
                if number % 10_000 == 0:
                    producer.poll(0)
            if producer.flush(FLUSH_SECONDS):
                raise RuntimeError(f"the broker did not take {shape.messages} messages within {FLUSH_SECONDS:g} s")
        return self._filled[shape]

    def empty(self, partitions: int) -> str:
        """A new one with nothing in it."""
        return self.admin.create_topic(f"bench-{uuid.uuid4().hex[:8]}", partitions, {"max.message.bytes": str(LARGEST)})

    def stream(self, topic: str, shape: Shape, rate: float, numbers: Iterable[int], linger_ms: int = 1) -> Dict[int, int]:
        """Send these messages at this rate; when each was given to the producer (monotonic ns)."""
        if linger_ms not in self._streamers:
            self._streamers[linger_ms] = self._producer({"linger.ms": linger_ms})
        producer, sent = self._streamers[linger_ms], {}
        begin = time.monotonic()
        for place, number in enumerate(numbers):
            wait = begin + place / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            content, key = value(number), shape.key(number)
            sent[number] = time.monotonic_ns()
            producer.produce(topic, content, key, number % shape.partitions)
            producer.poll(0)
        producer.flush(FLUSH_SECONDS)
        return sent

    def _producer(self, properties: Dict[str, Union[int, bool]]) -> Producer:
        return Producer({
            "bootstrap.servers": self._bootstrap, "log_level": 0, "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 2_000_000, "message.max.bytes": LARGEST, **properties,
        })  # fmt: skip
