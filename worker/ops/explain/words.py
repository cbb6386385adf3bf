"""What a partition waits for, in words. Pure."""

from __future__ import annotations

from typing import Dict, Iterable, Optional, Tuple

from kafka_worker.ops.tables import duration
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc.snapshot import HeadReport, PartitionReport, SlotReport, Waits

BEHIND_SECONDS = 5.0  # what has waited for less is on its way

#: What becomes of an offset.
SAID: Dict[Waits, str] = {
    Waits.RUNNING: "is running",
    Waits.QUEUED: "is queued for a thread",
    Waits.BEHIND_ITS_KEY: "is queued behind its key",
    Waits.RETRY: "waits for its next attempt",
    Waits.SCHEDULED: "waits until the time of its header deliver-at",
    Waits.BREAKER: "waits for a circuit breaker to close",
    Waits.SENDING: "waits for the broker to store what was sent of it",
    Waits.UNSTORED: "waits to be stored",
    Waits.SUSPECT: "waits for its turn to run apart, since it ran when a process died",
    Waits.LEAVING: "is not started here any more, since its partition goes away or the process ends",
    Waits.OPERATOR: "waits for an operator, who has paused it",
    Waits.HELD: "is held",
    Waits.PAUSED: "waits for room, which others in flight have",
    Waits.UNDELIVERED: "is not delivered yet",
    Waits.UNSEEN: "is between two steps",
}


_PARK = "park {place} --reason TEXT: it becomes a dead letter"

#: What lets go of it. `{pid}`: of its process; `{place}`: the message.
LET_GO: Dict[Waits, Tuple[str, ...]] = {
    Waits.RUNNING: (
        "its end. If it hangs: kill -ABRT {pid} (prints the stacks of its process, and ends it; what runs there runs again)",
        "HANDLER_TIMEOUT_SECONDS tells such a call by itself that it is cancelled, HANDLER_KILL_SECONDS ends it",
        f"{_PARK}, and its call goes on in vain",
    ),
    Waits.QUEUED: (
        "the end of what runs (status: the longest running tasks), or more THREADS or PROCESSES",
        "where its topic has a THREADS_SHARE, or the service MAX_MESSAGES_PER_SECOND: more of that",
    ),
    Waits.BEHIND_ITS_KEY: ("the end of what is before it in its key or partition: explain the partition", _PARK),
    Waits.RETRY: (
        "time: it runs by itself. What it raised is in the log; MAX_ATTEMPTS and RETRY_MAX_AGE_SECONDS end it",
        _PARK,
    ),
    Waits.SCHEDULED: ("time: it runs by itself. With RETRY_TOPICS, what has to wait longer holds no commit and no key", _PARK),
    Waits.BREAKER: (
        "whatever its handler depends on: when that works again, this goes on by itself (the log has its last error)",
        _PARK,
    ),
    Waits.SENDING: ("the broker's answer; check says whether brokers and topics are well",),
    Waits.UNSTORED: ("mending that topic or its rights (check says what is wrong); it is sent again every few seconds",),
    Waits.SUSPECT: ("time: suspects run one by one, and who ends its process again becomes a dead letter", _PARK),
    Waits.LEAVING: ("time: whoever gets the partition runs it (lag says who has it)",),
    Waits.OPERATOR: ("resume, by whoever knows that the reason is gone; pauses lists what is paused, by whom and why", _PARK),
    Waits.HELD: ("what is said above; the others go on meanwhile",),
    Waits.PAUSED: ("the end of what is in flight (status: the longest running tasks), or a larger MAX_IN_FLIGHT",),
    Waits.UNDELIVERED: ("the broker: within STALL_SECONDS status says what is wrong if nothing comes; check, lag",),
    Waits.UNSEEN: ("nothing: look again",),
}


#: In place of the first of these, where a call runs in a process of its own.
ALONE = "its end. If it hangs: kill -ABRT {pid} (its task process: prints its stacks, and ends this call alone)"

