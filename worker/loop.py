"""The consumer thread: `consume_messages` runs from the first join to the last commit. It alone touches the Kafka consumer,
the assignment, the retry schedule and the dead letters; handler threads get tasks from it and leave flags and failures behind.
The process's main thread reads the `LoopReport` that is published here, and asks for the end by `stop`.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent import futures
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Deque, List, Optional, Tuple

from kafka_worker.draining.ending import BROKEN, CLOSE_SECONDS, Ending
from kafka_worker.draining.stopping import Stop
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.groups.former import leave_for
from kafka_worker.kafka.groups.new_protocol import create_member
from kafka_worker.ownership.ownership import Ownership
from kafka_worker.partitions.task import Task, TaskId
from kafka_worker.parts import Parts
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.recovery.probation import PROPERTIES, Probation
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.report import LoopReport
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.orders import Orders
from kafka_worker.shared.ipc.snapshot import HeadReport, PartitionReport, Stage
from kafka_worker.shared.ipc.stage import StageHolder
from kafka_worker.shared.ipc.work import Work
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.standstill.heads import Heads
from kafka_worker.standstill.standstills import Standstills
from kafka_worker.steering.steering import Steering

log = logs.logger(__name__)

POLL_SECONDS = 0.1  # longest wait for a message: failures, retries and a stop are noticed at this pace on an idle topic
BUSY_POLL_SECONDS = 0.02  # while records are on their way: any moment their tasks may go on
REPORT_SECONDS = 0.5
REST_POLL_SECONDS = 0.01  # while partitions are brought to rest, and the last commit is waited for

MOST_SOUGHT = 16  # messages asked about at once; nobody needs more


class ConsumerLoop:
    """Everything the consumer thread owns."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        stage: StageHolder,
        clock: Callable[[], float] = time.monotonic,
        group: Optional[Callable[..., GroupConsumer]] = None,
    ) -> None:
        """Nothing touches the network, or the slot's files, before `consume_messages`. `group` makes our member of the group,
        if that is not Kafka's."""
        self._group = group or create_member
        self._settings = settings
        self._parts = parts
        self._stage = stage
        self._clock = clock
        self._ownership: Ownership
        self._consumer: GroupConsumer
        self._standstills = Standstills(settings, parts)
        self._careful = False  # the client fetches batch by batch
        self._heads = Heads(parts)
        self._steering = Steering(parts, clock)
        self._cut_off: List[str] = []  # what the drain deadline interrupted
        self._publish_at = 0.0
        self._sought: Deque[Tuple[TaskId, futures.Future[Optional[HeadReport]]]] = deque(maxlen=MOST_SOUGHT)
        self._told: Any = None  # the news when the last report was made
        # Read by the main thread:
        self.report = LoopReport()
        self.turned_at = clock()  # not in the report: a hung thread, which publishes none, is known by it

    def consume_messages(self) -> ExitCode:
        """From joining the group to having left it. The exit code says why it ended."""
        self.begin()
        while self.stopping is None and self._consumer.ending is None:
            self.turn()
        return self.end()

    def begin(self) -> None:
        """Join the group."""
        settings, parts, journal = self._settings, self._parts, self._parts.open_journal()
        recovery = Recovery(journal, use_map=settings.offset_map == "on", busy=parts.settling.busy)
        probation = Probation(journal, parts.quarantine.suspects, settings.max_deaths, self._clock())
        duties = partial(self._duties, in_callback=True)
        self._ownership = Ownership(settings, parts, recovery, probation, self._steering, self._clock, duties)
        parts.follow_up.sit_down(parts.topics)
        self._join()

    def _follow_up(self) -> None:
        """Leave the group in place of the process that died here while it gave partitions up: others get them only if the
        group rebalances. Again, until the group has heard of it."""
        log.info("The process before owes the group a rebalance: leaving it, to join anew", extra=about(Event.JOINED_ANEW))
        parts, goes_on = self._parts, self._waits_for_the_group
        while not leave_for(self._group, parts.consumer_properties, parts.topics, goes_on, self._clock):
            if self.stopping is not None:
                return
        parts.follow_up.paid()

    def _waits_for_the_group(self, former: GroupConsumer) -> bool:
        self.turned_at = self._clock()
        self.report = replace(self.report, broker_away=former.away)
        return self.stopping is None

    def _join(self) -> None:
        if self._parts.follow_up.owed:
            self._follow_up()
        self._careful = self._ownership.careful
        properties = {**self._parts.consumer_properties, **(PROPERTIES if self._careful else {})}
        self._consumer = self._group(properties, self._parts.topics, self._ownership, self._clock)
        self._ownership.use(self._consumer)

    # ---- one turn -------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Do whatever is due now, and fetch."""
        self._ownership.check_topics()
        now = self._duties()
        parts, ownership = self._parts, self._ownership
        parts.pool.idle.clear()
        ownership.start()
        parts.prefetch.turn(self._consumer, ownership.assignment, ownership.deliver, self._patience(now))
        if self._careful != ownership.careful:
            care = "as usual" if self._careful else "with care"
            log.info("Joining anew, to fetch %s", care, extra=about(Event.JOINED_ANEW))
            self._join_anew()
        why = self._why_anew()
        if why:
            log.warning("Joining anew: %s", why, extra=about(Event.JOINED_ANEW))
            self._join_anew()

    def _why_anew(self) -> str:
        """What is wrong with our membership, or our client, that another client mends; empty: nothing."""
        if self._ownership.misplaced:
            return "the group takes us for who had our seat before, and was subscribed to other topics"
        if self._ownership.outlived:
            return "our client reads nothing of a topic that was made anew"
        # Fenced by ourselves: after a silence the client may ask for its seat twice (librdkafka issue 3437). Once per loss.
        fenced = self._consumer.ending is ExitCode.FENCED and self._consumer.lost
        return "our own second request for the seat has fenced us" if fenced else ""

    def _join_anew(self) -> None:
        """With a new client. Our seat stays ours meanwhile, unless we owe the group a rebalance."""
        follow_up = self._parts.follow_up
        if follow_up.owed and self._consumer.leave(Deadline(CLOSE_SECONDS, self._clock)):
            follow_up.paid()
        self._ownership.parting = True
        self._consumer.close()
        self._join()

    def _turn_at_rest(self) -> None:
        self._duties()
        self._ownership.deliver(self._consumer.fetch(100, REST_POLL_SECONDS))
        self._ownership.pause_unwanted()

    def _duties(self, *, in_callback: bool = False) -> float:
        """What has to go on in every loop of this thread, whatever that loop waits for. Returns the time it is now.
        `in_callback`: the client has called us, and waits."""
        now = self.turned_at = self._clock()
        self._parts.decisions.turn()
        self._parts.ongoing.turn(now)
        steered = self._steering.turn(self._ownership.assignment, self._consumer)
        if self._parts.gates.turn(self._ownership.assignment, now) or steered:
            self._ownership.tell_pool()
        self._ownership.committer.turn(now, in_callback=in_callback)
        while self._sought:
            self._tell(*self._sought.popleft(), now)
        if now >= self._publish_at or self._news() != self._told:
            self._publish(now, in_callback=in_callback)
        return now

    def _patience(self, now: float) -> float:
        """How long the next fetch may wait. Never 0: the client might not count that as a poll."""
        decisions = self._parts.decisions
        due = decisions.next_due()
        longest = BUSY_POLL_SECONDS if decisions.busy(now) or self._parts.gates.probing else POLL_SECONDS
        return longest if due is None else max(0.001, min(longest, due - now))

    # ---- the end --------------------------------------------------------------------------------------------------

    def stop(self, stop: Stop) -> None:
        """End in order. Any thread; a second call may change `leave` and bring the deadline forward."""
        self._parts.stopping.asked = stop

    @property
    def stopping(self) -> Optional[Stop]:
        """The wish in force; None: it goes on. Any thread, and not in the report: whoever has set it must be sure that
        everyone who looks later sees it."""
        return self._parts.stopping.wish

    def end(self) -> ExitCode:
        """End in order, as far as that makes sense. A process that ends by itself may still be asked to, with less time."""
        assignment, stopping = self._ownership.assignment, self._parts.stopping
        end = Ending(self._consumer, assignment, stopping, self._cut_off, self._turn_at_rest, self._clock)
        if self._consumer.ending not in BROKEN:
            self._ownership.end_probation()
            stopping.found = Stop(Deadline(self._settings.drain_seconds, self._clock), leave=False)
            self._stage.move(Stage.DRAINING)
            end.drain(self._parts.settling)
            end.finish_commits(self._ownership.committer.finished)
        if self._consumer.ending in BROKEN:
            assignment.close(self._clock())
        else:
            self._publish(self._clock())  # the last word of a client that does not close
            self._stage.move(Stage.CLOSING)
            self._ownership.parting = True
            if end.leave(owed=self._parts.follow_up.owed):
                self._parts.follow_up.left()
        # The client is closed, and tells nothing of partitions any more: the rest of the report stays.
        self.report = replace(self.report, ending=self._consumer.ending, dropped=self._ownership.dropped)
        return self._consumer.ending or (ExitCode.GAVE_UP if self._cut_off else ExitCode.OK)

    def order(self, orders: Orders) -> None:
        """Go by these orders of operators from now on. Main thread."""
        self._steering.order(orders)

    @property
    def orders_told(self) -> int:
        """How often it was told them. Main thread."""
        return self._steering.told

    def seek(self, place: TaskId) -> futures.Future[Optional[HeadReport]]:
        """Ask what becomes of this message: the consumer thread answers soon. None: it is done, or not here. Main thread."""
        sought: futures.Future[Optional[HeadReport]] = futures.Future()
        self._sought.append((place, sought))
        return sought

    def _tell(self, place: TaskId, sought: futures.Future[Optional[HeadReport]], now: float) -> None:
        partition = self._ownership.assignment.get(place[0], place[1])
        sought.set_result(None if partition is None else self._heads.of_offset(partition, place[2], now))

    # ---- what the main thread may know ----------------------------------------------------------------------------

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs at this moment, suspects included. Any thread, and not in the report: a call that hangs is found, and
        named when it is cut off, even if the consumer thread hangs too."""
        return self._parts.settling.all_running()

    def shown(self) -> List[Tuple[HandlerThread, Task]]:
        """The same, as reports tell it: a call that outlasted the loss of its partition belongs to the one that came back. Any
        thread."""
        return [(thread, self._parts.ongoing.now(task)) for thread, task in self.running()]

    def _news(self) -> Tuple[object, ...]:
        """What somebody waits to hear: that we are in the group, that we end, what is ours, which orders we go by."""
        consumer = self._consumer
        return consumer.joined, consumer.away, consumer.ending, self._ownership.changes, self._steering.known

    def _partitions(self, now: float, *, in_callback: bool) -> List[PartitionReport]:
        """While we are in a client callback nothing comes and no commit is answered; nor does anything move for who is not in
        the group, or sees no broker."""
        consumer, why = self._consumer, self._parts.gates.why
        excused = in_callback or consumer.away or not consumer.joined or self.stopping is not None
        reports = [(p, p.report(consumer.end(p.name), why(p), fetched=not excused)) for p in self._ownership.assignment]
        reports = self._heads.added_to(reports, now)
        if excused:
            self._standstills.excuse(reports, None if consumer.away else consumer.ends, now)
            return [report for _, report in reports]
        for partition, report in reports:
            if report.pause or report.paused:
                self._ownership.losses.begins_at(partition, partition.asked_first)
        if consumer.ends.unanswered:
            consumer.brokers.doubt()
        missing = self._ownership.missing_topics
        return self._standstills.added_to(reports, consumer.ends, now, consumer.brokers.is_slow, missing)

    def _works(self) -> List[Work]:
        own = self._ownership
        return [self._parts.decisions.work, own.work, own.committer.work, own.losses.work]

    def _publish(self, now: float, *, in_callback: bool = False) -> None:
        self._publish_at = now + REPORT_SECONDS
        self._told = self._news()
        consumer, parts = self._consumer, self._parts
        failed, retrying, letters, waiting = parts.decisions.counts()
        self.report = LoopReport(
            joined=consumer.joined,
            broker_away=consumer.away,
            ending=consumer.ending,
            cut_off=tuple(self._cut_off),
            unsettled_at=consumer.unsettled_at if consumer.joined else None,
            committed_at=self._ownership.committer.acknowledged_at,
            failed=failed,
            retrying=retrying,
            dead_letters=letters,
            dead_letters_waiting=waiting,
            waiting=parts.decisions.waiting_of_topics(),
            rebalances=self._ownership.rebalances,
            dropped=self._ownership.dropped,
            suspects=parts.quarantine.count,
            trouble=parts.decisions.trouble or consumer.signing_in.trouble or consumer.brokers.trouble,
            missing_topics=self._ownership.missing_topics,
            partitions=self._partitions(now, in_callback=in_callback),
            breakers=parts.gates.reports(now),
            parked=self._steering.parking.reports(),
            orders_known=self._steering.known,
            lost=self._ownership.losses.reports(),
            work=[each for work in self._works() for each in work.counts()],
        )
