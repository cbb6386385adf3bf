"""One partition on a bench, of which a test says where its messages are."""

from __future__ import annotations

from typing import Any, List, Type, cast

from kafka_worker import build
from kafka_worker.kafka.ends import End, Ends
from kafka_worker.kafka.properties import Member
from kafka_worker.outcomes.retry import policies
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import FirstComeFirstServed, Queue
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.partitions.task import Task
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.ipc.snapshot import PartitionReport
from kafka_worker.standstill.heads import Heads
from kafka_worker.standstill.standstills import Standstills
from tests.unit import fakes
from tests.unit.fakes import TOPIC, Message, some_settings

EPOCH = 1_700_000_000.0  # seconds since 1970 when the bench's clock shows 0


class Bench:
    """One partition, which is looked at twice a second."""

    def __init__(self, queue: Type[Queue] = FirstComeFirstServed, **changes: Any) -> None:
        self.now = 100.0
        settings = some_settings(threads=1, **changes)
        self.pool = Pool(1, lambda *_: None)
        quarantine = Quarantine(settings, 0, self.pool, SuspectsFile(None))
        policy = policies(settings, lambda: 1.0)
        self.parts = build.parts(settings, self.pool, quarantine, policy, Member("host", 0), clock=lambda: self.now)
        self.standstills = Standstills(settings, self.parts)
        self.heads = Heads(self.parts, lambda: self.now + EPOCH)
        self.partition = Partition(TOPIC, 0, queue)
        self.partition.stored.found(0, "", UNKNOWN)
        self.ends = fakes.Ends()
        self.slow = False
        self.missing: List[str] = []

    def take(self, offset: int = 0) -> Task:
        """A message was delivered."""
        segment, _ = self.partition.tracker.take(offset)
        return offset, segment, Message(offset), None, 1, self.partition

    def ends_at(self, latest: int, stable: int = -1, problem: str = "") -> None:
        self.ends.known = {(TOPIC, 0): End(latest if stable < 0 else stable, latest, problem)}

    def look(self, seconds: float) -> str:
        """What is told after so many seconds."""
        told = ""
        for _ in range(int(seconds * 2) + 1):
            self.now += 0.5
            told = self.reports(-1)[0].stalled
        return told

    def reports(self, end: int) -> List[PartitionReport]:
        """What is told now, when the client knows of this end."""
        reported = [(self.partition, self.partition.report(end))]
        return self.standstills.added_to(reported, cast("Ends", self.ends), self.now, lambda _: self.slow, self.missing)

    def head(self, end: int = -1) -> PartitionReport:
        """What is told now of the partition, which ends there."""
        reported = [(self.partition, self.partition.report(end, self.parts.gates.why(self.partition)))]
        return self.heads.added_to(reported, self.now)[0][1]
