"""Dead letters: a message that can't be processed goes to `<topic>.dlq` with its bytes, key, headers and time, and its
offset may be committed only when the broker has stored it there. While it can't be stored the task stays in flight, and is
sent again.

Consumer thread only: the producer's callbacks run inside `serve`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from confluent_kafka import KafkaError, KafkaException, Producer

from service.logs import Seldom
from worker.decoding import UndecodableError, headers_of
from worker.lanes import Task
from worker.raised import text_of
from worker.task_process import TaskDiedError

log = logging.getLogger(__name__)

PREFIX = "dead-letter."  # of the headers we add; the same names in a message that comes in are forged or stale, and dropped
RESEND_SECONDS = 5.0


class DeadLetters:
    """Sends dead letters, and says when each is stored."""

    def __init__(
        self,
        properties: Dict[str, Any],
        suffix: str,
        group: str,
        stored: Callable[[Task], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stored(task)` is called from `serve` when the broker has acknowledged the letter."""
        self._properties = properties
        self._suffix = suffix
        self._group = group
        self._stored = stored
        self._clock = clock
        self._producer: Optional[Producer] = None  # made with the first letter: most processes never send one
        self._again: List[Tuple[float, Task, BaseException]] = []
        self._complaint = Seldom(log, clock)
        self.in_transit = 0  # sent and not acknowledged
        self.count = 0  # stored

    def send(self, task: Task, error: BaseException) -> None:
        """Send the task's message to the dead letters; come what may, it ends stored or is sent again."""
        if task[1].partition.revoked:
            return  # whoever owns the partition now decides about it
        message = task[2]
        try:
            self._client().produce(
                message.topic() + self._suffix,
                value=message.value(),
                key=message.key(),
                headers=self._headers(task, error),
                timestamp=max(0, message.timestamp()[1]),
                on_delivery=lambda problem, _report: self._delivered(task, error, problem),
            )
        except (BufferError, KafkaException) as problem:
            self._send_later(task, error, problem)
        else:
            self.in_transit += 1

    def serve(self) -> None:
        """Receive acknowledgements, and send again what could not be stored."""
        if self._producer is None:
            return
        self._producer.poll(0)
        now = self._clock()
        due = [(task, error) for at, task, error in self._again if at <= now]
        self._again = [waiting for waiting in self._again if waiting[0] > now]
        for task, error in due:
            self.send(task, error)

    @property
    def waiting(self) -> int:
        """Letters that could not be stored and will be sent again."""
        return len(self._again)

    def _client(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._properties, logger=logging.getLogger("librdkafka"))
        return self._producer

    def _headers(self, task: Task, error: BaseException) -> List[Tuple[str, Union[str, bytes, None]]]:
        message, attempt = task[2], task[4]
        ours = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "group": self._group,
            "error": "%s: %s" % (type(error).__name__, text_of(error)[:1000]),
            "attempts": attempt,
            **of_death(error),
        }
        with contextlib.suppress(UndecodableError):  # at the second time they say that they are lost
            headers_of(message)
        theirs = [(name, value) for name, value in headers_of(message) if not name.startswith(PREFIX)]
        return theirs + [(PREFIX + name, str(value).encode(errors="replace")) for name, value in ours.items()]

    def _delivered(self, task: Task, error: BaseException, problem: Optional[KafkaError]) -> None:
        """The producer's callback. It must not raise: that would surface in `poll`, far from here."""
        self.in_transit -= 1
        if problem is not None:
            self._send_later(task, error, problem)
            return
        self.count += 1
        self._stored(task)

    def _send_later(self, task: Task, error: BaseException, problem: object) -> None:
        self._again.append((self._clock() + RESEND_SECONDS, task, error))
        self._complaint.log(
            logging.ERROR,
            "Dead letter of %s offset %d could not be stored in %s%s: %s. The message stays in flight and nothing is lost; "
            "create the topic or mend its settings, it is sent again every %d s",
            task[1].partition, task[0], task[2].topic(), self._suffix, problem, RESEND_SECONDS,
        )  # fmt: skip


def of_death(error: BaseException) -> Dict[str, object]:
    """What a letter says of a message that has ended task processes: how, the most memory one had (bytes), and where it
    was."""
    if not isinstance(error, TaskDiedError):
        return {}
    return {"death": error.how, "memory": error.peak_memory, "stack": error.last_stack}
