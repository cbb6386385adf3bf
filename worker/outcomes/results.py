"""What handlers return to be produced. A task whose handler returned a `Send` is done when the broker has stored it: until
then it stays in flight and keeps its lane, so that the offset is not committed and results of one key keep their order. At
least once: when the task runs again, its results are sent again.

What can't be stored is treated as a dead letter is: sent again, told, and its partition held. What the Kafka client can't take
as it is (too large, say) is a failed attempt of the task. Consumer thread only.
"""

from __future__ import annotations

from typing import Callable

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.kafka.outgoing.transactions import AnyOutbox
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.undecided import Returned, Undecided, failed
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.exceptions import copied

WHAT = "result"
OF_A_BATCH = "result of a batch"  # of several messages, none of which can have its outcome without the others
BUSY_SECONDS = 1.0


class ResultSender:
    """Produces results."""

    def __init__(self, outbox: AnyOutbox, complete: Callable[[Task], None], fail: Callable[[Undecided], None]) -> None:
        """`complete(task)` is called when all of a task's results are stored; `fail` is given the failure of a call whose
        results can't be sent, as a pool would leave it."""
        self._outbox = outbox
        self._complete = complete
        self._fail = fail
        self._busy_until = 0.0

    def send(self, results: Returned, now: float) -> None:
        """Produce them; `now`: monotonic seconds."""
        self._busy_until = now + BUSY_SECONDS
        unstored = [len(results.sends)]

        def stored(_task: Task) -> None:
            unstored[0] -= 1
            if not unstored[0]:
                for task in results.tasks:
                    self._complete(task)

        def refused(problem: Exception) -> None:
            self._fail(failed(results.tasks, copied(problem)))

        what = OF_A_BATCH if results.tasks[1:] else WHAT
        self._outbox.send_all(what, results.tasks, list(map(_record, results.sends)), stored, refused)

    def busy(self, now: float) -> bool:
        """Whether results came of late: handler threads can't wake the consumer thread, which looks more often then."""
        return now < self._busy_until


def _record(send: Send) -> OutgoingRecord:
    return OutgoingRecord(send.topic, send.key, send.value, list(send.headers))
