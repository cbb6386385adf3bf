"""The last detector: a partition that should move and does not, with nothing that explains it. What does explain it is told
elsewhere: a task runs or waits for its next attempt, a breaker is open, it is held, no broker answers. Consumer thread only.
"""

from __future__ import annotations

from typing import Callable, Collection, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from kafka_worker.kafka.ends import End, Ends
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import is_void, partition_of
from kafka_worker.parts import Parts
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc.snapshot import PartitionReport, TopicPartition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.awake import AwakeClock
from kafka_worker.standstill.heads import Reported
from kafka_worker.standstill.unreadable import moved_to

log = logs.logger(__name__)

UNCOMMITTED = "what is done up to offset {} is not committed: the broker stores no commit beyond {}"
LOST_SIGHT = "of {} here none runs or waits for anything: a fault of ours, restart its process"
UNANSWERED = "the broker does not tell its end: {}. Has it a leader? (kafka-topics.sh --describe)"
TRANSACTION = "all behind offset {} waits for a transaction of its producer, neither committed nor aborted (isolation.level)"
SLOW = (
    "nothing is delivered from offset {} on, and the broker has {} there: the client waits for its fetches, of which their "
    "broker answers few. The way to it is slow for messages of that size, or it is, or a quota slows us down "
    "(kafka-configs.sh --describe --entity-type clients, users)"
)
UNDELIVERED = (
    "nothing is delivered from offset {} on, the broker has {} there, and the client tells no fault. If they can't be read, "
    "step over them: stop the service, then: {}"
)
FROZEN_SECONDS = 15.0  # after so long without fetching the end of a partition is asked for
AT_REST_SECONDS = 1.0  # likewise, while partitions are drained: most are within that


class Progress:
    """Since when some numbers have not changed, as of each look at them."""

    __slots__ = ("_since", "_was")

    def __init__(self) -> None:
        """There was no look yet."""
        self._was: Optional[Tuple[int, ...]] = None
        self._since = 0.0

    def still(self, now: float, *numbers: int) -> float:
        """For how many seconds they have been what they are now."""
        if numbers != self._was:
            self._was, self._since = numbers, now
        return now - self._since

    def restart(self) -> None:
        """Time counts from the next look on."""
        self._was = None


class _Watched:
    """What is remembered of one partition."""

    __slots__ = ("commits", "ends", "moves")

    def __init__(self) -> None:
        self.moves = Progress()  # since when nothing comes or is done
        self.commits = Progress()  # since when nothing is committed
        self.ends = Progress()  # since when nothing is fetched, and so nothing is learnt of its end


