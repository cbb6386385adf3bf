"""Our member of a group whose brokers do the rebalances (KIP-848, `group.protocol=consumer`), and what is different there.

*Seats of static members.* A seat belongs to the process that has it: until its session is over (45 s) a successor is refused,
and a member has no way to give its seat up for good. From a member of the classic protocol brokers accept both (Kafka's rule,
made for groups that change from one protocol to the other): it gets the seat of its name at once, whoever has it, and may
leave. So such a member sits down in between: before us if the former process left silently, and after us if the seat is to be
given up.

*What the client does not tell.* It ends for good by whatever the group answers, and gives the reason in words only. Of a
member that has its place, and no partition yet, it says nothing; nor where brokers do not know the protocol, and it goes on
trying. Its statistics leave these requests out where they are listed by name, but not where all are counted.
"""

from __future__ import annotations

import logging
from json import loads
from typing import Any, Callable, Dict, Iterable, List, Optional

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka.client_log import client_log
from kafka_worker.kafka.consumer import GroupConsumer, create_consumer
from kafka_worker.kafka.errors import Meaning, meaning
from kafka_worker.kafka.listener import RebalanceListener, harmless
from kafka_worker.kafka.properties import of_new_protocol
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system.deadline import Deadline

log = logs.logger(__name__)

SIT_SECONDS = 10.0  # until who sits in between gives it up
ASK_SECONDS = 2.0  # by then who can ask a coordinator for a place has done so
_POLL_SECONDS = 0.02
_TAKEN = "UNRELEASED_INSTANCE_ID"
_TWIN = (_TAKEN, "FENCED_INSTANCE_ID", "FENCED_MEMBER_EPOCH")
_REASONS = [
    KafkaError(getattr(KafkaError, name))
    for name in (
        *_TWIN, "GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "UNSUPPORTED_ASSIGNOR", "UNSUPPORTED_VERSION",
    )
]  # fmt: skip


def _is_news(record: logging.LogRecord) -> bool:
    """The client calls it fatal, too, that a former process has our seat; whatever ends us is told by `_fenced`."""
    return "ConsumerGroupHeartbeat fatal error" not in record.getMessage()


client_log.addFilter(_is_news)


def create_member(
    properties: Dict[str, Any], topics: Iterable[str], listener: RebalanceListener, clock: Callable[[], float]
) -> GroupConsumer:
    """Our member of the group, by the protocol that is asked for."""
    kind = NewProtocolConsumer if of_new_protocol(properties) else GroupConsumer
    return kind(properties, topics, listener, clock)


def stand_in(properties: Dict[str, Any]) -> Dict[str, Any]:
    """The properties of who sits down in between: our name, the other protocol, the shortest session that brokers allow."""
    ours = {name: value for name, value in properties.items() if name not in ("group.protocol", "group.remote.assignor")}
    # The strategy is that of those of us who still use the classic protocol: members of a group must have one in common.
    classic = {"session.timeout.ms": 6000, "partition.assignment.strategy": "cooperative-sticky"}
    return {**ours, **classic, "enable.partition.eof": False}


class NewProtocolConsumer(GroupConsumer):
    """Our member of such a group."""

    def __init__(self, properties: Dict[str, Any], *others: Any) -> None:
        """As any member joins."""
        self._taken: Optional[KafkaError] = None  # the word by which our seat was refused to us
        self._until: Optional[Deadline] = None  # we do not sit ourselves: somebody does in between
        self._has_it = False  # who sits in between has the seat, or had it
        self._presumed = False  # that we have joined was counted, and not told
        self._unasked: Optional[float] = None  # since when there is a coordinator, and it has not been asked for a place
        super().__init__(properties, *others)

    def fetch(self, most: int, timeout: float) -> List[Any]:
        """As that of any member; nothing, as long as somebody sits in between."""
        if self._taken and not self._until:
            log.info("The former process still has our seat: taking it over", extra=about(Event.SEAT_TAKEN_OVER))
            self._sit_in_between(Deadline(SIT_SECONDS, self._clock))
        if not self._until:
            return super().fetch(most, timeout)
        said = self._consumer.poll(timeout)
        if said is not None and said.error() is not None:
            self._on_error(said.error())
        if self._has_it:
            self._consumer.close()  # without a word: the seat stays its own, and ours to take
            self._until = self._taken = None
            self._join()
        elif self._taken and self._until.expired():
            super()._fenced(self._taken)
        return []

    def leave(self, deadline: Deadline) -> bool:
        """Give the membership up at once: a static member's own word would keep the seat."""
        if self._static and not self.away:
            if not self._until:
                self._sit_in_between(deadline)
            while not (self._has_it or self.away or deadline.expired()):
                self._consumer.poll(_POLL_SECONDS)
            self.joined = True
        return super().leave(deadline)

    def _sit_in_between(self, until: Deadline) -> None:
        self._until, self._has_it = until, False
        self._consumer.close()
        self._consumer = create_consumer(stand_in(self._properties))
        self._consumer.subscribe(self._topics, on_assign=self._on_seat)

    @harmless
    def _on_assign(self, consumer: Consumer, partitions: List[ClientPartition]) -> None:
        self._presumed = False
        super()._on_assign(consumer, partitions)

    def _on_seat(self, *_: Any) -> None:
        self._has_it = True

    @harmless
    def _on_statistics(self, text: str) -> None:
        super()._on_statistics(text)
        if '"join_state": "init"' in text[text.rfind('"cgrp"') :]:  # for as long as it has no partition
            self.unsettled_at = None
        if self.joined or self._until:
            return
        told = loads(text)
        coordinator = told["brokers"].get("GroupCoordinator")
        others = sum(coordinator["req"].values()) if coordinator else 0
        if coordinator and coordinator["rx"] > others:
            self._on_assign(self._consumer, [])
            self._presumed = True
        elif not coordinator or coordinator["tx"] > others or told["cgrp"]["state"] != "up":
            self._unasked = None
        elif self._unasked is None:
            self._unasked = self._clock()
        elif self._clock() - self._unasked >= ASK_SECONDS:
            why = "they do not know group.protocol=consumer, which came with Kafka 4.0"
            self._unusable(why, "Remove KAFKA_CONSUMER_GROUP_PROTOCOL")

    def _fenced(self, error: KafkaError) -> None:
        """The client has ended. Who never had the seat finds the former process in it, or a twin; who had it has lost it to a
        twin. (Who is only presumed to have it may have been answered by a broker that was not ready.)"""
        reason = next((each.name() for each in _REASONS if each.str() in error.str()), error.name())
        if reason == _TAKEN and self._presumed:
            self.joined = False
        if reason == _TAKEN and not (self.joined or self.lost or self._has_it):
            self._taken = error
        elif reason in _TWIN:
            super()._fenced(error)
        elif meaning(reason) is Meaning.UNSUPPORTED:
            self._unusable(error.str(), "Correct KAFKA_CONSUMER_GROUP_REMOTE_ASSIGNOR")
        else:
            code = (
                ExitCode.NOT_AUTHORISED if meaning(reason) in (Meaning.UNAUTHORISED, Meaning.FORBIDDEN) else ExitCode.GAVE_UP
            )
            log.error("The group takes us no more: %s", error.str(), extra=about(Event.BROKER_REFUSES, reason=reason))
            self.ending = self.ending or code

    def _unusable(self, why: str, remedy: str) -> None:
        log.error("The brokers can't do what is asked: %s. %s", why, remedy, extra=about(Event.BROKER_REFUSES))
        self.ending = self.ending or ExitCode.CONFIGURATION
