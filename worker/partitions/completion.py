"""The outcome of a task, for everybody but the thread pool, which has the same written out in its one loop. A task whose
handler returned something to be produced has its outcome only when that is stored. Pure."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Optional, Sequence

from kafka_worker.partitions.tracker import DONE, OPEN, RUNNING
from kafka_worker.partitions.undecided import Returned
from kafka_worker.shared.foreign.answers import Send

if TYPE_CHECKING:
    from kafka_worker.partitions.lanes import Task


def look(result: Any, tasks: Sequence[Task]) -> Optional[Returned]:
    """What is to be produced of what a handler returned, if anything. Raises TypeError for what can only be a mistake, and
    would be a message lost without a word, and ValueError for a `Send` that was changed into something else: the call is a
    failed attempt then. What is to be produced is copied: whoever has the handler's own may change it at any time."""
    if isinstance(result, Send):
        return Returned(tasks, [Send.checked(result)])
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()  # else Python complains that nobody awaited it
        raise TypeError("the handler returned something to be awaited, so it has done nothing yet; wanted: async def")
    if not isinstance(result, (list, tuple)):
        return None
    listed = list(result)
    if not any(isinstance(each, Send) for each in listed):
        return None
    if not all(isinstance(each, Send) for each in listed):
        raise TypeError("the handler returned a list in which some are a Send and some are not")
    return Returned(tasks, list(map(Send.checked, listed)))


def running(task: Task) -> None:
    """It starts: in the journal this is the witness of what ran when the process died."""
    task[1].flags[task[0] + task[1].shift] = RUNNING


def unfinished(task: Task) -> None:
    """It runs no more, and has no outcome yet."""
    task[1].flags[task[0] + task[1].shift] = OPEN


def done(task: Task) -> bool:
    """It has its outcome. Its follower, if it has one, may run; whether there is one."""
    offset, segment, _message, lane, _attempt = task
    segment.flags[offset + segment.shift] = DONE
    follower = lane.release() if lane is not None else None
    if follower is not None:
        segment.partition.queue.put(follower)
    return follower is not None
