"""What calls of handlers do: in threads, in lists, as coroutines, in task processes. They return, raise, send, wish, reject,
go on until they are told to end; and for a while what they need may be away, so that all fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from kafka_worker.handler.context import Context
from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, attempt_of, message_of, partition_of
from kafka_worker.shared.foreign.answers import Reject, Retry, Send
from tests.simulation.broker import RESULTS, identity
from tests.simulation.oracle import Id

if TYPE_CHECKING:
    from tests.simulation.child import Life

SECONDS = (0.0, 0.0, 0.0, 0.01, 0.3, 2.0, 9.0, 25.0)  # that a call takes
#: How it ends, and how often; "some": that of some of a list, and the others are done.
ENDS = {"return": 7, "raise": 2, "send": 1, "retry": 1, "reject": 1, "obey": 1, "some": 2}
MEETS = 0.4  # the share of calls that end when others come, if that is sooner
WISHES = (0.0, 20.0, 45.0)  # seconds until the next attempt


class Handlers:
    """Those of one process."""

    def __init__(self, life: Life) -> None:
        """`life` says what goes on."""
        self._life = life
        self._oracle = life.oracle
        self._chance = life.broker.chance
        self._calm = life.plan.calm
        self._ends_by = dict(life.plan.ends)
        if life.plan.settings["delivery"] == "exactly-once":
            self._ends_by["send"] += 6

    # ---- one message ----------------------------------------------------------------------------------------------

    def call(self, message: Any, partition: Partition, attempt: int) -> Any:
        """In a thread."""
        task, what, seconds = self._begins([message], partition, attempt)
        if what == "obey":
            context = Context(message, partition, attempt)
            self._life.scheduler.wait(60.0, lambda: context.cancelled)
            what = "cancelled" if context.cancelled else "return"
        else:
            self._takes(seconds, partition)
        return self._ends(task[0], what, partition)

    async def coroutine(self, message: Any, partition: Partition, attempt: int) -> Any:
        """In the event loop."""
        task, what, seconds = self._begins([message], partition, attempt)
        if what == "obey":
            context = Context(message, partition, attempt)
            for _ in range(60):
                if not context.cancelled:
                    await asyncio.sleep(1.0)
            what = "cancelled" if context.cancelled else "return"
        else:
            await asyncio.sleep(seconds)
        return self._ends(task[0], what, partition)

    def apart(self, message: Any, partition: Partition, attempt: int) -> Any:
        """In a task process, which may die."""
        if not self._calm and self._chance.random() < 0.2:
            task = identity(message)
            self._life.rejected.add(task)
            self._oracle.failed([task])
            raise TaskDiedError("killed by chance", 0, "")
        return self.call(message, partition, attempt)

    def _ends(self, task: Id, what: str, partition: Partition) -> Any:
        done, kept = what == "return", not partition.closing.forgotten
        self._oracle.returned(task, self._life.scheduler.now, done=done, remembered=kept)
        if done:
            return None
        if what == "send":
            return self._sends([task])
        raise self._error(task, what)

    # ---- lists ----------------------------------------------------------------------------------------------------

    def batch(self, tasks: Sequence[Task]) -> Tuple[Any, Dict[int, BaseException]]:
        """In a thread, with several messages. Gives what it returned, and what is wrong with some."""
        partition, first = partition_of(tasks[0]), message_of(tasks[0])
        ids, what, seconds = self._begins(list(map(message_of, tasks)), partition, attempt_of(tasks[0]))
        if what == "obey":
            context = Context(first, partition, attempt_of(tasks[0]))
            self._life.scheduler.wait(60.0, lambda: context.cancelled)
            what = "cancelled" if context.cancelled else "return"
        else:
            self._takes(seconds, partition)
        some = self._chance.sample(range(len(ids)), self._chance.randint(1, len(ids))) if what == "some" else []
        good = [task for index, task in enumerate(ids) if index not in some]
        sends = what == "send" or (what == "some" and bool(good) and self._chance.random() < 0.3)
        now, kept = self._life.scheduler.now, not partition.closing.forgotten
        for task in ids:
            done = task in good and not sends and what in {"return", "some"}
            self._oracle.returned(task, now, done=done, remembered=kept)
        if what not in {"return", "some", "send"}:
            raise self._error(ids[0], what, counts=len(ids) == 1)  # else each is called alone
        failures = {index: self._error(ids[index], self._chance.choice(["raise", "retry", "reject"])) for index in some}
        return self._sends(good) if sends else None, failures

    # ---- what all have in common ----------------------------------------------------------------------------------

    def _begins(self, messages: List[Any], partition: Partition, attempt: int) -> Tuple[List[Id], str, float]:
        """Which messages they are, how the call ends, and after how many seconds."""
        now, chance = self._life.scheduler.now, self._chance
        tasks = list(map(identity, messages))
        for task in tasks:
            self._oracle.called(task, now, attempt)
        what = "return" if self._calm else chance.choices(list(self._ends_by), list(self._ends_by.values()))[0]
        if now < self._life.broker.down_until:
            what = "down"
        return tasks, what, chance.choice(SECONDS[:4] if self._calm or what == "down" else SECONDS)

    def _takes(self, seconds: float, partition: Partition) -> None:
        """Some calls end just when more of their partition is taken in."""
        tracker = partition.tracker
        before, meets = tracker.next_offset, self._chance.random() < MEETS
        self._life.scheduler.wait(seconds, (lambda: tracker.next_offset > before) if meets else None)

    def _sends(self, tasks: List[Id]) -> Any:
        values = self._oracle.promise(tasks, self._chance.choice([1, 1, len(tasks), 3]))
        sends = [Send(RESULTS, value) for value in values]
        return sends if len(sends) > 1 else sends[0]

    def _error(self, task: Id, what: str, *, counts: bool = True) -> BaseException:
        if what == "cancelled":
            return InterruptedError("told to")
        if counts:
            self._oracle.failed([task])
        if what == "down":
            return ConnectionError("what it needs is away")
        if what == "reject":
            self._life.rejected.add(task)
            return Reject()
        return Retry(after=self._chance.choice(WISHES)) if what == "retry" else RuntimeError("it fails")
