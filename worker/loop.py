"""The consumer thread: `consume_messages` turns from the first join to the last commit. It alone touches the Kafka
consumer, the assignment, the retry schedule and the dead letters; handler threads get tasks from it and leave flags and
failures behind. The process's main thread only reads a few plain fields, and asks for the end by `stop`.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from kafka_worker.arrivals import Arrivals
from kafka_worker.draining.draining import BROKEN, Draining
from kafka_worker.draining.settling import Settling
from kafka_worker.draining.stopping import Stop, Stopping
from kafka_worker.gates.gates import Gates
from kafka_worker.kafka.backpressure import Backpressure
from kafka_worker.kafka.consumer import GroupConsumer, RebalanceListener, TopicPartition
from kafka_worker.kafka.properties import Member, milliseconds
from kafka_worker.outcomes.decisions import Decisions
from kafka_worker.outcomes.retry import RetryPolicy
from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.commits import Commits
from kafka_worker.partitions.lanes import ORDERINGS
from kafka_worker.partitions.partition_report import partition_report
from kafka_worker.partitions.task import Task
from kafka_worker.pools.thread_pool import HandlerThread, Runner
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared import routes
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import BreakerReport, PartitionReport, Stage
from kafka_worker.shared.ipc.stage import StageHolder
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # longest wait for a message: failures, retries and a stop are noticed at this pace on an idle topic
PAUSED_POLL_SECONDS = 0.02  # while partitions are paused, or records on their way: any moment they may go on
REPORT_SECONDS = 0.5
REST_POLL_SECONDS = 0.01  # while partitions are brought to rest, and the last commit is waited for
NAP_SECONDS = 0.002  # between two looks where nothing can be fetched


class ConsumerLoop(RebalanceListener):
    """Everything the consumer thread owns."""

    def __init__(
        self,
        settings: Settings,
        pool: Runner,
        retry_policy: RetryPolicy,
        properties: Dict[str, Any],
        producer_properties: Dict[str, Any],
        stage: StageHolder,
        journal: Callable[[], Optional[Journal]] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        quarantine: Optional[Quarantine] = None,
        *,
        member: Member,
    ) -> None:
        """Build the parts; nothing touches the network before `consume_messages`. `journal` opens the slot's journal; it is
        called when the slot's lock is held. `member`: who we are, for the dead letters."""
        self._settings = settings
        self._pool = pool
        self._properties = properties
        self._stage = stage
        self._clock = clock
        self._lane_of = ORDERINGS[settings.ordering].lane_of
        self._longest_revocation = min(settings.drain_seconds, milliseconds(properties, "max.poll.interval.ms") / 2)
        self._commits = Commits(settings.commit_interval_seconds)
        self._quarantine = quarantine or Quarantine(settings, 0, pool, SuspectsFile(None))
        self._gates = Gates(settings, pool, routes.naming(settings), clock, self._quarantine.threads)
        self._decisions = Decisions(
            settings, retry_policy, pool, producer_properties, member, clock, self._quarantine, self._gates
        )
        self._topics = list(dict.fromkeys([*settings.topics, *self._decisions.retry_topics]))
        self._by_partition = intake.by_partition(self._topics)
        self._settling = Settling(pool, self._quarantine, self._decisions, clock)
        self._consumer: GroupConsumer
        self._open_journal = journal
        self._recovery: Recovery
        self._arrivals: Arrivals
        self._assignment = Assignment(self._new_partition)
        self._stopping = Stopping()
        self._unwanted: List[TopicPartition] = []  # assigned although we end, and not paused yet
        self._backpressure = Backpressure(settings, lambda: self._stopping.wish is not None, clock)
        self._report_at = 0.0
        # Read by the main thread:
        self.turned_at = clock()
        self.dropped = 0  # messages that were delivered and not started, because their partition went away
        self.partitions: List[PartitionReport] = []
        self.breakers: List[BreakerReport] = []
        self.cut_off: List[str] = []  # what the drain deadline interrupted

    def stop(self, stop: Stop) -> None:
        """End in order. Any thread; a second call may change `leave` and bring the deadline forward."""
        self._stopping.asked = stop

    @property
    def stopping(self) -> Optional[Stop]:
        """The wish in force; None: it goes on. Any thread."""
        return self._stopping.wish

    def consume_messages(self) -> ExitCode:
        """From joining the group to having left it. The exit code says why it ended."""
        self._recovery = Recovery(
            self._open_journal(),
            use_map=self._settings.offset_map == "on",
            busy=lambda partition: bool(self._settling.running([partition])),
        )
        self._arrivals = Arrivals(self._recovery)
        self._consumer = GroupConsumer(self._properties, self._topics, self, self._clock)
        while self.stopping is None and self._consumer.ending is None:
            self._turn()
            if self._consumer.ending is ExitCode.FENCED and self._consumer.lost:
                # By ourselves: after a silence the client may ask for its seat twice (librdkafka issue 3437). Once a loss.
                log.warning("Joining anew: our own second request for the seat has fenced us")
                self._consumer.close()
                self._commits.in_flight = 0  # nobody answers what that client had sent
                self._consumer = GroupConsumer(self._properties, self._topics, self, self._clock)
        return self._end()

    # ---- one turn -------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._look_at_topics(self._clock())
        now = self._duties()
        most = self._backpressure.apply(self._consumer, self._assignment)
        self._dispatch(self._consumer.fetch(most, self._patience(now)))

    def _duties(self, *, inside: bool = False) -> float:
        """What is owed to whoever else there is, in every loop that turns in this thread, whatever that one waits for; now.
        `inside` a client callback no answer to a commit is heard, and the client's positions are no measure."""
        now = self.turned_at = self._clock()
        self._decisions.serve()
        self._pass_gate(now)
        if self._commits.due(now, deaf=inside):
            self._commit(self._assignment, {} if inside else self._positions(), now)
        if now >= self._report_at:
            self._publish(now)
        return now

    def _patience(self, now: float) -> float:
        """How long the next fetch may wait. Never 0: the client would count the poll interval on."""
        due = self._decisions.next_due()
        soon = (
            self._decisions.busy(now)
            or self._gates.probing
            or any(p.paused and not (p.held or p.origin) for p in self._assignment)
        )
        longest = PAUSED_POLL_SECONDS if soon else POLL_SECONDS
        return longest if due is None else max(0.001, min(longest, due - now))

    def _dispatch(self, messages: List[Any]) -> None:
        for batch in intake.runs(messages, self._by_partition):
            partition = self._assignment.get(batch[0].topic(), batch[0].partition())
            if partition is None:
                self.dropped += len(batch)  # delivered just before a revocation; whoever has the partition now gets them
                continue
            if partition.early is not None:
                partition.early += batch
                continue
            if not partition.named and partition.tracker.next_offset < 0:
                self._commits.soon(self._clock())  # now there is something to commit
            expected = max(partition.tracker.next_offset, partition.committed)
            if batch[0].offset() < expected:
                log.warning("%s: offsets went back from %d to %d", partition, expected, batch[0].offset())
                partition = self._begun_anew(partition)
            tasks = intake.tasks(partition, batch, None if partition.origin else self._lane_of)
            self._backpressure.note(partition, batch)
            if partition.origin:
                self._decisions.delayed(tasks)
                continue
            partition.queue.extend(tasks)
            self._pool.wake(len(tasks))

    def _look_at_topics(self, now: float) -> None:
        for partition in self._arrivals.check(self._consumer, self._assignment, now):
            log.warning("%s: the topic was made anew, and begins with its first message", partition)
            self._consumer.rewind((partition.topic, partition.number))
            self._begun_anew(partition)
        for partition in self._arrivals.again(self._consumer, self._assignment, now):
            self._quarantine.receive([partition])
            self._serve_assignment()
            early, partition.early = partition.early, None
            self._dispatch(early or [])

    def _begun_anew(self, partition: Partition) -> Partition:
        """The topic was made anew, or somebody moved the group. What runs of the old offsets is dropped, and what was known of
        them is void."""
        partition.forget()
        self._recovery.void(partition)
        again = self._assignment.add(partition.topic, partition.number)
        if self.stopping is not None:
            again.close(self._stopping.until())
        self._commits.soon(self._clock())
        self._arrivals.check_soon()
        self._quarantine.receive([again])
        self._serve_assignment()
        return again

    # ---- commits --------------------------------------------------------------------------------------------------

    def _positions(self) -> Dict[TopicPartition, int]:
        """Only between two fetches: everything delivered so far is in flight or done then."""
        return self._consumer.positions([(p.topic, p.number) for p in self._assignment])

    def _commit(self, partitions: Iterable[Partition], positions: Dict[TopicPartition, int], now: float) -> bool:
        """Send what the broker does not hold yet; whether it holds everything."""
        dirty = Commits.dirty(partitions, positions, self._recovery.metadata)
        if dirty and self._consumer.commit([(p.topic, p.number, target, text) for p, target, text in dirty]):
            self._commits.sent()
            for partition, target, text in dirty:
                partition.sent = (target, text)
        self._commits.looked(self._assignment, now)
        return not dirty

    def on_committed(self, stored: List[Tuple[str, int, int]]) -> None:
        """The answer to a commit."""
        self._commits.answered()
        for partition, offset in self._commits.acknowledged(self._assignment, stored, self._clock()):
            self._recovery.acknowledged(partition, offset)

    def on_metadata_refused(self) -> None:
        """The offset itself must get through: commit without the map from now on."""
        log.warning("The broker refuses metadata of this length: after a crash, more than what was running may run again")
        for partition in self._assignment:
            partition.map_refused = True

    @property
    def commit_age(self) -> float:
        """Seconds since the broker last acknowledged a commit; -1: never yet."""
        at = self._commits.acknowledged_at
        return -1.0 if at < 0 else self._clock() - at

    # ---- the group gives and takes --------------------------------------------------------------------------------

    def on_assigned(self, names: List[TopicPartition]) -> None:
        """New partitions. While we end none is taken any more: whoever has them next begins where the group stands, and what
        comes of them until they are paused is dropped."""
        if self.stopping is not None:
            self._unwanted += names
            return
        partitions = [self._assignment.add(*name) for name in names]
        self._arrivals.receive(self._consumer, partitions)
        self._commits.soon(self._clock())
        self._quarantine.receive(partition for partition in partitions if partition.early is None)
        self._serve_assignment()

    def on_revoked(self, names: List[TopicPartition]) -> None:
        """Finish what runs of them, commit, forget. The broker accepts a commit for a partition that has moved on, so what is
        not done in time must never be committed by us."""
        limit = self._clock() + self._longest_revocation
        leaving = self._assignment.selected(names)
        while not (self._settling.settled(leaving, self._stopping.until(limit)) or self._consumer.ending in BROKEN):
            time.sleep(NAP_SECONDS)
            self._duties(inside=True)
        # Sent before the answer to the revocation, on the same connection: the next owner reads it. Without the client's
        # positions: we are inside `fetch`, and they already count messages that we have not seen yet.
        self._commit(leaving, {}, self._clock())
        for task in self._settling.described(leaving):
            log.warning("%s: not finished before the partition was taken away", task)
        self._forget(names)

    def on_lost(self, names: List[TopicPartition]) -> None:
        """Forget; somebody else may already have them."""
        self._forget(names)

    def _new_partition(self, topic: str, number: int) -> Partition:
        partition = Partition(topic, number, ORDERINGS[self._settings.ordering].queue, self._recovery.memory)
        partition.dependencies = self._gates.dependencies
        partition.origin = self._decisions.retry_topics.origin(topic)
        if partition.origin:
            partition.queue.topic = partition.origin
        return partition

    def _forget(self, names: List[TopicPartition]) -> None:
        for partition in self._assignment.selected(names):
            # First of all, so that nothing of it starts any more when recovery asks what runs (see the pool's note).
            partition.forget()
            self.dropped += len(partition.early or ()) + partition.tracker.in_flight - len(self._settling.running([partition]))
            self._recovery.ended(partition)
            self._assignment.remove(partition.topic, partition.number)
        self._settling.unpark()
        self._serve_assignment()

    def _serve_assignment(self) -> None:
        self._pool.serve(self._gates.queues(self._assignment))
        self._report_at = 0.0

    def _pass_gate(self, now: float) -> None:
        if self._gates.turn(self._assignment, now):
            self._serve_assignment()
            self._pool.wake(len(self._pool.threads))

    def on_end(self, name: TopicPartition, offset: int) -> None:
        """The end of a partition: the only sign of progress behind messages that are never delivered."""
        partition = self._assignment.get(*name)
        if partition is not None:
            partition.eof = offset
            if not partition.named:
                self._commits.soon(self._clock())

    # ---- the end --------------------------------------------------------------------------------------------------

    def _end(self) -> ExitCode:
        """In order, as far as that makes sense. What has begun to end by itself may still be asked to, with less time."""
        draining = Draining(
            self._consumer, self._assignment, self._stopping, self.cut_off, self._turn_at_rest, self._clock
        )  # fmt: skip
        if self._consumer.ending not in BROKEN:
            self._stopping.found = Stop(Deadline(self._settings.drain_seconds, self._clock), leave=False)
            self._stage.move(Stage.DRAINING)
            draining.settle(self._settling)
            draining.finish_commits(self._all_committed)
        if self._consumer.ending in BROKEN:
            self._assignment.close(self._clock())
            return self._consumer.ending
        self._stage.move(Stage.CLOSING)
        draining.leave()
        return self._consumer.ending or (ExitCode.GAVE_UP if self.cut_off else ExitCode.OK)

    def _all_committed(self) -> bool:
        # Where nothing has come yet, the commit is only to be found again by: that is not owed any more.
        owed = [p for p in self._assignment if p.named or p.tracker.next_offset >= 0]
        return not self._commits.in_flight and self._commit(owed, self._positions(), self._clock())

    def _turn_at_rest(self) -> None:
        self._duties()
        self._dispatch(self._consumer.fetch(100, REST_POLL_SECONDS))
        if self._unwanted:
            self._consumer.pause(self._unwanted)
            self._unwanted = []

    # ---- what the main thread may know ----------------------------------------------------------------------------

    def _publish(self, now: float) -> None:
        self._report_at = now + REPORT_SECONDS
        self.partitions = [partition_report(p, self._consumer.end, self._gates.why(p)) for p in self._assignment]
        self.breakers = self._gates.reports(now)

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now, suspects included."""
        return self._settling.all_running()

    @property
    def quarantine_threads(self) -> List[HandlerThread]:
        """That run suspects; beside those of the pool."""
        return self._quarantine.threads

    @property
    def suspects(self) -> int:
        """Suspects that wait for their turn, or run."""
        return self._quarantine.count

    @property
    def ending(self) -> Optional[ExitCode]:
        """Why the process has to end, if it has found that itself."""
        return self._consumer.ending if hasattr(self, "_consumer") else None

    @property
    def joined(self) -> bool:
        """Whether the group has given us an assignment, even an empty one."""
        return hasattr(self, "_consumer") and self._consumer.joined

    @property
    def broker_away(self) -> bool:
        """Whether no broker answers."""
        return hasattr(self, "_consumer") and self._consumer.away

    @property
    def retrying(self) -> int:
        """Tasks waiting for their next attempt."""
        return self._decisions.counts().retrying

    @property
    def trouble(self) -> str:
        """What keeps us from running tasks; empty: nothing."""
        return self._decisions.trouble

    @property
    def dead_letters(self) -> Tuple[int, int]:
        """(stored, waiting to be sent again)."""
        _retrying, stored, unstored = self._decisions.counts()
        return stored, unstored
