"""Which partitions are ours, and what follows from it: the group gives them, messages of them come, the group takes them.
Consumer thread only; the callbacks run inside `fetch`.
"""

from __future__ import annotations

import math
import time
from typing import Any, Callable, List, Tuple

from kafka_worker.draining.ending import BROKEN
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.incoming.prefetch import give_back
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.ownership.arrivals import Arrivals
from kafka_worker.ownership.committer import Committer
from kafka_worker.ownership.reading import Reading
from kafka_worker.ownership.starting import Starting
from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.lanes import ORDERINGS
from kafka_worker.parts import Parts
from kafka_worker.recovery.probation import Probation
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.ipc.work import Work
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import PATTERN, ByTopic
from kafka_worker.standstill.losses import Losses
from kafka_worker.standstill.unreadable import DEADLY, Fault
from kafka_worker.steering.steering import Steering

log = logs.logger(__name__)

NAP_SECONDS = 0.002  # between two looks while a revocation waits: nothing can be fetched there


class Ownership(RebalanceListener):
    """The partitions of one process."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        recovery: Recovery,
        probation: Probation,
        steering: Steering,
        clock: Callable[[], float],
        duties: Callable[[], object],
    ) -> None:
        """Nothing is ours before there is a client. `duties` does what has to go on while a revocation waits."""
        self._parts = parts
        self._probation = probation
        self._recovery = recovery
        self._clock = clock
        self._duties = duties
        self._orderings = ByTopic(settings.of, lambda own: ORDERINGS[own.ordering])
        self._starting = Starting(self._orderings, parts, steering.parking, clock)
        self._reading = Reading(settings, clock)
        self.losses = Losses(clock)
        self._by_partition = intake.by_partition(parts.topics)
        longest_poll = float(parts.consumer_properties["max.poll.interval.ms"]) / 1000
        self._longest_revocation = min(settings.drain_seconds, longest_poll / 2)
        self._arrivals = Arrivals(recovery, parts.topics)
        self._consumer: GroupConsumer
        self.misplaced = False  # the group takes us for who had our seat before
        self.parting = False  # our client closes: the group gives what it gives up to whoever comes next
        self._unwanted: List[TopicPartition] = []  # assigned although we end, and not paused yet
        self.assignment = Assignment(self._new_partition)
        self.committer = Committer(
            settings.commit_interval_seconds, self.assignment, recovery, clock, parts.decisions.transactions
        )
        self.dropped = 0  # messages that were delivered and not started, because their partition went away
        self.rebalances = 0  # how often the group has told us what is ours
        self.work = Work()
        self.changes = 0  # how often something came or went, or was held or let go

    @property
    def missing_topics(self) -> List[str]:
        """That we have subscribed to."""
        return self._arrivals.missing

    def use(self, consumer: GroupConsumer) -> None:
        """This is our client from now on."""
        self._consumer, self.parting, self.misplaced = consumer, False, False
        self._arrivals.use()
        self.committer.use(consumer)

    # ---- the group gives ------------------------------------------------------------------------------------------

    def on_assigned(self, names: List[TopicPartition]) -> None:
        """New partitions. While we end, none is taken any more: whoever has them next begins where the group stands, and what
        comes of them before they are paused is dropped."""
        self.rebalances += 1
        self._parts.follow_up.paid()
        if self._parts.stopping.wish is not None:
            self._unwanted += names
            return
        if self._is_of_others(names):
            return
        partitions = [self.assignment.add(*name) for name in names]
        self._arrivals.receive(self._consumer, partitions)
        self.committer.soon()
        told = [partition for partition in partitions if not partition.flow.not_begun]
        self._parts.quarantine.receive(told)
        self._parts.ongoing.receive(told)
        self._doubt(partitions)
        self.tell_pool()

    def _is_of_others(self, names: List[TopicPartition]) -> bool:
        """Whether we are given what only who had our seat before subscribed to, without a note of it. We take none of it."""
        topics, follow_up = self._parts.topics, self._parts.follow_up
        patterns = any(topic.startswith(PATTERN) for topic in topics)  # what these fit, the client has its own mind of
        if not patterns and not {topic for topic, _ in names}.issubset(topics):
            follow_up.owe()
            self.misplaced = follow_up.owed
        return self.misplaced

    def _doubt(self, partitions: List[Partition]) -> None:
        """Fetch nothing of those of which our process may die."""
        doubted = self._probation.receive(partitions)
        self._hold_deadly()
        for partition in doubted:
            partition.flow.pause()
        if doubted:
            self._consumer.pause_from_the_start([partition.name for partition in doubted])

    def _hold_deadly(self) -> None:
        for partition, offset in self._probation.arrived().items():
            said = "whatever process has fetched it has died"
            self._hold(partition, Fault(*partition.name, offset, DEADLY, said))

    @property
    def careful(self) -> bool:
        """Whether the client has to fetch batch by batch."""
        return self._probation.careful

    @property
    def outlived(self) -> bool:
        """Whether a topic was made anew under our client, which reads nothing of it."""
        return self._arrivals.outlived

    def end_probation(self) -> None:
        """The process ends, or partitions go: what runs of them must be finished."""
        if self._probation.on:
            self._probation.stop()
            self.tell_pool()

    def pause_unwanted(self) -> None:
        """Fetch nothing of what was assigned although we end."""
        if self._unwanted:
            self._consumer.pause(self._unwanted)
            self._unwanted = []

    def tell_pool(self) -> None:
        """Have the pool take tasks from what is ours, as far as the gates let it; none while we are on probation. Threads
        woken before that may have gone to sleep again."""
        served = [] if self._probation.on else [each for each in self.assignment if not each.flow.suspended]
        self._parts.pool.serve(self._parts.gates.queues(served))
        self._parts.pool.wake(1)
        self.changes += 1

    def _new_partition(self, topic: str, number: int) -> Partition:
        retries_of = self._parts.decisions.sleeping.topics.retries_of(topic)
        queue = self._orderings[retries_of or topic].queue
        partition = Partition(topic, number, queue, self._recovery.memory, retries_of)
        partition.dependencies = self._parts.gates.dependencies
        return partition

    # ---- messages come --------------------------------------------------------------------------------------------

    def deliver(self, messages: List[Any]) -> None:
        """These were fetched: they are in their partition's hand until there is room for them."""
        for batch in intake.runs(messages, self._by_partition):
            topic = batch[0].topic()
            self.work.add("messages_received", topic, "", len(batch))
            partition = self.assignment.get(topic, batch[0].partition())
            if partition is None:
                self._drop(topic, len(batch))  # delivered just before a revocation; whoever has the partition now gets them
                continue
            if partition in self.losses.sought:
                for message in batch:
                    self.losses.goes_on(partition, message.offset())
            if partition.flow.unread:
                batch = self._readable(partition, batch)  # noqa: PLW2901
                if not batch:
                    continue
            first = batch[0].offset()
            if first < partition.expected:
                log.warning(
                    "%s: offsets went back from %d to %d",
                    partition, partition.expected, first,
                    extra=about(Event.OFFSETS_WENT_BACK, **partition.facts, offset=first),
                )  # fmt: skip
                partition = self._begun_anew(partition)
            if partition.flow.suspended and not partition.flow.unread:
                give_back(self._consumer, partition, first)  # something else has had it read
            else:
                partition.flow.keep(batch)

    def start(self) -> None:
        """Take what is in hand, as far as there is room for it, and start whatever of it may run."""
        for partition, number in self._parts.backpressure.granted(self.assignment):
            if not partition.stored.named and partition.tracker.next_offset < 0:
                self.committer.soon()  # now there is something to commit
            for batch in partition.flow.taken(number):
                self._starting.start(partition, batch)

    def check_topics(self) -> None:
        """Once in a turn: look whether topics are still what they were, and whether the broker has told what it holds."""
        now = self._clock()
        for partition in self._arrivals.check(self._consumer, self.assignment, now):
            self._begin_with_the_first(partition)
        for partition in self._arrivals.again(self._consumer, self.assignment.attention.held, now):
            self._parts.quarantine.receive([partition])
            self._parts.ongoing.receive([partition])
            self.tell_pool()
            self.deliver(partition.flow.begin())
        self._reading.try_again(self._consumer, self.assignment.attention.held, now)
        was_on = self._probation.on
        self._probation.turn(now)
        if was_on and not self._probation.on:
            self.tell_pool()
        if self._probation.careful:
            self._hold_deadly()

    def on_topic(self, topic: str, topic_id: str) -> None:
        """From the first commit on we note this id; what was committed of another topic means nothing."""
        for partition in self._arrivals.known_as(topic, topic_id, self.assignment):
            self._begin_with_the_first(partition)

    def on_made_anew(self, topic: str, topic_id: str) -> None:
        """What the client would skip of a topic that was made anew is read first."""
        for partition in self._arrivals.made_anew(topic, topic_id, self.assignment):
            self._begin_with_the_first(partition)

    def _begin_with_the_first(self, partition: Partition) -> None:
        log.warning(
            "%s: the topic was made anew, and begins with its first message",
            partition, extra=about(Event.TOPIC_MADE_ANEW, **partition.facts),
        )  # fmt: skip
        self._consumer.rewind(partition.name)
        self._begun_anew(partition)

    def on_gone(self, name: TopicPartition, offset: int) -> None:
        """What should be read there is gone: whatever took it was quicker than we."""
        partition = self.assignment.get(*name)
        if partition is not None:
            self.losses.nothing_at(partition, offset)

    def on_outlived(self, name: TopicPartition) -> None:
        """Our client can't read this partition of a topic that was made anew. (If it has said anything of it, it can.)"""
        partition = self.assignment.get(*name)
        if partition is not None and not partition.heard:
            self._arrivals.outlived = True

    def on_end(self, name: TopicPartition, offset: int) -> None:
        """The end of a partition: the only sign of progress behind messages that are never delivered."""
        partition = self.assignment.get(*name)
        if partition is not None:
            self.losses.goes_on(partition, offset)
        if partition is not None and partition.flow.read_to_the_end():
            partition.at_end(offset)
            if not partition.stored.named:
                self.committer.soon()

    def on_unreadable(self, name: TopicPartition, offset: int, error: str, said: str) -> None:
        """Nothing more of this partition comes. The others go on."""
        partition = self.assignment.get(*name)
        if partition is None:
            return
        offset = max(offset, partition.expected)
        if partition.flow.suspended and not partition.flow.unread:
            give_back(self._consumer, partition, offset)  # it is told again when that is read again
        else:
            self._hold(partition, Fault(*name, offset, error, said))

    def _hold(self, partition: Partition, fault: Fault) -> None:
        if self._reading.hold(partition, fault):
            self.changes += 1

    def _readable(self, partition: Partition, batch: List[Any]) -> List[Any]:
        readable = self._reading.readable(partition, batch)
        if not partition.flow.unread:
            self.changes += 1
        return readable

    def _begun_anew(self, partition: Partition) -> Partition:
        """The topic was made anew, or somebody moved the group. What runs of the old offsets is dropped, and what was known of
        them is void."""
        partition.closing.forget()
        self.losses.forget(partition)
        self._parts.ongoing.forget(partition)
        self._recovery.void(partition)
        again = self.assignment.add(*partition.name)
        if self._parts.stopping.wish is not None:
            again.closing.close(self._parts.stopping.until())
        self.committer.soon()
        self._arrivals.check_soon()
        self._parts.quarantine.receive([again])
        self.tell_pool()
        return again

    # ---- the group takes ------------------------------------------------------------------------------------------

    def on_revoked(self, names: List[TopicPartition]) -> None:
        """Finish what runs of them, commit, forget. The broker accepts commits for a partition that has moved on, so we must
        never commit what is not done in time."""
        if not self.parting:
            self._parts.follow_up.owe()
        self.end_probation()
        limit = self._clock() + self._longest_revocation
        leaving = self.assignment.selected(names)
        while not (self._parts.settling.settled(leaving, self._parts.stopping.until(limit)) or self._late(math.inf)):
            time.sleep(NAP_SECONDS)
            self._duties()
        while not (self.committer.last_of(leaving) or self._late(limit)):
            time.sleep(NAP_SECONDS)
            self._duties()
        for task in self._parts.settling.described(leaving):
            log.warning("%s: not finished before the partition was taken away", task, extra=about(Event.TASK_CUT_OFF))
        self._forget(names)

    def _late(self, limit: float) -> bool:
        return self._consumer.ending in BROKEN or self._clock() >= self._parts.stopping.until(limit)

    def on_lost(self, names: List[TopicPartition]) -> None:
        """Forget; somebody else may already have them."""
        self._forget(names)

    def _forget(self, names: List[TopicPartition]) -> None:
        for partition in self.assignment.selected(names):
            # First, so that nothing of it starts any more when recovery asks what runs (see the pool's note).
            partition.closing.forget()
            running = len(self._parts.settling.running([partition]))
            self._drop(partition.topic, partition.flow.waiting + partition.tracker.in_flight - running)
            self._recovery.ended(partition)
            self.losses.forget(partition)
            self._parts.ongoing.forget(partition)
            self.assignment.remove(*partition.name)
        self._parts.settling.start_after_all()
        self.tell_pool()

    def _drop(self, topic: str, count: int) -> None:
        if count:
            self.dropped += count
            self.work.add("tasks", topic, "dropped", count)

    # ---- commits --------------------------------------------------------------------------------------------------

    def on_committed(self, stored: List[Tuple[str, int, int]]) -> None:
        """The answer to a commit."""
        self.committer.answered(stored)

    def on_metadata_refused(self) -> None:
        """The broker takes no metadata as long as ours."""
        self.committer.refuse_map()
