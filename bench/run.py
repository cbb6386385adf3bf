"""A side at work, and what is seen of it from outside: its marks, its processes, its group. None is asked how fast it is."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, NamedTuple, Optional, Type

from bench import usage
from bench.noise import Measured, Moment
from bench.peers.task import NOTHING, Marks
from bench.sides.side import Running, Setting, Side
from bench.topics import Shape, Topics
from tests.support.kafka import Cluster

SHARED = "/dev/shm"  # memory without a disk behind it: marks cost no writing
POLL_SECONDS = 0.01
FIRST_SECONDS = 60.0  # for the first message of a side
COMPLETE_SECONDS = 60.0  # for a group
COMPLETE_EACH = 2.0  # and for each of its members
IDLE_SECONDS = 6  # looked at one by one: a broker that has just been busy cleans up after that
WARM_RUNS, WARM_SECONDS = 3, 6.0
CALM_SECONDS = 0.5  # so long a group must stay as it is


class SideFailedError(Exception):
    """A side did not do what it was started for."""


class Look(NamedTuple):
    """What was counted until a moment."""

    at: float
    done: int
    cpu: float  # seconds, of the side
    broker_cpu: float
    received: int  # bytes, of the side
    moment: Moment


class Place:
    """Where it all happens: a broker with its topics."""

    def __init__(self, cluster: Cluster) -> None:
        self.broker = cluster.node().pid
        self.idle = 0.0  # of a core, which the broker uses when nobody asks it
        self.topics = Topics(cluster.bootstrap)
        self.bootstrap = cluster.bootstrap

    def rest(self) -> None:
        """Look at the broker while nobody asks it."""
        self.idle = min(self._used_in_a_second() for _ in range(IDLE_SECONDS))

    def _used_in_a_second(self) -> float:
        before, began = usage.cpu_seconds([self.broker]), time.monotonic()
        time.sleep(1.0)
        return (usage.cpu_seconds([self.broker]) - before) / (time.monotonic() - began)

    def moment(self, side: List[int]) -> Moment:
        """What everybody has used by now. `side`: the processes of the side that is measured."""
        return Moment(time.monotonic(), usage.machine(), usage.cpu_seconds([os.getpid(), self.broker, *side]))


def warm(place: Place, side: Side, shape: Shape) -> None:
    """A broker compiles its code as it is used: without this, who is measured first is measured with a slow one."""
    for _ in range(WARM_RUNS):
        with Run(place, side, shape, NOTHING) as run:
            run.through(WARM_SECONDS)
    place.rest()


class Run:
    """Use it in a `with`: the side is on its way inside."""

    def __init__(self, place: Place, side: Side, shape: Shape, task: str, *, topic: str = "", **changes: Any) -> None:
        """`topic`: one of its own, in place of one with all messages of that shape. `changes`: of the setting."""
        self.place = place
        self.shape = shape
        self._side = side
        self._path = str(Path(SHARED if os.path.isdir(SHARED) else tempfile.gettempdir()) / f"bench-{uuid.uuid4().hex}")
        self.setting = Setting(
            bootstrap=place.bootstrap, topic=topic or place.topics.filled(shape), group=f"bench-{uuid.uuid4().hex[:8]}",
            marks=self._path, shape=shape, task=task, **changes,
        )  # fmt: skip
        self.marks: Marks
        self.running: Running
        self.begin: Moment
        self.started = 0.0

    def __enter__(self) -> Run:  # noqa: PYI034 (typing.Self needs Python 3.11)
        self.marks = Marks.create(self._path, self.shape.messages)
        self.begin = self.place.moment([])
        self.started = time.monotonic()
        try:
            self.running = self._side.start(self.setting)
        except BaseException:
            os.unlink(self._path)
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.running.close()
        os.unlink(self._path)

    def look(self) -> Look:
        """What has been counted by now."""
        at, done = time.monotonic(), self.marks.count()
        pids = self.running.processes()
        moment = self.place.moment(pids)
        broker_cpu, received = usage.cpu_seconds([self.place.broker]), usage.received_bytes(pids)
        return Look(at, done, usage.cpu_seconds(pids), broker_cpu, received, moment)

    def until(self, done: int, seconds: float) -> bool:
        """Wait until so many are done, or for so long; whether they are."""
        limit = time.monotonic() + seconds
        while self.marks.count() < done:
            if time.monotonic() > limit:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def first(self) -> float:
        """Wait for the first message; seconds since the start."""
        limit = time.monotonic() + FIRST_SECONDS
        while not self.until(1, 1.0):
            if time.monotonic() > limit or self.running.complaint():
                raise SideFailedError(f"no message was done within {FIRST_SECONDS:g} s: {self.running.complaint()}")
        return time.monotonic() - self.started

    def complete(self) -> None:
        """Wait until the group has all of its members, and stays so for a moment."""
        if not self.running.members:
            return
        group, admin = self.setting.group, self.place.topics.admin
        limit = time.monotonic() + COMPLETE_SECONDS + COMPLETE_EACH * self.running.members
        since: Optional[float] = None
        while since is None or time.monotonic() - since < CALM_SECONDS:
            calm = admin.group_state(group) == "STABLE" and len(admin.members(group)) >= self.running.members
            since = (since or time.monotonic()) if calm else None
            if time.monotonic() > limit or self.running.complaint():
                raise SideFailedError(f"the group is not complete: {self.running.complaint()}")
            time.sleep(0.1)

    def through(self, seconds: float) -> Measured:
        """From the first message to the last, but no longer than so many seconds: what a message costs."""
        self.first()
        before = self.look()
        self.until(self.shape.messages, seconds)
        return self.between(before, self.look())

    def steadily(self, lead: float, seconds: float) -> Measured:
        """So many seconds, from when it runs evenly on."""
        self.complete()
        self.first()
        time.sleep(lead)
        before = self.look()
        self.until(self.shape.messages, seconds)
        return self.between(before, self.look())

    def between(self, before: Look, after: Look) -> Measured:
        """Rates and costs."""
        if self.running.complaint():
            raise SideFailedError(self.running.complaint())
        done, seconds = after.done - before.done, after.at - before.at
        values = {"rate": done / seconds, "worker_mb": self.worker_mb()}
        if done:
            values["cpu"] = 1e6 * (after.cpu - before.cpu) / done
            asked = after.broker_cpu - before.broker_cpu - self.place.idle * seconds
            values["broker"] = 1e6 * max(0.0, asked) / done
            values["bytes"] = (after.received - before.received) / done
        return Measured(values, before.moment.others(after.moment))

    def whole(self, values: Dict[str, float]) -> Measured:
        """These values, of all the time since the start."""
        return Measured(values, self.begin.others(self.place.moment(self.running.processes())))

    def worker_mb(self) -> float:
        """The largest of those that do tasks."""
        return max(map(usage.resident_mb, self.running.workers()), default=0.0)
