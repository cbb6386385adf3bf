"""Where partitions end, asked of the broker apart from the consumer. What that one knows is as of its last fetch: a partition
that can't be fetched, or that nobody leads, looks like one that is read to its end. Consumer thread only."""

from __future__ import annotations

from concurrent import futures
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Tuple

from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

ANSWER_SECONDS = 5.0
AGAIN_SECONDS = 5.0  # between two questions
LEVELS = (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)


class End(NamedTuple):
    """Of one partition."""

    stable: int  # where the first open transaction begins, or else the same
    latest: int
    problem: str  # why it is not known; empty: it is


class Ends:
    """Asks one question at a time, by the client that `client()` gives, if it gives one."""

    def __init__(self, client: Callable[[], Optional[AdminClient]]) -> None:
        """Nothing is asked yet."""
        self._client = client
        self._asked: Dict[Tuple[str, int], Tuple[futures.Future[Any], ...]] = {}
        self._next = 0.0
        self._known: Dict[Tuple[str, int], End] = {}

    def of(self, names: Iterable[Tuple[str, int]], now: float) -> Dict[Tuple[str, int], End]:
        """What was told last of those that were asked about; soon it is told of these."""
        waiting = [future for pair in self._asked.values() for future in pair]
        if self._asked and not futures.wait(waiting, 0).not_done:
            self._known = {name: _end(*pair) for name, pair in self._asked.items()}
            self._asked, self._next = {}, now + AGAIN_SECONDS
        if not self._asked and now >= self._next:
            self._ask(list(names))
        return self._known

    def _ask(self, names: Iterable[Tuple[str, int]]) -> None:
        client = self._client() if names else None
        if client is None:
            self._known = {}
            return
        places = {ClientPartition(*name): OffsetSpec.latest() for name in names}  # type: ignore[no-untyped-call]
        asked = [client.list_offsets(places, isolation_level=level, request_timeout=ANSWER_SECONDS) for level in LEVELS]
        self._asked = {(p.topic, p.partition): (stable, asked[1][p]) for p, stable in asked[0].items()}


def _end(stable: futures.Future[Any], latest: futures.Future[Any]) -> End:
    try:
        return End(stable.result().offset, latest.result().offset, "")
    except KafkaException as problem:
        return End(-1, -1, str(problem.args[0].str()))
