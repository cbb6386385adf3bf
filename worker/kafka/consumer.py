"""The only owner of the Kafka `Consumer`: joins the group, fetches, commits, leaves. Consumer thread only, because the client
serves one caller at a time, without fairness: any other thread would wait for the whole poll, again and again.

It tells what it learns to a `RebalanceListener` (`Ownership`), from inside `fetch`. Nothing that runs in a client callback may
raise: the exception would come out of `consume()`, which then silently drops the batch it was about to return.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from confluent_kafka import Consumer, KafkaError, KafkaException, libversion
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka.brokers import Brokers
from kafka_worker.kafka.client_log import ClientLog, client_log
from kafka_worker.kafka.ends import Asker, Ends
from kafka_worker.kafka.errors import Meaning, is_of_one_partition, meaning
from kafka_worker.kafka.incoming.beginnings import RESET, Beginnings
from kafka_worker.kafka.incoming.rewinds import BEGINNING, Rewinds
from kafka_worker.kafka.listener import RebalanceListener, harmless
from kafka_worker.kafka.properties import EARLIEST
from kafka_worker.kafka.tokens import SETTING, SigningIn
from kafka_worker.kafka.topic_ids import TopicIds
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.output.last_words import MAKING_CLIENT, because, while_
from kafka_worker.shared.system.deadline import Deadline

log = logs.logger(__name__)

#: Between two questions what is committed, while they are refused: after an outage who was the coordinator may, for a moment.
REFUSED_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
LIBRARY = str(libversion()[0])  # the version of the client


def create_consumer(properties: Dict[str, Any]) -> Consumer:
    """A Kafka consumer with these librdkafka properties, which logs where we do. Raises KafkaException for a property that the
    client refuses."""
    with while_(MAKING_CLIENT):
        return Consumer({"logger": client_log, **properties})


class GroupConsumer:
    """Our member of the consumer group."""

    def __init__(
        self,
        properties: Dict[str, Any],
        topics: Iterable[str],
        listener: RebalanceListener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Join the group; the assignment comes during `fetch`."""
        self._listener = listener
        self._clock = clock
        self._complaint = Seldom(log, clock)
        self.brokers = Brokers(clock)
        self._rewinds = Rewinds()
        self._ahead = False  # the client's positions are past messages that the listener has not got yet, or never gets
        self.ids = TopicIds(properties)
        self.ends = Ends(Asker(properties))
        self.joined = False  # the group has given us an assignment, even an empty one
        self.lost = False  # we had no contact with it for a session timeout, and no assignment since
        self.losses = 0  # how often that was so: to the group, whoever comes back is another member
        self.emptied = True  # the last fetch has left nothing in the client's queue
        self.ending: Optional[ExitCode] = None  # the process should end with this
        self.unsettled_at: Optional[float] = None  # since when the group rebalances; None: it does not, as far as is known
        callbacks = {"error_cb": self._on_error, "on_commit": self._on_commit, "stats_cb": self._on_statistics}
        self.signing_in = SigningIn(properties.get(SETTING), clock)
        self._properties, self._topics = {**properties, **callbacks}, list(topics)
        self._static = "group.instance.id" in properties
        self._beginnings = Beginnings(properties)
        self._join()

    @property
    def away(self) -> bool:
        """No broker answers, as far as we know."""
        return self.brokers.away

    def begins_at(self, name: TopicPartition, committed: int) -> int:
        """Where what is committed of it (-1001: nothing) has it begin."""
        return self._beginnings.of(name, committed)

    def _join(self) -> None:
        self._log = ClientLog(self._listener, self._tell)
        properties = self._log.added(self._properties)
        if self._beginnings.latest:  # where nothing is committed; where an offset is gone, the client would skip messages
            properties[RESET] = EARLIEST[0]
        self._consumer = create_consumer(properties)
        self._consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def fetch(self, most: int, timeout: float) -> List[Any]:
        """Up to `most` messages; waits up to `timeout` seconds for the first. Serves the callbacks meanwhile.

        `consume(n, timeout)` alone would wait until *all* n have come or the time is up: measured, 452 ms late in the median.
        """
        if self._rewinds.places:
            self._rewinds.seek(self._consumer)
        first = self._consumer.poll(timeout)
        self.brokers.ask(self._consumer)
        if first is None:
            self.emptied = True
            if not self.joined:  # the client tells a refusal by the group once only: silence means that it stands
                self._give_up_when_refused()
            return []
        batch = [first]
        self._ahead = True
        if most > 1:
            batch += self._consumer.consume(most - 1, 0)
        self._ahead = False
        self.emptied = len(batch) < most
        if self._rewinds.places:
            batch = self._rewinds.without(batch)
        errors = [message for message in batch if message.error() is not None]
        if errors:
            for message in errors:
                self._on_event(message)
            batch = [message for message in batch if message.error() is None]
        if batch:
            self.brokers.let_in()
        return batch

    def commit(self, offsets: List[Tuple[str, int, int, str]]) -> bool:
        """Send a commit of (topic, partition, offset, metadata); the answer comes by `on_committed`. False: it could not be
        sent."""
        try:
            self._consumer.commit(offsets=[ClientPartition(*place) for place in offsets], asynchronous=True)
            log.debug("Commit: %s", offsets)
        except KafkaException as problem:
            self.commit_failed(problem.args[0], "commit")
            return False
        return True

    def group_metadata(self) -> Any:
        """What a transaction says of us: brokers know by it if our partitions have gone to others."""
        return self._consumer.consumer_group_metadata()

    def committed(self, names: Iterable[TopicPartition], timeout: float) -> Dict[TopicPartition, Tuple[int, Optional[str]]]:
        """(offset, metadata) that the broker holds for each partition, but for those it does not tell in time."""
        wanted, deadline = [ClientPartition(*name) for name in names], Deadline(timeout, self._clock)
        for pause in (*REFUSED_SECONDS, timeout):
            try:
                places = self._consumer.committed(wanted, timeout=deadline.remaining())
                return {name: (place.offset, place.metadata) for name, place in self._beginnings.told(places).items()}
            except KafkaException as problem:
                refusal = problem
            if meaning(refusal.args[0].name()) is not Meaning.PASSING or pause >= deadline.remaining():
                break
            time.sleep(pause)
        self._complaint.log(
            logging.WARNING, "What was committed is not known, and is asked for again: %s",
            refusal, extra=about(Event.COMMITTED_UNKNOWN),
        )  # fmt: skip
        return {}

    def positions(self, names: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The offset behind the last one delivered, of each partition; markers of transactions count as delivered. Nothing in
        the middle of `fetch` or `leave`: a revocation that comes there would commit past messages that nobody has seen."""
        if self._ahead:
            return {}
        try:
            places = self._consumer.position([ClientPartition(*name) for name in names if name not in self._rewinds.places])
        except KafkaException as problem:  # a partition that went away this moment
            log.debug("Positions are unknown: %s", problem)
            return {}
        return {(place.topic, place.partition): place.offset for place in places if place.error is None}

    def rewind(self, name: TopicPartition, offset: int = BEGINNING, *, when_resumed: bool = False) -> None:
        """Read the partition from this offset on (by default from its first message), whatever has come of it, or from a lower
        one that was asked for before and not sought yet. At once; or, if it is paused and should stay so, `when_resumed`."""
        self._rewinds.add(name, offset, when_resumed=when_resumed)

    def end(self, name: TopicPartition) -> int:
        """The partition's end as the last fetch told, or -1."""
        try:
            _low, high = self._consumer.get_watermark_offsets(ClientPartition(*name), cached=True)
        except (KafkaException, TypeError):
            return -1
        return int(high)

    def pause_from_the_start(self, names: List[TopicPartition]) -> None:
        """Fetch nothing of these, which are just being assigned, before they are resumed."""
        self._beginnings.pause(names)

    def pause(self, names: List[TopicPartition]) -> None:
        """Fetch no more of these."""
        self._consumer.pause([ClientPartition(*name) for name in names])

    def resume(self, names: List[TopicPartition]) -> None:
        """Fetch these again."""
        self._rewinds.resumed(names)
        self._consumer.resume([ClientPartition(*name) for name in names])

    def leave(self, deadline: Deadline) -> bool:
        """Give up the membership at once: `close` alone would keep a static member's seat until its session times out. If we
        are still joining, finish that first: only the answer brings the id to leave by, and without it the seat stays taken.
        Whether the request is out; `close` waits for its answer."""
        self._ahead = True  # what comes now is dropped
        while not (self.joined or self.away or deadline.expired()):
            self._consumer.poll(0.02)
        heard = self.is_heard(deadline.remaining() / 2)
        self._consumer.unsubscribe()
        while self._stays and not deadline.expired():
            self._consumer.poll(0.02)
        return heard and not (self._stays or self.away)

    def is_heard(self, seconds: float) -> bool:
        """Whether the group's coordinator answers a member within so many seconds."""
        return self.joined and self.brokers.coordinator_answers(self._consumer, self._topics[0], seconds)

    @property
    def _stays(self) -> bool:
        """Whether anything is left to give up. A static member's id goes when its request to leave is sent, a moment after its
        partitions: a client that is closed between the two never sends it."""
        return bool(self._consumer.assignment() or (self._static and not self.away and self._consumer.memberid()))

    def close(self) -> None:
        """Close the client. It can hang for as long as a broker is frozen: somebody else has to watch the time."""
        self._consumer.close()

    @harmless
    def _on_assign(self, consumer: Consumer, partitions: List[ClientPartition]) -> None:
        names = _names(partitions)
        self._rewinds.forget(names)
        # The client remembers a pause from an earlier assignment; ours starts unpaused.
        consumer.resume(partitions)
        self._beginnings.joined(self._log.sizes)
        self._beginnings.clear()
        self._listener.on_assigned(names)
        self._beginnings.assign(consumer, partitions)
        if not self.joined:
            log.info(
                "Connected to Kafka and listening to the topic... (assigned: %s)", _listed(names), extra=about(Event.ASSIGNED)
            )
        elif names:
            log.info("Assigned: %s", _listed(names), extra=about(Event.ASSIGNED))
        self.joined, self.lost, self.unsettled_at, self._log.session_over = True, False, None, False
        self.brokers.joined()

    @harmless
    def _on_revoke(self, _consumer: Consumer, partitions: List[ClientPartition]) -> None:
        self.brokers.owed_nothing()
        self._rewinds.forget(_names(partitions))
        if partitions:
            log.info("Revoked: %s", _listed(_names(partitions)), extra=about(Event.REVOKED))
        self._listener.on_revoked(_names(partitions))

    @harmless
    def _on_lost(self, _consumer: Consumer, partitions: List[ClientPartition]) -> None:
        names = _names(partitions)
        log.warning("Lost: %s (no contact with the group for a session timeout)", _listed(names), extra=about(Event.LOST))
        self.brokers.owed_nothing()
        self._rewinds.forget(names)
        self.joined, self.lost = False, True
        self.losses += 1
        self._listener.on_lost(names)

    @harmless
    def _tell(self, callback: Callable[..., None], *facts: Any) -> None:
        """What only the client's log says."""
        callback(*facts)

    @harmless
    def _on_statistics(self, text: str) -> None:
        """Only here does the client tell that it waits for others in a rebalance. The text is large, so it is not parsed
        whole."""
        self.brokers.hear(text)
        state = _JOIN_STATE.search(text, text.rfind('"cgrp"'))
        if state is None or state[1] == "steady":
            self.unsettled_at = None
        elif self.unsettled_at is None:
            self.unsettled_at = self._clock()

    @harmless
    def _on_commit(self, problem: Optional[KafkaError], partitions: List[ClientPartition]) -> None:
        stored = []
        for place in partitions:
            error = problem or place.error
            if error is None:
                stored.append((place.topic, place.partition, place.offset))
            else:
                self.brokers.commit_refused(error)
                self.commit_failed(error, f"{place.topic}[{place.partition}]")
        log.debug("Committed: %s", stored)
        if stored:
            self.brokers.answered()
            self.brokers.owed_nothing()
        self._listener.on_committed(stored)

    def commit_failed(self, error: KafkaError, place: str) -> None:
        """A commit was refused; `place`: of what."""
        kind = meaning(error.name())
        if kind is Meaning.FENCED:
            self._fenced(error)
        elif kind is Meaning.UNAUTHORISED:
            self._refused(error)
        elif kind is Meaning.TOO_LONG:
            self._listener.on_metadata_refused()
        elif kind is Meaning.ROUTINE:
            log.debug("Commit of %s failed: %s", place, error)
        else:
            self._complaint.log(
                logging.WARNING, "Commit of %s failed and is sent again: %s",
                place, error, extra=about(Event.COMMIT_FAILED, reason=error.name()),
            )  # fmt: skip

    def _on_event(self, message: Any) -> None:
        """No message, but what the client says about a partition, a topic or itself."""
        error, name = message.error(), (message.topic(), message.partition())
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (that is its public name)
            self._listener.on_end(name, message.offset())
        elif is_of_one_partition(*name) and meaning(error.name()) in (Meaning.PASSING, Meaning.FORBIDDEN):
            offset = message.offset()
            self._listener.on_unreadable(name, -1 if offset is None else offset, error.name(), error.str())
        else:
            self._on_error(error)

    @harmless
    def _on_error(self, error: KafkaError) -> None:
        kind = meaning(error.name(), error.str())
        if kind is Meaning.FENCED:
            self._fenced(error)
        elif kind in (Meaning.UNAUTHORISED, Meaning.FORBIDDEN):
            self._refused(error)
        elif kind is Meaning.ANONYMOUS:
            self.signing_in.failed(error.str())
        elif kind is Meaning.AWAY:
            self.brokers.down(error)
        elif kind is Meaning.ABSENT:
            self._complaint.log(
                logging.WARNING, "A topic is missing, and is looked for again: %s. `check` says how to make it",
                error.str(), extra=about(Event.TOPIC_MISSING, reason=error.name()),
            )  # fmt: skip
        elif kind is Meaning.NO_ROOM and not self.joined:
            because(error.str())
            self.ending = self.ending or ExitCode.GAVE_UP
        elif kind is not Meaning.ROUTINE:
            self.brokers.not_joined(error)
            self._complaint.log(
                logging.WARNING, "The client says: %s", error, extra=about(Event.CLIENT_TROUBLE, reason=error.name())
            )

    def _fenced(self, error: KafkaError) -> None:
        self.lost = self.lost or self._log.session_over  # who had no partition is told of no loss
        whose = "perhaps we ourselves, after a silence" if self.lost else "is a second supervisor running with this host name?"
        log.error(
            "Fenced: another member of the group has our id: %s (%s)",
            whose, error, extra=about(Event.FENCED, reason=error.name()),
        )  # fmt: skip
        self.ending = ExitCode.FENCED

    def _refused(self, error: KafkaError) -> None:
        if self.signing_in.trouble:  # we have sent no token that could be refused
            return
        self.brokers.refused(error)
        self._give_up_when_refused()

    def _give_up_when_refused(self) -> None:
        if self.brokers.refuse_for_good:
            self.ending = self.ending or ExitCode.NOT_AUTHORISED


_JOIN_STATE = re.compile(r'"join_state": *"([^"]*)"')


def _names(partitions: List[ClientPartition]) -> List[TopicPartition]:
    return [(partition.topic, partition.partition) for partition in partitions]


def _listed(names: List[TopicPartition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(names)) or "nothing"
