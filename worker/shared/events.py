"""What happens in a service, in words that do not change: programs that read its log, and whoever lists its events, go by
these. And what else a record may say of itself, besides its text. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Dict

#: The names, in the order in which a line of JSON has them.
FIELDS = (
    "event", "process", "pid", "slot", "topic", "partition", "offset", "to_offset", "count", "key_hash", "attempt",
    "error_type", "breaker", "reason", "user", "trace_id", "span_id",
)  # fmt: skip


class Event(str, Enum):
    """What a record tells of."""

    # the service
    SERVICE_STARTING = "service-starting"
    SERVICE_STOPPED = "service-stopped"
    SUPERVISOR_STATE = "supervisor-state"
    SUPERVISOR_REFUSED = "supervisor-refused"  # another one runs this group on this host
    SIGNAL_RECEIVED = "signal-received"
    HURRIED = "hurried"
    GIVEN_UP = "given-up"  # it ends, because a restart would not help
    FILES_GONE = "files-gone"
    FILES_MADE_ANEW = "files-made-anew"
    SUPERVISOR_GONE = "supervisor-gone"
    ORDERS_NOT_KEPT = "orders-not-kept"  # those of operators, or not read
    LOG_DROPPED = "log-dropped"  # nobody read the log for a while, and lines are missing
    HTTP_SERVED = "http-served"
    HTTP_NOT_SERVED = "http-not-served"
    FAULT = "fault"  # of our own

    # processes
    PROCESS_STARTED = "process-started"
    PROCESS_NOT_STARTED = "process-not-started"
    PROCESS_ENDED = "process-ended"
    PROCESS_HUNG = "process-hung"
    PROCESS_KILLED = "process-killed"
    PROCESS_STACKS = "process-stacks"  # where its threads were when it died
    PROCESS_RECYCLED = "process-recycled"
    ROLL_ENDED = "roll-ended"
    ROLL_GIVEN_UP = "roll-given-up"
    FORCED_END = "forced-end"  # its deadline was over
    NO_JOURNAL = "no-journal"
    OVERSIZED = "oversized"
    THREADS_MAX = "threads-max"
    TASK_PROCESS_STARTED = "task-process-started"
    TASK_PROCESS_ENDED = "task-process-ended"
    NO_TASK_PROCESS = "no-task-process"
    UNABLE = "unable"  # to run a task, for want of something that its message needs
    STRANGE_ANSWER = "strange-answer"  # of a copy that a handler has forked
    LOOP_DISTURBED = "loop-disturbed"  # the event loop, by a handler
    HINT_UNKNOWN = "hint-unknown"
    NOT_TRACED = "not-traced"  # spans are wanted, and nothing takes them

    # the group and the broker
    ASSIGNED = "assigned"
    CALL_GOES_ON = "call-goes-on"  # of a partition that was lost and is back
    REVOKED = "revoked"
    LOST = "lost"
    JOINED_ANEW = "joined-anew"
    SEAT_TAKEN_OVER = "seat-taken-over"  # of a former process that has left no word
    FENCED = "fenced"
    BROKER_AWAY = "broker-away"
    BROKER_BACK = "broker-back"
    BROKER_REFUSES = "broker-refuses"
    CLIENT_TROUBLE = "client-trouble"
    SIGN_IN_TROUBLE = "sign-in-trouble"  # there is no token
    SIGN_IN_BACK = "sign-in-back"
    COMMIT_FAILED = "commit-failed"
    COMMITTED_UNKNOWN = "committed-unknown"
    METADATA_REFUSED = "metadata-refused"
    METADATA_IGNORED = "metadata-ignored"
    TOPIC_MISSING = "topic-missing"

    # partitions
    PARTITION_HELD = "partition-held"
    PARTITION_STALLED = "partition-stalled"
    PARTITION_GOES_ON = "partition-goes-on"
    PAUSED = "paused"  # by an operator, as is the next one
    RESUMED = "resumed"
    PROBATION = "probation"  # which partition its processes die of is being found out
    TOPIC_MADE_ANEW = "topic-made-anew"
    MESSAGES_LOST = "messages-lost"  # they were gone before they were done
    OFFSETS_WENT_BACK = "offsets-went-back"
    RECALLED = "recalled"  # what was done before is known, and not run again

    # tasks
    HANDLER_FAULT = "handler-fault"  # something of a handler's has raised that was no call of ours
    HOOK_FAILED = "hook-failed"  # the start, or stop, of what handlers need
    ATTEMPT_FAILED = "attempt-failed"
    ATTEMPT_EXCUSED = "attempt-excused"  # something that its handler depends on is to blame
    ATTEMPT_VOID = "attempt-void"  # its partition goes away
    BATCH_FAILED = "batch-failed"
    DEAD_LETTER = "dead-letter"
    PARK_ORDERED = "park-ordered"  # by an operator
    PARKED = "parked"
    PARK_WITHDRAWN = "park-withdrawn"
    STORED_OTHERWISE = "stored-otherwise"
    RETRY_WITHOUT_HEADERS = "retry-without-headers"
    TASK_LATE = "task-late"
    TASK_CUT_OFF = "task-cut-off"
    SUSPECTS = "suspects"
    SUSPECTS_FORGOTTEN = "suspects-forgotten"

    # circuit breakers
    BREAKER_OPENED = "breaker-opened"
    BREAKER_HALF_OPEN = "breaker-half-open"
    BREAKER_CLOSED = "breaker-closed"
    NO_BREAKER = "no-breaker"  # for a dependency too many


#: Whose texts and reasons may quote what handlers have raised, or strangers have written, and with it what is in messages.
QUOTING = frozenset({
    Event.ATTEMPT_FAILED, Event.ATTEMPT_EXCUSED, Event.ATTEMPT_VOID, Event.BREAKER_OPENED, Event.HOOK_FAILED,
    Event.HANDLER_FAULT, Event.NO_TASK_PROCESS, Event.HINT_UNKNOWN, Event.METADATA_IGNORED, Event.FAULT,
})  # fmt: skip


def about(event: Event, **fields: object) -> Dict[str, object]:
    """The `extra` of a log call: what it tells of, and what is known of that. Fields that are None are left out."""
    return {"event": event.value, **{name: value for name, value in fields.items() if value is not None}}
