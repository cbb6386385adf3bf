"""Which topic a name stands for: the ids of the cluster and of the topic, which nothing that is made anew ever has again. Old
brokers don't tell them, and where the rights are missing nobody does: then nothing is known. Consumer thread only.

The client of a consumer does not tell a topic's id, hence a second one. It costs four threads, half a megabyte and a
connection, and a question 2 ms (measured); it needs no more rights than a consumer.

A broker that comes back, after it was frozen or cut off, tells for a moment of a cluster without brokers, and the answer to an
AdminClient's question then ends the process by a failed assertion (`rd_kafka_admin_response_parse` of librdkafka 2.16). So a
plain question goes before, and nothing is asked when that has no prompt answer, nor for a while after.
"""

from __future__ import annotations

import logging
import math
import time
from concurrent import futures
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from kafka_worker.kafka import second_client
from kafka_worker.kafka.errors import Meaning, meaning
from kafka_worker.kafka.second_client import ANSWER_SECONDS
from kafka_worker.partitions.stored import ID_LENGTH, UNKNOWN, Home
from kafka_worker.shared import logs
from kafka_worker.shared.foreign.digest import digest
from kafka_worker.shared.logs import Seldom

log = logs.logger(__name__)

PROMPT_SECONDS = 1.0
STEADY_SECONDS = 3.0  # the longest that a broker which is back tells of a cluster without brokers, and more
COMPLAINT_SECONDS = 600.0
_NO_ID = "A" * 22  # what a broker says that has none


class TopicIds:
    """Asks one question at a time."""

    def __init__(self, properties: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        """`properties` are the consumer's. Nothing touches the network before the first question."""
        self._properties = second_client.its_properties(properties)
        self._clock = clock
        self._complaint = Seldom(log, time.monotonic, COMPLAINT_SECONDS)
        self._client: Optional[AdminClient] = None
        self._asked: Optional[futures.Future[Dict[str, Home]]] = None
        self._steady_from = -math.inf  # plain questions have had prompt answers for long enough then

    def ask(self, topics: Iterable[str]) -> None:
        """About these. What was asked before is asked no more."""
        self._asked = None
        names = sorted(set(topics))
        client = self._made() if names else None
        if client is not None:
            self._asked = second_client.ask("topic ids", lambda: self._homes(client, names), dict.fromkeys(names, UNKNOWN))

    def _homes(self, client: AdminClient, names: List[str]) -> Dict[str, Home]:
        if not self._there(client):
            return dict.fromkeys(names, UNKNOWN)
        cluster = client.describe_cluster(request_timeout=ANSWER_SECONDS)
        asked = client.describe_topics(TopicCollection(names), request_timeout=ANSWER_SECONDS)
        short = _told(cluster, "cluster_id")
        return {topic: Home(short, _told(future, "topic_id")) for topic, future in asked.items() if not _is_missing(future)}

    def _there(self, client: AdminClient) -> bool:
        """Whether there are brokers, and have been for a while."""
        began = self._clock()
        try:
            brokers = client.list_topics(topic="", timeout=ANSWER_SECONDS).brokers  # no topic's name: of brokers only
        except KafkaException:
            brokers = {}
        now = self._clock()
        if not brokers or now - began >= PROMPT_SECONDS:
            self._steady_from = now + STEADY_SECONDS
        return now >= self._steady_from

    def _made(self) -> Optional[AdminClient]:
        if self._client is None:
            try:
                self._client = AdminClient(self._properties)
            except KafkaException as problem:  # a property that a consumer takes, and it does not
                self._complaint.log(logging.WARNING, "What topics are can't be asked, so it is not known: %s", problem)
        return self._client

    def answer(self, patience: float = 0.0) -> Optional[Dict[str, Home]]:
        """What each topic that was asked about is, without those that do not exist; None: nothing was asked, or there is no
        answer yet. Tells it once."""
        if self._asked is None or futures.wait([self._asked], patience).not_done:
            return None
        homes, self._asked = self._asked.result(), None
        return homes


def _is_missing(future: futures.Future[Any]) -> bool:
    try:
        future.result(2 * ANSWER_SECONDS)
    except KafkaException as problem:
        return meaning(problem.args[0].name()) is Meaning.ABSENT
    except futures.TimeoutError:
        pass
    return False


def _told(future: futures.Future[Any], name: str) -> str:
    """A short form of an id in the answer; empty: it is not known."""
    try:
        text = str(getattr(future.result(2 * ANSWER_SECONDS), name) or "")
    except (KafkaException, futures.TimeoutError):
        return ""
    return short(text)


def short(text: str) -> str:
    """The short form of an id; empty: it is none."""
    return digest(text.encode(), ID_LENGTH) if text not in ("", _NO_ID) else ""
