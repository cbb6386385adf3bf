"""Where suspects are run: messages that were running when their process died (see `suspects`). Each runs alone in a task
process, so that only this process dies of it, and the culprit is known. To everybody else it is a pool like any other: the
task is noted while it runs, its lane is held, its partition may be closed.

There are a few threads, each with a task process of its own: a process that dies may leave hundreds of suspects (coroutines,
batches), which would take too long one after the other.

No message becomes a dead letter for having been there when a process died: it takes a death in a task process, where it runs
alone, so that no other can have caused it.

A suspect has to be told from other messages wherever it comes from: the broker, its lane, a retry. All of them put it into its
partition's queue, so the queue of a partition with suspects sorts them out. That of any other partition knows nothing of them,
and costs nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Iterable, List, Optional, Set

from kafka_worker.handler.loading import Kind
from kafka_worker.isolation.isolated import Isolated
from kafka_worker.isolation.task_process import TaskDiedError, TaskProcess
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import FirstComeFirstServed, Queue
from kafka_worker.partitions.task import Task, TaskId, id_of, is_void, offset_of, partition_of
from kafka_worker.pools import scheduled
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.runner import Runner
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.suspects import FETCHED
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.settings import Settings

log = logs.logger(__name__)

AT_ONCE = 4  # suspects that run at once, each in its own process
LISTED = 20  # suspects in one log line


class Quarantine(Pool):
    """The suspects of one process."""

    name = "quarantine-%d"

    def __init__(
        self, settings: Settings, slot: int, pool: Runner, suspects: SuspectsFile, wall: Callable[[], float] = time.time
    ) -> None:
        """What fails or is kept back goes into the lists of `pool`. Threads start with the first suspects. `wall`:
        seconds since 1970."""
        super().__init__(AT_ONCE, scheduled.of_settings(settings, Kind.THREAD, self._run, wall))
        self.undecided, self.kept_back = pool.undecided, pool.kept_back
        self._wake_others = pool.wake
        self._queue = _Line()
        self.suspects = suspects
        for thread in self.threads:
            thread.apart = True
        self._isolated = Isolated(settings, slot, TaskProcess)
        self._named = {thread.name: thread for thread in self.threads}
        self._max_deaths = settings.max_deaths
        self._started = False

    # ---- consumer thread ------------------------------------------------------------------------------------------

    def blame(self, places: List[TaskId], when: str = "this slot's process died") -> None:
        """These were running then. Those that were suspects already are not to blame: they ran apart, and were cut off by that
        death like everybody else."""
        known = self.suspects.read() if places else {}
        new = [place for place in places if place not in known]
        if new:
            self.suspects.blame(new, "was running when " + when.replace("this slot's", "its"))
            listed = ", ".join("{}[{}] offset {}".format(*place) for place in new[:LISTED])
            log.warning("Running when %s, and now run apart, each alone: %s", when, listed, extra=about(Event.SUSPECTS))

    def receive(self, partitions: Iterable[Partition]) -> None:
        """These were assigned just now, and nothing of them is delivered yet."""
        known = [place for place, each in self.suspects.read().items() if each.how != FETCHED]
        for partition in partitions:
            offsets = {offset for topic, number, offset in known if (topic, number) == partition.name}
            done = set(filter(partition.stored.is_done, offsets))
            self.suspects.forget((*partition.name, offset) for offset in done)
            if offsets - done:
                partition.queue = Sorting(partition.queue, self._wake_others, offsets - done, self.admit)
                self._start_once()

    def delay(self, task: Task, error: TaskDiedError) -> Optional[float]:
        """Seconds until a task that has died alone runs again; None: never, it becomes a dead letter."""
        place = id_of(task)
        deaths = self.suspects.blame([place], error.how)[place].deaths
        return None if deaths >= self._max_deaths else 0.0

    def finished(self, task: Task) -> None:
        """The task has an outcome."""
        self.suspects.forget([id_of(task)])

    def abandon(self) -> List[Task]:
        """Give up suspects of closed partitions that wait for their turn: one after the other they might take longer than a
        drain. Whoever gets the partition next knows them."""
        return self._sift(lambda task: partition_of(task).closing.closed)

    def look_again(self) -> None:
        """Operators have changed what is paused."""
        self._sift(lambda _: False)

    def take_out(self, partition: Partition, offset: int) -> Optional[Task]:
        """Take out the suspect of this offset, if it waits for its turn."""
        found = self._sift(lambda task: partition_of(task) is partition and offset_of(task) == offset)
        return found[0] if found else None

    def _sift(self, wanted: Callable[[Task], bool]) -> List[Task]:
        """Take out those that wait and are wanted. All others may run when their turn comes."""
        found: List[Task] = []
        others: List[Task] = []
        for task in self._queue.taken():
            (found if wanted(task) else others).append(task)
        self._queue.extend(others)
        self.wake(len(others))
        return found

    # ---- any thread -----------------------------------------------------------------------------------------------

    def admit(self, task: Task) -> None:
        """A suspect may run when its turn comes. The newest comes last: one that dies again keeps nobody waiting."""
        self._queue.extend([task])
        self.wake(1)

    @property
    def count(self) -> int:
        """Suspects that wait for their turn, or run."""
        return len(self.in_line()) + sum(not is_void(task) for _, task in self.running())

    def in_line(self) -> List[Task]:
        """Suspects that wait for their turn."""
        return [*self._queue.listed(), *self._queue.passed.copy()]

    # ---- the quarantine's own threads -----------------------------------------------------------------------------

    def _run(self, message: Any, partition: Partition, attempt: int) -> Any:
        result = self._isolated(message, partition, attempt)
        task = self._named[threading.current_thread().name].task
        if task is not None:
            self.suspects.forget([id_of(task)])
        return result

    def _serve_one(self, thread: HandlerThread, pop: Callable[[], Task]) -> bool:
        served = super()._serve_one(thread, pop)
        if not len(self._queue):
            self._isolated.close()  # suspects are rare, and a process that waits for them takes memory
        return served

    def _start_once(self) -> None:
        if not self._started:
            self._started = True
            self.serve([self._queue])
            self.start()


class _NeverPassedBy(Deque[Task]):
    """Every thread that looks for a task looks into it, even when it is empty."""

    def __bool__(self) -> bool:
        return True


class _Line(FirstComeFirstServed):
    """The suspects' queue. Those of partitions that an operator has paused let the others pass. A thread that finds nothing in
    it gives up its task process."""

    holder = _NeverPassedBy

    def __init__(self) -> None:
        """Nobody waits."""
        super().__init__()
        self.passed: Deque[Task] = deque()
        self._first = self.pop
        self.pop = self._pop

    def taken(self) -> List[Task]:
        """Take out all of them. Consumer thread."""
        passing = list(iter(self.next, None))
        return [*(self.passed.popleft() for _ in range(len(self.passed))), *passing]

    def _pop(self) -> Task:
        """Any thread. IndexError: nobody waits who may run."""
        task: Task = self._first()
        while partition_of(task).flow.suspended:
            self.passed.append(task)
            if not partition_of(task).flow.suspended:  # it goes on: those who passed may have been looked at before
                with contextlib.suppress(ValueError):  # it was taken then
                    self.passed.remove(task)
                    self.put(task)
            task = self._first()
        return task


class Sorting(Queue):
    """The queue of a partition that has suspects, which are admitted elsewhere. Any thread, like every queue."""

    def __init__(self, others: Queue, wake: Callable[[int], None], suspects: Set[int], admit: Callable[[Task], None]) -> None:
        """`others` takes the tasks that are no suspects, and `wake` wakes those who serve it; `suspects`: their offsets."""
        self._others, self.tasks = others, others.tasks  # suspects do not wait here
        self._wake = wake
        self._suspects = suspects
        self.topic = others.topic
        self._last = max(suspects)
        self._admit = admit
        self.pop = others.pop
        self.extend = self._extend
        self.put = self._put

    def listed(self) -> List[Any]:
        """All that wait and are no suspects."""
        return self._others.listed()

    def find(self, offset: int) -> Any:
        """The task of this offset, if it is no suspect."""
        return self._others.find(offset)

    def _extend(self, tasks: Iterable[Task]) -> None:
        listed = list(tasks)
        if listed and listed[0][0] > self._last:
            self._others.extend(listed)
            return
        self._others.extend(task for task in listed if offset_of(task) not in self._suspects)
        for task in listed:
            if offset_of(task) in self._suspects:
                self._admit(task)

    def _put(self, task: Task) -> None:
        if offset_of(task) in self._suspects:
            self._admit(task)
        else:
            self._others.put(task)
            self._wake(1)  # a suspect's follower comes from our threads, which do not serve that queue