#: In place of all of them, for what has begun just now; and for what threads that are free may not start.
MOVES = ("its end: it runs since a moment. If the lag grows: more THREADS or PROCESSES, or a faster handler",)
LIMITED = ("time, or more of the setting that is named above",)

#: The same where a breaker stands for the messages, or their handler, and not for what that depends on.
STORM = "circuit breaker of dead letters"
STORMY = (
    "the end of what makes most messages dead letters (dead-letters list): one more is tried every BREAKER_OPEN_SECONDS",
    _PARK,
)

#: Said besides, where others of its key or partition wait for it.
IN_ORDER = "finer keys, or ORDERING=none where order does not matter: {followers} for this one, to keep it"
ORDERED = (Waits.RUNNING, Waits.QUEUED, Waits.BEHIND_ITS_KEY, Waits.RETRY, Waits.SCHEDULED)  # what else is wrong is no key's


def let_go(head: HeadReport, *, alone: bool) -> Tuple[str, ...]:
    """What lets go of it, the likeliest first. `alone`: its call has a process of its own."""
    lines = LET_GO[head.waits]
    if head.waits is Waits.RUNNING and 0 <= head.running < BEHIND_SECONDS:
        lines = MOVES
    elif head.waits is Waits.RUNNING and alone:
        lines = (ALONE, *lines[1:])
    elif head.waits is Waits.QUEUED and head.why:
        lines = LIMITED
    elif head.waits is Waits.BREAKER and STORM in head.why:
        lines = STORMY
    if not head.followers or head.waits not in ORDERED:
        return lines
    return (IN_ORDER, *lines) if lines is MOVES else (*lines, IN_ORDER)


def of_head(head: HeadReport, slot: SlotReport) -> str:
    """In one line: what it waits for, for how long, and where."""
    told = f"{SAID[head.waits]}{_details(head, slot)}{': ' + head.why if head.why else ''}"
    return f"{told}; {of_followers(head.followers)}" if head.followers else told


def of_followers(count: int) -> str:
    """How many messages in flight come after it."""
    return f"{count} {_wait(count)} for it, to keep the order"


def messages_wait(count: int) -> str:
    """So many of them do."""
    return f"{counted(count, 'message')} {_wait(count)}"


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"


def _details(head: HeadReport, slot: SlotReport) -> str:
    where = f"slot {slot.slot}, pid {slot.pid}"
    if head.waits is Waits.RUNNING:
        return f" for {duration(head.running)} (attempt {head.attempt}, {where}, {head.thread})"
    if head.waits is Waits.RETRY:
        return f", attempt {head.attempt}, in {duration(head.due_in)} ({where})"
    if head.waits is Waits.SCHEDULED:
        return f", in {duration(head.due_in)} ({where})"
    return f" ({where})"


def furthest_behind(slots: Iterable[SlotReport]) -> Optional[Tuple[SlotReport, PartitionReport, HeadReport]]:
    """The partition whose first message that is not done has waited longest, if there is one that is behind."""
    behind = [
        (slot, partition, partition.head)
        for slot in slots
        if slot.child and slot.pid
        for partition in slot.child.partitions
        if partition.head and _waited(partition, partition.head) >= BEHIND_SECONDS
    ]
    return max(behind, key=lambda found: _waited(found[1], found[2]), default=None)


def _waited(partition: PartitionReport, head: HeadReport) -> float:
    return max(partition.lag_seconds, head.seconds)


def known(number: int) -> str:
    """An offset, or how many; negative: nobody has told."""
    return str(number) if number >= 0 else "not known"


def of_lag(partition: PartitionReport) -> str:
    """How far it is behind, in messages and in seconds."""
    messages = known(partition.lag)
    return messages if partition.lag_seconds < 0 else f"{messages}, {duration(partition.lag_seconds)}"
