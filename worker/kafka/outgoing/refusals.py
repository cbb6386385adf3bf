"""Records that can't be stored as they are: what mends it, and what is said of it."""

from __future__ import annotations

import logging
from typing import Counter as CounterType
from typing import Protocol, Tuple

from confluent_kafka import KafkaError

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, facts_of, in_words
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.logs import Seldom

log = logs.logger(__name__)

RESEND_SECONDS = 5.0

#: What to do, by the name of the broker's refusal; of the client's, where it is the first to refuse.
_REMEDIES = {
    "MSG_SIZE_TOO_LARGE": "raise max.message.bytes of that topic: it is too large for it, alone and compressed by zstd",
    "RECORD_LIST_TOO_LARGE": "raise max.message.bytes and segment.bytes of that topic",
    "INVALID_TIMESTAMP": "see whether this machine's clock is right: the topic refuses even the time of now",
    "INVALID_RECORD": "give that topic cleanup.policy=delete: a compacted one takes no record without a key",
    "UNKNOWN_TOPIC_OR_PART": "create the topic",
    "_UNKNOWN_TOPIC": "create the topic",
    "_UNKNOWN_PARTITION": "create the topic",
    "TOPIC_AUTHORIZATION_FAILED": "allow us to write to that topic (ACL: WRITE)",
    "CLUSTER_AUTHORIZATION_FAILED": "allow us idempotent writing (ACL: IDEMPOTENT_WRITE on the cluster)",
    "_MSG_TIMED_OUT": "see whether the brokers of that topic answer",
    "LEADER_NOT_AVAILABLE": "start the brokers that have that topic",
}
_ANY_REMEDY = "mend the topic or the broker"

#: What is said of the topic, the rights, the broker, or the client itself. Whatever else is said may be about the record.
MENDABLE = frozenset({
    "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "TOPIC_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED", "_MSG_TIMED_OUT", "_FATAL", "_STATE", "_CRIT_SYS_RESOURCE",
})  # fmt: skip


def remedy(problem: KafkaError) -> str:
    """What mends it."""
    return _REMEDIES.get(problem.name(), _ANY_REMEDY)


def error_of(problem: Exception) -> KafkaError:
    """What a client has raised, whatever it is, in its own form."""
    told = problem.args[0] if problem.args else None
    return told if isinstance(told, KafkaError) else KafkaError(KafkaError._FAIL, repr(problem))  # noqa: SLF001


class Waiting(Protocol):
    """Records that are waited for on behalf of a task."""

    what: str  # they are: "dead letter"
    task: Task
    refused: bool  # at least once

    @property
    def partition(self) -> Partition:
        """The task's."""


class Unstored(CounterType[Tuple[str, str]]):
    """How many were refused and are not stored yet, by what they are and the topic of their task, whose partition is held."""

    def __init__(self, complaint: Seldom) -> None:
        """None."""
        super().__init__()
        self._complaint = complaint

    def add(self, waiting: Waiting, topic: str, problem: KafkaError, mended_by: str) -> None:
        """It can't be stored in this topic, and is sent again after RESEND_SECONDS."""
        what, task, partition = waiting.what, waiting.task, waiting.partition
        why = f"a {what} can't be stored in {topic}: {problem.str()}. To mend it, {mended_by}"
        partition.flow.refused(why, again=waiting.refused)
        self[what, partition.topic] += not waiting.refused
        waiting.refused = True
        self._complaint.log(
            logging.ERROR,
            "%s: its %s could not be stored in %s: %s. Nothing is lost: the message stays in flight, its partition is held, "
            "and the %s is sent again every %d s. To mend it, %s",
            in_words(task), what, topic, problem, what, RESEND_SECONDS, mended_by,
            extra=about(Event.PARTITION_HELD, **facts_of(task), reason=problem.name()),
        )  # fmt: skip

    def remove(self, waiting: Waiting) -> None:
        """Nobody waits for it any more."""
        if waiting.refused:
            self[waiting.what, waiting.partition.topic] -= 1
            waiting.partition.flow.refused_no_more()

    def stored(self, waiting: Waiting) -> None:
        """It is stored: what was told of its partition may be over."""
        self.remove(waiting)
        partition = waiting.partition
        if waiting.refused and not partition.flow.held:
            log.info(
                "%s goes on: nothing of it waits to be stored any more",
                partition, extra=about(Event.PARTITION_GOES_ON, **partition.facts),
            )  # fmt: skip


def say_of_time(complaint: Seldom, task: Task, what: str, record: OutgoingRecord, problem: KafkaError) -> None:
    """It is stored otherwise than it was to be."""
    complaint.log(
        logging.WARNING,
        "%s: its %s goes to %s with the time of now, because its own is refused there: %d ms since 1970",
        in_words(task), what, record.topic, record.timestamp,
        extra=about(Event.STORED_OTHERWISE, **facts_of(task), reason=problem.name()),
    )  # fmt: skip