class Standstills:
    """Looks at the partitions of one process whenever they are reported."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        """`settings` say for how long a partition may stand still."""
        self._settings = settings
        self._seconds = settings.stall_seconds
        self._commit_seconds = settings.stall_seconds + settings.commit_interval_seconds  # the next one may be so far away
        self._pool, self._quarantine, self._decisions = parts.pool, parts.quarantine, parts.decisions
        self._all_running, self._now = parts.settling.all_running, parts.ongoing.now
        self._watched: Dict[Partition, _Watched] = {}  # those of the last look
        self._stalled: Set[Partition] = set()  # the same
        self._excused_at: Optional[float] = None  # since when nothing can move
        self._awake = AwakeClock(0.0)
        self._is_slow: Callable[[TopicPartition], bool]
        self._missing: Collection[str] = ()

    def added_to(
        self,
        reported: List[Reported],
        ends: Ends,
        now: float,
        is_slow: Callable[[TopicPartition], bool],
        missing: Collection[str] = (),
    ) -> List[PartitionReport]:
        """The reports, which say of each partition that stands still how it does. `is_slow`: whether its fetches take long;
        `missing`: topics that are not there, which is told of them as a whole."""
        self._is_slow, self._missing = is_slow, missing
        self._excused_at = None
        self._watched = {partition: self._watched.get(partition) or _Watched() for partition, _ in reported}
        awake = self._awake.tick(now)  # while we slept, as with the whole machine, nothing could move
        still = {partition: self._still(partition, report, awake) for partition, report in reported}
        # Soon enough to know it when the time is over.
        silent = [p.name for p, report in reported if still[p] > self._seconds / 2 and not report.in_flight]
        frozen = [p.name for p, report in reported if self._frozen(p, report, now)]
        known = ends.of(silent, now, [name for name in frozen if name not in silent])
        wanted = {*silent, *frozen}  # what is known of another may be of a topic that was made anew since
        self._learn([partition for partition, _ in reported if partition.name in wanted], known)
        told = [self._told(p, report, known.get(p.name), still[p], awake) for p, report in reported]
        self._tell({partition: report.stalled for (partition, _), report in zip(reported, told)})
        return told

    def _told(
        self, partition: Partition, report: PartitionReport, end: Optional[End], still: float, awake: float
    ) -> PartitionReport:
        why = self._why(partition, report, end, still, awake)
        partition.stalled = bool(why)
        if end and end.problem and why:
            report = report._replace(lag=-1, lag_seconds=-1.0)
        return report._replace(stalled=why) if why else report

    def _tell(self, whys: Mapping[Partition, str]) -> None:
        """What begins, and what is over, is an event."""
        stalled = {partition for partition, why in whys.items() if why}
        for partition in stalled - self._stalled:
            told = about(Event.PARTITION_STALLED, **partition.facts, reason=whys[partition])
            log.warning("%s stands still: %s", partition, whys[partition], extra=told)
        for partition in self._stalled & whys.keys() - stalled:
            log.info("%s stands still no longer", partition, extra=about(Event.PARTITION_GOES_ON, **partition.facts))
        self._stalled = stalled

    def excuse(self, reported: List[Reported], ends: Optional[Ends], now: float) -> None:
        """Nothing can move now, and that is told otherwise. `ends`: who tells meanwhile where they end, if anybody does."""
        for watched in self._watched.values():
            watched.moves.restart()
            watched.commits.restart()
        if self._excused_at is None:
            self._excused_at = now
        if ends is not None and now >= self._excused_at + AT_REST_SECONDS:
            self._learn([p for p, _ in reported], ends.of([p.name for p, _ in reported], now))

    @staticmethod
    def _learn(partitions: Iterable[Partition], known: Mapping[TopicPartition, End]) -> None:
        """Where these begin and end, as far as it was told."""
        for partition in partitions:
            end = known.get(partition.name)
            if end is not None and not end.problem:
                partition.asked_end, partition.asked_first = end.latest, end.first

    def _still(self, partition: Partition, report: PartitionReport, awake: float) -> float:
        moves = self._watched[partition].moves
        if report.held or report.pause or partition.closing.closed:
            moves.restart()
        return moves.still(awake, partition.read_to, report.watermark, report.in_flight)

    def _frozen(self, partition: Partition, report: PartitionReport, now: float) -> bool:
        """Whether its end may have moved on without our knowing, because nothing is fetched of it."""
        unfetched = report.paused or bool(report.held)
        still = self._watched[partition].ends.still(now, report.end, unfetched)
        return bool(report.pause) or (still >= FROZEN_SECONDS and unfetched)

    def _why(self, partition: Partition, report: PartitionReport, end: Optional[End], still: float, awake: float) -> str:
        """Why it should move and does not; empty: it does, or need not, or something explains it."""
        owed, watched = report.watermark > report.committed, self._watched[partition]
        if not owed:
            watched.commits.restart()
        if owed and watched.commits.still(awake, report.committed) >= self._commit_seconds:
            return UNCOMMITTED.format(report.watermark, report.committed)
        here = report.in_flight + partition.flow.waiting
        if not here and end and not end.problem and end.latest <= max(0, partition.read_to):
            watched.moves.restart()  # it has nothing to do: time counts from when it has
            return ""
        if still < self._seconds:
            return ""
        return self._lost_sight(partition, here) if here else self._undelivered(partition, end)

    def _lost_sight(self, partition: Partition, here: int) -> str:
        waits_for_a_hand = len(partition.queue) > 0 and (
            self._settings.max_messages_per_second > 0 or self._pool.full(partition.queue.topic)
        )
        waits_for_room = partition.flow.waiting and self._active()
        sent = partition.flow.in_transit and not self._decisions.stuck(partition)
        waits = waits_for_a_hand or waits_for_room or sent or self._quarantine.count
        return "" if waits or partition in self._active() else LOST_SIGHT.format(counted(here, "message"))

    def _active(self) -> Set[Partition]:
        """Of which something runs, or waits for what we know."""
        running = {partition_of(self._now(task)) for _, task in self._all_running() if not is_void(task)}
        return self._decisions.waiting() | running

    def _undelivered(self, partition: Partition, end: Optional[End]) -> str:
        at = max(0, partition.read_to)
        if end is None or (partition.flow.paused and self._active()):  # for want of room, which others have
            return ""
        if end.problem:
            return "" if partition.topic in self._missing else UNANSWERED.format(end.problem)
        if end.stable <= at:
            return TRANSACTION.format(at)
        if self._is_slow(partition.name):  # who would step over them would lose them
            return SLOW.format(at, end.latest - at)
        command = moved_to(self._settings, partition.topic, partition.number, f"--to-offset {at + 1}")
        return UNDELIVERED.format(at, end.latest - at, command)
