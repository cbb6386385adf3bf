"""Messages that were gone before they were done: retention was quicker, or somebody has deleted them. The client goes on with
the first one that is there, and says so only in its log, before it has anything of it. Of a partition that is not fetched it
says nothing: there the broker is asked (`Ends`) before somebody resumes it, so that they can know. Consumer thread only.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Tuple

from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.health import lost
from kafka_worker.shared.ipc.snapshot import LossReport, TopicPartition
from kafka_worker.shared.ipc.work import Work

log = logs.logger(__name__)

TOLD_SECONDS = 600.0  # so long it is told: nothing of it can be mended, and who looks later has the events and the counts


class Losses:
    """Those of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """None yet."""
        self._clock = clock
        self.sought: Dict[Partition, int] = {}  # where the client has found nothing, and has told nothing since
        self._behind: Dict[Partition, int] = {}  # what was told as lost: that of a partition counts once
        self._told: Dict[TopicPartition, Tuple[LossReport, float]] = {}  # the last of each, and when
        self.work = Work()

    def nothing_at(self, partition: Partition, offset: int) -> None:
        """That is where it should go on, and nothing is there any more. (A client asks again from where it believes the first
        to be: that is no loss of what lies behind.)"""
        self.sought.setdefault(partition, offset)

    def goes_on(self, partition: Partition, offset: int) -> None:
        """A message has this offset, or the partition ends there: it is the first since then that is not below what was
        sought. (Below may be what the client had before, or what is read again, as of a topic that was made anew.)"""
        first = self.sought.get(partition, offset)
        if offset < first or partition.flow.not_begun:  # of which it is not known yet what was done
            return
        self.sought.pop(partition, None)
        first = max(first, self._behind.get(partition, first))
        count = partition.stored.undone(first, offset)
        if count:
            self._behind[partition] = offset
            self._tell(partition, LossReport(*partition.name, first, offset - 1, count, 0.0))

    def begins_at(self, partition: Partition, offset: int) -> None:
        """Nothing of it is fetched, and there is none below this offset any more."""
        if 0 <= partition.read_to < offset:
            self.nothing_at(partition, partition.read_to)
            self.goes_on(partition, offset)

    def forget(self, partition: Partition) -> None:
        """It is ours no longer: whoever has it next finds out."""
        self.sought.pop(partition, None)
        self._behind.pop(partition, None)

    def reports(self) -> List[LossReport]:
        """Those of late, the last ones first."""
        now = self._clock()
        self._told = {place: (loss, at) for place, (loss, at) in self._told.items() if now - at < TOLD_SECONDS}
        told = [loss._replace(seconds=now - at) for loss, at in self._told.values()]
        return sorted(told, key=lambda loss: loss.seconds)

    def _tell(self, partition: Partition, loss: LossReport) -> None:
        self.work.add("messages_lost", loss.topic, "", loss.count)
        where = {"topic": loss.topic, "partition": loss.partition, "offset": loss.first}
        log.error(
            "%s: retention was quicker, or somebody has deleted what was there. %s goes on behind that", lost(loss), partition,
            extra=about(Event.MESSAGES_LOST, **where, to_offset=loss.last, count=loss.count),
        )  # fmt: skip
        place = loss.topic, loss.partition
        before = self._told.get(place)
        if before is not None:
            loss = loss._replace(first=before[0].first, count=before[0].count + loss.count)
        self._told[place] = loss, self._clock()
