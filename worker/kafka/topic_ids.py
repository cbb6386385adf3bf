"""Which topic a name stands for: the ids of the cluster and of the topic, which nothing that is made anew ever has again. Old
brokers don't tell them, and where the rights are missing nobody does: then nothing is known. Consumer thread only.

The client of a consumer does not tell a topic's id, hence a second one. It costs four threads, half a megabyte and a
connection, and a question 2 ms (measured); it needs no more rights than a consumer.
"""

from __future__ import annotations

import hashlib
import logging
import time
from concurrent import futures
from typing import Any, Dict, Iterable, Mapping, Optional

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from kafka_worker.partitions.stored import ID_LENGTH, Home
from kafka_worker.shared import logs
from kafka_worker.shared.logs import Seldom

log = logs.logger(__name__)

ANSWER_SECONDS = 5.0
COMPLAINT_SECONDS = 600.0
_QUIET = {"log_level": 0}  # it has no trouble but that of the consumer, which tells it
_LOUD = ("debug", "statistics.interval.ms")
_OF_MEMBERS = ("group.instance.id",)
_NO_ID = "A" * 22  # what a broker says that has none


def quiet(properties: Mapping[str, Any]) -> Dict[str, Any]:
    """The consumer's properties, for a client beside it."""
    return {**{name: properties[name] for name in properties if name not in (*_LOUD, *_OF_MEMBERS)}, **_QUIET}


class TopicIds:
    """Asks one question at a time."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """`properties` are the consumer's. Nothing touches the network before the first question."""
        self._properties = quiet(properties)
        self._complaint = Seldom(log, time.monotonic, COMPLAINT_SECONDS)
        self._client: Optional[AdminClient] = None
        self._asked: Dict[str, futures.Future[Any]] = {}
        self._cluster: futures.Future[Any]

    def ask(self, topics: Iterable[str]) -> None:
        """About these. What was asked before is asked no more."""
        self._asked = {}
        names = sorted(set(topics))
        client = self._made() if names else None
        if client is not None:
            self._cluster = client.describe_cluster(request_timeout=ANSWER_SECONDS)
            self._asked = client.describe_topics(TopicCollection(names), request_timeout=ANSWER_SECONDS)

    def _made(self) -> Optional[AdminClient]:
        if self._client is None:
            try:
                self._client = AdminClient(self._properties)
            except KafkaException as problem:  # a property that a consumer takes, and it does not
                self._complaint.log(logging.WARNING, "What topics are can't be asked, so it is not known: %s", problem)
        return self._client

    def answer(self, patience: float = 0.0) -> Optional[Dict[str, Home]]:
        """What each topic that was asked about is; None: nothing was asked, or there is no answer yet. Tells it once."""
        if not self._asked or futures.wait([self._cluster, *self._asked.values()], patience).not_done:
            return None
        cluster = _told(self._cluster, "cluster_id")
        homes = {topic: Home(cluster, _told(future, "topic_id")) for topic, future in self._asked.items()}
        self._asked = {}
        return homes


def _told(future: futures.Future[Any], name: str) -> str:
    """A short form of an id in the answer; empty: it is not known."""
    try:
        text = str(getattr(future.result(), name) or "")
    except KafkaException:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH] if text not in ("", _NO_ID) else ""
