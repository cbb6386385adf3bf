"""A task: one message on its way, from delivery to its outcome. What it consists of, and how it gets its outcome: for all but
the thread pool, which has the same written out in its one loop. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, Hashable, Optional, Tuple

from kafka_worker.partitions.tracker import DONE, OPEN, RUNNING
from kafka_worker.shared.foreign.digest import digest
from kafka_worker.shared.foreign.headers import trace_id_of

if TYPE_CHECKING:
    from kafka_worker.partitions.assignment import Partition
    from kafka_worker.partitions.tracker import Segment

#: (offset, segment, message, name of its lane or None, attempt, partition). A plain tuple: it is the only object a message
#: costs. Tasks of one partition compare by their offsets.
Task = Tuple[int, "Segment", Any, Optional[Hashable], int, "Partition"]

TaskId = Tuple[str, int, int]  # topic, partition and offset: the same in every process


# ---- what it consists of ----------------------------------------------------------------------------------------------


def offset_of(task: Task) -> int:
    """Its place in its partition."""
    return task[0]


def message_of(task: Task) -> Any:
    """What was delivered, or what stands for it (see `retry_topics`)."""
    return task[2]


def attempt_of(task: Task) -> int:
    """The number of its present or next attempt; the first is 1."""
    return task[4]


def followers_of(task: Task) -> int:
    """How many wait for it, to keep the order."""
    return task[5].lanes.behind(task[0])


def partition_of(task: Task) -> Partition:
    """The assignment under which it was delivered."""
    return task[5]


def id_of(task: Task) -> TaskId:
    """Its name in other processes, which know nothing of our assignments."""
    return (*task[5].name, task[0])


def in_words(task: Task) -> str:
    """How logs name it: `orders[3] offset 17`."""
    return f"{task[5]} offset {task[0]}"


def facts_of(task: Task) -> Dict[str, Any]:
    """What log records say of it, in their own fields. A key may be a secret, and is told by a hash."""
    key = task[2].key()
    hashed = None if key is None else digest(key, 12)
    told = {"offset": task[0], "attempt": int(task[4]), "key_hash": hashed, "trace_id": trace_id_of(task[2])}
    return {**task[5].facts, **told}


def kept_back(task: Task) -> bool:
    """Whether it must not be started any more, because its partition is closed."""
    closing = task[5].closing
    return closing.closed and task[0] >= closing.frontier


def is_void(task: Task) -> bool:
    """Whether nothing that comes of its call counts, because it was parked while that ran."""
    void = task[5].void
    return bool(void) and task[0] in void


def why_void(task: Task) -> str:
    """Why nothing that comes of its call counts, in words; empty: it does count."""
    return "parked" if is_void(task) else "its partition is gone" if task[5].closing.forgotten else ""


def with_attempt(task: Task, attempt: int) -> Task:
    """The task again, as that attempt."""
    return (*task[:4], attempt, task[5])


# ---- its attempts -----------------------------------------------------------------------------------------------------


class Attempt(int):
    """The number of an attempt of a message that has failed before, and since when. These are attributes of the number: so
    messages that never fail pay nothing, and they go with the task and end with it."""

    failing_since: float  # monotonic seconds; infinite: no failure has counted yet
    failed_at: float  # the last failure, whether it counted or not; infinite: not known

    def __new__(  # noqa: PYI034 (typing.Self needs Python 3.11)
        cls, number: int, failing_since: float, failed_at: float = math.inf
    ) -> Attempt:
        """Attempt number `number`."""
        made = super().__new__(cls, number)
        made.failing_since, made.failed_at = failing_since, failed_at
        return made

    def __reduce__(self) -> Tuple[type, Tuple[int]]:
        """In another process it is a number only."""
        return int, (int(self),)


def is_first(attempt: int) -> bool:
    """Whether its message was never tried before, as far as is known."""
    return attempt == 1 and type(attempt) is int


def age_of(attempt: int, now: float) -> float:
    """Seconds since the first failure of a task, when attempt number `attempt` has failed at `now` (monotonic seconds)."""
    return max(0.0, now - attempt.failing_since) if isinstance(attempt, Attempt) else 0.0


def failed_before(attempt: int) -> float:
    """When the message of this attempt last failed (monotonic seconds); infinite: it did not."""
    return attempt.failed_at if isinstance(attempt, Attempt) else math.inf


def spared(task: Task, now: float) -> Task:
    """The task, which failed at `now` without its counting, as the attempt that it was."""
    attempt = attempt_of(task)
    since = attempt.failing_since if isinstance(attempt, Attempt) else math.inf
    return with_attempt(task, Attempt(attempt, since, now))


# ---- its outcome ------------------------------------------------------------------------------------------------------


def mark_running(task: Task) -> None:
    """It starts: in the journal this is the witness of what ran when the process died."""
    task[1].flags[task[0] + task[1].shift] = RUNNING


def mark_open(task: Task) -> None:
    """It does not run any more, and has no outcome yet."""
    task[1].flags[task[0] + task[1].shift] = OPEN


def is_finished(task: Task) -> bool:
    """Whether it has its outcome."""
    return bool(task[1].flags[task[0] + task[1].shift] == DONE)


def finish(task: Task) -> bool:
    """It has its outcome; its follower, if there is one, may run. Returns whether there is one."""
    offset, segment, _message, _lane, _attempt, partition = task
    segment.flags[offset + segment.shift] = DONE
    follower = partition.lanes.pop(offset, None)
    if follower is not None:
        partition.queue.put(follower)
    return follower is not None
