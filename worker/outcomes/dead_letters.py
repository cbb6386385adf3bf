"""Dead letters: a message that can't be processed goes to `<topic>.dlq` with its bytes, key, headers and time, and with
headers of ours that say where it came from and why. Its offset may be committed only when the broker has stored it there.
"""

from __future__ import annotations

import functools
from datetime import datetime, timezone
from typing import Any, Callable, Dict

from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.kafka.outgoing.record import Headers, OutgoingRecord
from kafka_worker.kafka.outgoing.transactions import AnyOutbox
from kafka_worker.kafka.properties import Member
from kafka_worker.partitions.task import Task, attempt_of, message_of
from kafka_worker.shared.foreign.errors import names_of, text_of, traceback_of, unqualified
from kafka_worker.shared.foreign.headers import DEAD_LETTER, REPLAYS, readable_headers

WHAT = "dead letter"
MOST_DIGITS = 3  # of that number; anything else is not ours
LONGEST_TEXT, LONGEST_TRACEBACK = 1000, 4000  # characters


class DeadLetters:
    """Makes dead letters, and counts them."""

    def __init__(
        self,
        outbox: AnyOutbox,
        suffix: str,
        group: str,
        member: Member,
        stored: Callable[[Task, str], None],
        wall: Callable[[], float],
    ) -> None:
        """`stored(task, reason)` is called when the broker has acknowledged the letter; `wall`: seconds since 1970."""
        self._outbox = outbox
        self._suffix = suffix
        self._group = group
        self._member = member
        self._on_stored = stored
        self._wall = wall
        self.count = 0  # stored

    def send(self, task: Task, error: BaseException, age: float = 0.0, reason: str = "attempts") -> None:
        """Send the task's message to the dead letters. `age`: seconds since it failed for the first time; `reason`: why it is
        not tried again, in a word (see `RetryPolicy.reason`)."""
        message = message_of(task)
        record = OutgoingRecord(
            message.topic() + self._suffix,
            message.key(),
            message.value(),
            _theirs(message) + self._ours(task, error, age),
            _time_of(message),
        )
        self._outbox.send(WHAT, task, record, functools.partial(self._stored, reason))

    @property
    def waiting(self) -> Dict[str, int]:
        """Letters that could not be stored yet, by topic."""
        return {topic: count for (what, topic), count in self._outbox.unstored.items() if what == WHAT}

    def _stored(self, reason: str, task: Task) -> None:
        self.count += 1
        self._on_stored(task, reason)

    def _ours(self, task: Task, error: BaseException, age: float) -> Headers:
        message, attempt, now = message_of(task), attempt_of(task), self._wall()
        name, text = names_of(error)[0], text_of(error)[:LONGEST_TEXT]
        ours: Dict[str, Any] = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": _time_of(message),  # also where the topic does not take it as the letter's own
            "group": self._group,
            "error": f"{unqualified(name)}: {text}",
            "error-class": name,
            "error-message": text,
            "traceback": traceback_of(error, LONGEST_TRACEBACK),
            "attempts": int(attempt),
            "first-failed-at": _iso(now - age),
            "last-failed-at": _iso(now),
            "host": self._member.host,
            "slot": self._member.slot,
            **_of_death(error),
        }
        return [(DEAD_LETTER + key, str(value).encode(errors="replace")) for key, value in ours.items()]


def _time_of(message: Any) -> int:
    """Milliseconds since 1970; 0: it has none."""
    return max(0, int(message.timestamp()[1]))


def _theirs(message: Any) -> Headers:
    """Its headers, without forged or stale ones of ours; the count of replays is none of these."""
    headers = readable_headers(message)
    return [(name, value) for name, value in headers if not name.startswith(DEAD_LETTER) or _counts(name, value)]


def _counts(name: str, value: Any) -> bool:
    return name == REPLAYS and isinstance(value, bytes) and value.isdigit() and len(value) <= MOST_DIGITS


def _of_death(error: BaseException) -> Dict[str, object]:
    """What a letter says of a message that has ended task processes: how, the most memory one had (bytes), and where it
    was."""
    if not isinstance(error, TaskDiedError):
        return {}
    return {"death": error.how, "memory": error.peak_memory, "stack": error.last_stack}


def _iso(wall: float) -> str:
    """ISO 8601 with the offset of UTC written out, which `datetime.fromisoformat` of every Python reads."""
    return datetime.fromtimestamp(wall, timezone.utc).isoformat(timespec="milliseconds")
