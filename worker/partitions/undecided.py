"""What handler threads leave for the consumer thread to decide about. It is one of three: a call that `Raised`, one that
`Returned` something to be produced, a batch that failed (`BatchFailed`) and has not said by whose fault. A task that simply
succeeds leaves nothing but its flag, and costs none of this. Pure.
"""

from __future__ import annotations

from typing import List, Sequence, Union

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import Task
from kafka_worker.shared.foreign.answers import Send


class _OfTasks:
    """What all three have: tasks of one partition, none of which has an outcome yet."""

    __slots__ = ("tasks",)

    def __init__(self, tasks: Sequence[Task]) -> None:
        """At least one task; in a task process none, where nobody decides."""
        self.tasks = tasks

    @property
    def partition(self) -> Partition:
        """Of all of them."""
        return self.tasks[0][1].partition


class Raised(_OfTasks):
    """The handler has raised for one task."""

    __slots__ = ("error",)

    def __init__(self, task: Task, error: BaseException) -> None:
        """`error`: a copy, with nothing of the user's in it."""
        super().__init__((task,))
        self.error = error

    @property
    def task(self) -> Task:
        """The only one."""
        return self.tasks[0]


class Returned(_OfTasks):
    """The handler has returned something to be produced: its tasks, one or those of a batch, are done when it is stored."""

    __slots__ = ("sends",)

    def __init__(self, tasks: Sequence[Task], sends: List[Send]) -> None:
        """In the order of the list."""
        super().__init__(tasks)
        self.sends = sends


class BatchFailed(_OfTasks):
    """A call with several tasks has failed, and not said which of them it is about."""

    __slots__ = ("error",)

    def __init__(self, tasks: Sequence[Task], error: BaseException) -> None:
        """`error`: a copy."""
        super().__init__(tasks)
        self.error = error


Undecided = Union[Raised, Returned, BatchFailed]


def failed(tasks: Sequence[Task], error: BaseException) -> Union[Raised, BatchFailed]:
    """A call with these tasks: of a single one it is the failure, of several it is nobody's yet."""
    return Raised(tasks[0], error) if len(tasks) == 1 else BatchFailed(tasks, error)
