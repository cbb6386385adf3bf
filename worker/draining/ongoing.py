"""Calls that outlast the loss of their partition. A process cut off from the group for longer than a session (brokers away, a
machine asleep) loses its partitions, and usually has them back a moment later, while its handlers still run: what they work on
comes again, and would be called a second time beside the first, in one process, whatever the order of its key.

So a message whose call still runs waits for that call here: it is done if that returns, and runs again if not. But only if the
group has stood still meanwhile: the broker must hold the commit of that very assignment, or the one it began with.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Set, Tuple

from kafka_worker.outcomes.decisions import Decisions
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, facts_of, finish, id_of, in_words, is_finished, is_void, offset_of, partition_of
from kafka_worker.partitions.undecided import Returned, Undecided
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.runner import Runner
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.snapshot import TopicPartition

log = logs.logger(__name__)

SELDOM_SECONDS = 5.0  # between two looks at what is remembered for the next loss, its messages and all
LOOK_SECONDS = 0.1  # between two looks at what runs: that may be thousands of calls, and one of them may take an hour


class Ongoing:
    """Those of one process. Consumer thread only, but for `now`."""

    def __init__(
        self, all_running: Callable[[], List[Tuple[HandlerThread, Task]]], decisions: Decisions, pool: Runner
    ) -> None:
        """None."""
        self._all_running = all_running
        self._decisions = decisions
        self._pool = pool
        self._known: Dict[Partition, Dict[int, Task]] = {}  # by partition as it is now, and offset, until that is delivered
        self._last: Dict[int, Tuple[Task, Partition]] = {}  # by identity: a task that runs; who knew of it last
        self._held: Dict[int, Tuple[Task, Task]] = {}  # by identity: a task that runs, and the one that waits for it
        self._look_at = self._drop_at = 0.0  # monotonic seconds

    def receive(self, partitions: Iterable[Partition]) -> None:
        """These have just come, and what was done of them is known."""
        running: Dict[TopicPartition, Dict[int, Task]] = {}  # may be thousands, and hundreds of partitions may come
        last = {}
        for task in [task for _, task in self._all_running() if not is_void(task)]:
            topic, number, offset = id_of(task)
            running.setdefault((topic, number), {})[offset] = task
            last[id(task)] = self._last.get(id(task), (task, partition_of(task)))
        for partition in partitions if running else ():
            calls = running.get(partition.name, {})
            known = {offset: task for offset, task in calls.items() if _again(partition, last[id(task)][1])}
            if known:
                self._known[partition] = known
                last.update({id(task): (task, partition) for task in known.values()})
        self._last = last

    def without(self, partition: Partition, tasks: List[Task]) -> List[Task]:
        """Of tasks that were just delivered, those that no call is at work on. The others wait for their call."""
        calls = self._known.get(partition)
        if calls is None:
            return tasks
        free = []
        for task in tasks:
            call = calls.pop(offset_of(task), None)
            if call is None:
                free.append(task)
            else:
                self._hold(task, call)
        if not calls:
            del self._known[partition]
        return free

    def _hold(self, task: Task, call: Task) -> None:
        self._held[id(call)] = call, task
        log.info(
            "%s still runs from before its partition was lost: it is not called again beside that",
            in_words(task), extra=about(Event.CALL_GOES_ON, **facts_of(task)),
        )  # fmt: skip

    def now(self, task: Task) -> Task:
        """What a running task stands for by now: itself, or the one that waits for it. Any thread."""
        call, waiting = self._held.get(id(task), (None, task))
        return waiting if call is task else task

    def take_out(self, partition: Partition, offset: int) -> Optional[Task]:
        """Take out the task of this offset, if it waits for a call that has not returned: from now on that goes on in vain."""
        for name, (call, task) in self._held.items():
            if partition_of(task) is partition and offset_of(task) == offset and not is_finished(call):
                del self._held[name]
                return task
        return None

    def taken_over(self, undecided: Undecided) -> List[Task]:
        """The tasks that wait for the call that has left this: what it returned to be sent is theirs, all of it or none."""
        held = [self._held[id(task)] for task in undecided.tasks if id(task) in self._held]
        tasks = [task for _, task in held if not partition_of(task).closing.forgotten]
        if not isinstance(undecided, Returned) or len(tasks) < len(undecided.tasks):
            return []
        for call, _ in held:
            del self._held[id(call)]
        return tasks

    def turn(self, now: float) -> None:
        """Once in a turn: see what came of the calls that are over."""
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self.collect()
        if self._last and now >= self._drop_at:
            self._drop_at = now + SELDOM_SECONDS
            running = {id(task) for _, task in self._all_running()}
            self._last = {name: known for name, known in self._last.items() if name in running}

    def collect(self) -> None:
        """The same, at once, for whoever waits for them."""
        if not self._held:
            return
        # In this order: what has just stopped running has left what is to be decided.
        running = {id(task) for _, task in self._all_running()}
        running.update(self._undecided())
        for name in [name for name in self._held if name not in running]:
            call, task = self._held.pop(name)
            if partition_of(task).closing.forgotten:
                continue
            if not is_finished(call):
                self._decisions.requeue([task])
            elif finish(task):
                self._pool.wake(1)

    @property
    def undecided(self) -> Set[Partition]:
        """The partitions of those whose call has left something that is still to be decided."""
        undecided = self._undecided() if self._held else set()
        return {partition_of(task) for name, (_, task) in self._held.items() if name in undecided}

    def _undecided(self) -> Set[int]:
        return {id(task) for each in self._pool.undecided.copy() for task in each.tasks}

    def forget(self, partition: Partition) -> None:
        """It is no longer ours, or begins anew."""
        self._known.pop(partition, None)


def _again(partition: Partition, before: Partition) -> bool:
    """Whether nobody else has committed anything since `before`, an earlier assignment of the same partition."""
    return before is not partition and partition.stored.names.found in before.stored.names
