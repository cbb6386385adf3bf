"""A service of one process and one partition, with messages that wait for hours and very many others behind them."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Set

from kafka_worker.partitions.stored import ID_LENGTH, Home
from kafka_worker.recovery.offset_map import decode, encode
from tests.support.bulk import Bulk, ranges_of
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from kafka_worker.partitions.tracker import Range
    from tests.support.admin import Admin
    from tests.support.service import Service

HOME = Home("0" * ID_LENGTH, "0" * ID_LENGTH)  # as long as any that a broker tells
ENVIRONMENT = {
    "ORDERING": "none", "MAX_IN_FLIGHT": "12000", "COMMIT_INTERVAL_SECONDS": "0.2", "MAX_ATTEMPTS": "100",
    "BREAKER_FAILURE_SHARE": "0", "DEAD_LETTER_STORM_SHARE": "0",
}  # fmt: skip


class Hours:
    """One topic of one partition, whose messages are numbers (see `bulk`), and its service."""

    def __init__(self, admin: Admin, topic: str, group: str, folder: str, make: Callable[..., Service]) -> None:
        """`make` is the fixture `service`."""
        self.bulk = Bulk(os.path.join(folder, "bulk"))
        self._admin, self._topic, self._group, self._make = admin, topic, group, make
        self.service: Service

    def start(self) -> None:
        """Another service, with a runtime directory of its own: what the journal of the one before held is not known there."""
        environment = {**ENVIRONMENT, "BULK": self.bulk.path}
        handler = "tests.support.bulk:sieve"
        self.service = self._make(self._topic, self._group, processes=1, threads=60, handler=handler, env=environment)
        self.service.start().wait_ready()

    def send(self, kinds: Sequence[int]) -> None:
        """All acknowledged when this returns."""
        self._admin.produce(self._topic, [(None, b"%d" % kind, None) for kind in kinds])

    @property
    def process(self) -> Optional[int]:
        """The pid of the one that works."""
        return self.service.children().get(0)

    def kill_process(self) -> None:
        """`kill -9`; the slot is filled again."""
        victim = self._working()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: self.process not in (None, victim), 30, "the slot is filled again")

    def kill_host(self) -> None:
        """`kill -9` of everything."""
        for pid in [self.service.pid, self._working()]:
            os.kill(pid, signal.SIGKILL)

    def _working(self) -> int:
        return eventually(lambda: self.process, 30, "one works") or 0

    def wait_ended(self, count: int, seconds: float) -> None:
        """Until so many have come to their end: a look at the file's length, because reading it all takes a while."""
        event = self.bulk.size
        eventually(lambda: self.bulk.mark() >= (2 * count + 1) * event, seconds, f"{count} are done")

    def held(self) -> Optional[List[Range]]:
        """What the committed map says to be done; None without one."""
        found = decode(self._admin.metadata(self._group, self._topic)[0])
        return found and found.done

    def wait_committed(self, done: Set[int]) -> Set[int]:
        """Until the commit holds as much of what is done as a map can; that much. The lowest offset waits, so it stays 0."""
        fitting = decode(encode("00000000", HOME, 0, ranges_of(sorted(done))))
        assert fitting is not None
        eventually(lambda: self.held() == fitting.done, 30, "the commit carries the map")
        assert self._admin.committed(self._group, self._topic) == {0: 0}
        return {offset for first, behind in fitting.done for offset in range(first, behind)}
