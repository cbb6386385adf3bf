"""Where partitions begin and end, asked of the broker beside the consumer. What the consumer knows is as of its last fetch:
a partition that can't be fetched, or that nobody leads, looks like one that is read to its end, and of a paused one nothing
more is learnt. Consumer thread only.
"""

from __future__ import annotations

import math
import time
from concurrent import futures
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka import second_client
from kafka_worker.kafka.second_client import ANSWER_SECONDS
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.system.deadline import Deadline

AGAIN_SECONDS = 5.0  # between two questions
SELDOM_SECONDS = 15.0  # between two about what is not urgent
LONGEST_PATIENCE = 20.0  # before clients that are told no end are replaced by others
LEVELS = ("read_committed", "read_uncommitted")


class End(NamedTuple):
    """Of one partition."""

    stable: int  # where the first open transaction begins, or else the same
    latest: int
    problem: str  # why it is not known; empty: it is
    first: int = -1  # offset that is there still; -1: not known


class Ends:
    """Asks one question at a time, by `ask`."""

    def __init__(self, ask: Callable[[List[TopicPartition]], futures.Future[Dict[TopicPartition, End]]]) -> None:
        """Nothing is asked yet."""
        self._ask = ask
        self._asked: Optional[futures.Future[Dict[TopicPartition, End]]] = None
        self._next = self._next_seldom = 0.0
        self._known: Dict[TopicPartition, End] = {}
        self._failed: Set[TopicPartition] = set()  # of which the last answer was a problem
        self.unanswered = False  # whether that was so of all: it may be that no broker answers anybody

    def of(
        self, names: Iterable[TopicPartition], now: float, seldom: Iterable[TopicPartition] = ()
    ) -> Dict[TopicPartition, End]:
        """What was last told of those asked about. Soon these are asked about, too, and the `seldom` ones sooner or later."""
        if self._asked is not None and self._asked.done():
            self._hear(self._asked.result())
            self._asked, self._next = None, now + AGAIN_SECONDS
        if self._asked is None and now >= self._next:
            others = list(seldom) if now >= self._next_seldom else []
            if others:
                self._next_seldom = now + SELDOM_SECONDS
            wanted = [*names, *others]
            if wanted:
                self._asked = self._ask(wanted)
            else:
                self._known, self._failed, self.unanswered = {}, set(), False
        return self._known

    def _hear(self, told: Dict[TopicPartition, End]) -> None:
        """A problem counts when it is told a second time, by other clients: the first may be due to a broker that has just
        come back, or to leaders just being elected. Until then what was known stands."""
        failed = {name for name, end in told.items() if end.problem}
        doubted = failed - self._failed
        known = {name: end for name, end in self._known.items() if name in doubted}
        self._known = {**known, **{name: end for name, end in told.items() if name not in doubted}}
        self._failed, self.unanswered = failed, failed == told.keys()


NO_THREAD = "no thread can be started to ask for it"


class Asker:
    """Asks by two clients of its own, which belong to no group, in a thread that lives as long as its question: the client's
    answers are waited for. Not by an AdminClient, whose list_offsets has ended the process by a failed assertion in librdkafka
    2.16 (`rd_kafka_admin_response_parse`) when a broker came back that had been frozen."""

    def __init__(self, properties: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        """`properties` are the consumer's. Nothing touches the network before the first question."""
        self._clock = clock
        self._properties = second_client.its_properties(properties)
        self._clients: List[Consumer] = []
        self._patience, self._anew_at = 0.0, -math.inf  # seconds for which others are kept that are told no end; monotonic

    def __call__(self, names: List[TopicPartition]) -> futures.Future[Dict[TopicPartition, End]]:
        """The ends of these, each with an end or with a problem."""
        return second_client.ask("ends", lambda: self._all(names), dict.fromkeys(names, End(-1, -1, NO_THREAD)))

    def _all(self, names: List[TopicPartition]) -> Dict[TopicPartition, End]:
        deadline = Deadline(ANSWER_SECONDS)
        try:
            self._clients = self._clients or [Consumer({**self._properties, "isolation.level": each}) for each in LEVELS]
            found = {name: self._end(name, deadline) for name in names}
        except (KafkaException, RuntimeError, ValueError) as problem:
            found = dict.fromkeys(names, End(-1, -1, str(problem)))
        if not any(end.problem for end in found.values()):
            self._patience = 0.0
        elif self._clock() >= self._anew_at:
            # What they know may date from before a broker was away, and stay so: others ask the next time. Meanwhile each pair
            # is kept for longer: it has connections of its own.
            self._clients = []
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience + AGAIN_SECONDS)
            self._anew_at = self._clock() + self._patience
        return found

    def _end(self, name: TopicPartition, deadline: Deadline) -> End:
        try:
            (_, stable), (first, latest) = (self._bounds(client, name, deadline) for client in self._clients)
        except KafkaException as problem:
            return End(-1, -1, str(problem.args[0].str()))
        return End(stable, latest, "", first)

    @staticmethod
    def _bounds(client: Consumer, name: TopicPartition, deadline: Deadline) -> Tuple[int, int]:
        low, high = client.get_watermark_offsets(ClientPartition(*name), timeout=max(0.05, deadline.remaining()))
        return int(low), int(high)
