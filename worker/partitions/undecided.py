"""What handler threads leave for the consumer thread to decide about. It is one of three: a call that `Raised`, one that
`Returned` something to produce, or a batch that failed (`BatchFailed`) without saying whose fault it was. A task that simply
succeeds leaves only its flag, and costs none of this. Pure.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Union

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, is_void, partition_of
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.undone import must_be_done, must_hold_no_answer


class _OfTasks:
    """What all three have: tasks of one partition, none of which has an outcome yet."""

    __slots__ = ("tasks",)

    def __init__(self, tasks: Sequence[Task]) -> None:
        """At least one task; none in a task process, where nobody decides."""
        self.tasks = tasks

    @property
    def partition(self) -> Partition:
        """The partition of all these tasks."""
        return partition_of(self.tasks[0])

    def left(self) -> bool:
        """Forget those of its tasks that are void; whether there are others."""
        self.tasks = [task for task in self.tasks if not is_void(task)]
        return bool(self.tasks)


class Raised(_OfTasks):
    """The handler has raised for one task."""

    __slots__ = ("error",)

    def __init__(self, task: Task, error: BaseException) -> None:
        """`error`: a copy that holds nothing of the user's."""
        super().__init__((task,))
        self.error = error

    @property
    def task(self) -> Task:
        """The only task."""
        return self.tasks[0]


class Returned(_OfTasks):
    """The handler has returned something to produce: its tasks, one or those of a batch, are done when that is stored."""

    __slots__ = ("sends",)

    def __init__(self, tasks: Sequence[Task], sends: List[Send]) -> None:
        """The tasks are in the order of the list."""
        super().__init__(tasks)
        self.sends = sends


class BatchFailed(_OfTasks):
    """A call with several tasks has failed, without saying which of them is to blame."""

    __slots__ = ("error",)

    def __init__(self, tasks: Sequence[Task], error: BaseException) -> None:
        """`error`: a copy."""
        super().__init__(tasks)
        self.error = error


Undecided = Union[Raised, Returned, BatchFailed]


def failed(tasks: Sequence[Task], error: BaseException) -> Union[Raised, BatchFailed]:
    """A call with these tasks has failed: a single one is to blame, of several nobody is yet."""
    return Raised(tasks[0], error) if len(tasks) == 1 else BatchFailed(tasks, error)


def sends_of(result: Any, tasks: Sequence[Task]) -> Optional[Returned]:
    """What to produce of what a handler returned, if anything. Raises TypeError for what can only be a mistake (a message
    would be lost without a word), and ValueError for a `Send` that was changed into something else: the call is a failed
    attempt then. What to produce is copied: whoever holds the handler's own object may change it at any time."""
    if isinstance(result, Send):
        return Returned(tasks, [Send.checked(result)])
    if not isinstance(result, (list, tuple)):
        must_be_done(result)
        must_hold_no_answer(result)
        return None
    listed = list(result)
    if not any(isinstance(each, Send) for each in listed):
        for each in listed:
            must_be_done(each)
            must_hold_no_answer(each)
        return None
    if not all(isinstance(each, Send) for each in listed):
        raise TypeError("the handler returned a list in which some are a Send and some are not")
    return Returned(tasks, list(map(Send.checked, listed)))
