"""Records that can't be stored as they are: what mends it, and what is said of it."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, facts_of, in_words
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.logs import Seldom

log = logs.logger(__name__)

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


def say_goes_on(partition: Partition) -> None:
    """What was told of it is over."""
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
