"""What is done when one process after the other dies soon after its start with nothing running, for example because a few
kilobytes of a partition unpack to more memory than there is: the client unpacks before it delivers anything, so the place is
unknown.

Then a process is on probation. It runs nothing, and fetches one partition at a time, batch by batch (`PROPERTIES`), noting
before each batch, among the suspects, where it is. A partition at one place of which MAX_DEATHS processes have died is held by
every process of the host, and the others go on. What lies before that place is still run, with the same care in fetching: the
client joins with these properties for as long as that takes. Consumer thread only.
"""

from __future__ import annotations

from typing import Dict, List, Optional

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import TaskId
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.suspects import FETCHED
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about

log = logs.logger(__name__)

DEATHS = 3  # one after the other, each of a young process in which nothing ran
YOUNG_SECONDS = 30.0  # a process that lives longer has not died of what it began with
QUIET_SECONDS = 1.0  # at first nothing is fetched: a process that dies then dies of something else
LONG_ENOUGH_SECONDS = 10.0  # for one partition that has much
SILENT_SECONDS = 10.0  # after that, a silent partition is taken to have ended nobody: it may be paused, or have no leader
NOWHERE: TaskId = ("", -1, -1)
#: For careful fetching: a broker sends at least one batch, however few bytes it may send; the client unpacks all that it was
#: sent, and can be stopped before it asks for the next one.
PROPERTIES = {
    "fetch.message.max.bytes": 1, "max.partition.fetch.bytes": 1, "queued.min.messages": 1, "fetch.queue.backoff.ms": 300,
}  # fmt: skip
WAITS = f"processes of its slot died {DEATHS} times right after their start: which partition ends them is being found out"


class Probation:
    """The probation of one process."""

    def __init__(self, journal: Optional[Journal], suspects: SuspectsFile, max_deaths: int, now: float) -> None:
        """It begins now, if the journal says so."""
        self._journal = journal
        self._suspects = suspects
        self._max_deaths = max_deaths
        deaths = journal.deaths if journal is not None else 0
        self.on = deaths >= DEATHS
        self.careful = self.on  # how the client has to fetch
        self._received = False  # something, since the client fetches so
        self._approaching: Dict[Partition, int] = {}  # what lies before this place of theirs is still run
        self._places: Dict[Partition, int] = {}  # from where nothing more may be fetched; not told yet
        self._since = now  # when the present step began
        self._waiting: List[Partition] = []
        self._passed: List[Partition] = []
        self._tried: Optional[Partition] = None
        self._place: TaskId = NOWHERE  # that is noted
        self._heard_at = now
        self._was_paused = True
        if self.on:
            log.warning(
                "%d processes of this slot died soon after their start: partitions are fetched one at a time",
                deaths, extra=about(Event.PROBATION, deaths=deaths),
            )  # fmt: skip

    def receive(self, partitions: List[Partition]) -> List[Partition]:
        """These were assigned just now. Returns which of them must not be fetched."""
        self._received = True
        for partition, offset in self._deadly(partitions).items():
            if offset > max(0, partition.expected):
                self._approaching[partition] = offset
                self._received = self._received and self.careful
                self.careful = True
            else:
                self._places[partition] = offset
        for partition in partitions if self.on else ():
            if partition not in self._places:
                partition.flow.wait_for_others(WAITS)
                self._waiting.append(partition)
        return list(partitions) if self.on or not self._received else list(self._places)

    def arrived(self) -> Dict[Partition, int]:
        """Those that are read as far as they may be, and that place. Tells each once."""
        for partition, offset in self._approaching.items():
            if partition.expected == offset and not partition.flow.unread:
                self._places[partition] = offset
        places, self._places = self._places, {}
        return places

    def _deadly(self, partitions: List[Partition]) -> Dict[Partition, int]:
        """Those of these of which processes have died, and where."""
        ours = {partition.name: partition for partition in partitions}
        found: Dict[Partition, int] = {}
        for place, suspicion in self._suspects.read().items():
            partition = ours.get(place[:2])
            if suspicion.how != FETCHED or partition is None:
                continue
            if place[2] < partition.expected:  # that place was stepped over
                self._suspects.forget([place])
            elif suspicion.deaths >= self._max_deaths:
                found[partition] = place[2]
        return found

    def _approach(self) -> None:
        """Care is needed until all that lies before those places is done and committed."""
        for partition, offset in list(self._approaching.items()):
            done = partition.stored.committed >= offset and not partition.tracker.in_flight
            if done or partition.closing.forgotten or partition.at_its_end:
                del self._approaching[partition]
        if self._received and not self._approaching and not self.on:
            self.careful = False

    def turn(self, now: float) -> None:
        """Once in a turn of the loop."""
        if self.careful:
            self._approach()
        if not self.on:
            if self._journal is not None and now >= self._since + YOUNG_SECONDS:
                self._journal.deaths, self._journal = 0, None
        elif self._through(self._tried, now) if self._tried else self._waiting and now >= self._since + QUIET_SECONDS:
            self._pass()
            self._since = now
            self._waiting = [partition for partition in self._waiting if not partition.closing.forgotten]
            if self._waiting:
                self._try(self._waiting.pop(0))
            else:
                self.stop()

    def stop(self) -> None:
        """It is over, or the process ends."""
        self._pass()
        for partition in [*self._waiting, *self._passed]:
            partition.flow.wait_for_others("")
        self._waiting, self._passed, self.on = [], [], False

    def _try(self, partition: Partition) -> None:
        self._tried, self._heard_at, self._was_paused = partition, self._since, True
        self._note(partition)
        partition.flow.wait_for_others("")

    def _note(self, partition: Partition) -> None:
        """Note where it is read now: before, because afterwards nobody may be left to do it."""
        self._forget()
        self._place = (*partition.name, max(0, partition.expected))
        self._suspects.blame([self._place], FETCHED)

    def _forget(self) -> None:
        self._suspects.forget([self._place])
        self._place = NOWHERE

    def _through(self, partition: Partition, now: float) -> bool:
        """Whether enough of it was fetched without ending us. A silent one may be about to: unpacking takes seconds."""
        flow = partition.flow
        if partition.closing.forgotten or partition.at_its_end or flow.unread:
            return True
        if partition.expected == self._approaching.get(partition):  # what is noted there stays
            return True
        if partition.expected > self._place[2]:
            self._note(partition)
            self._heard_at = now
        if now >= self._since + LONG_ENOUGH_SECONDS:
            flow.wait_for_others(WAITS)
        if flow.paused != self._was_paused:
            self._was_paused, self._heard_at = flow.paused, now
        return now >= self._heard_at + SILENT_SECONDS

    def _pass(self) -> None:
        self._forget()
        if self._tried is not None:
            self._tried.flow.wait_for_others(WAITS)
            self._passed.append(self._tried)
            self._tried = None
