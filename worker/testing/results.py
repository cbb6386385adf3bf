"""What became of the messages of a test: what the test asks after its worker has run. Noted where the service calls the
handler, and where it sends something."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from kafka_worker.handler.loading import Handler, Kind
from kafka_worker.kafka.outgoing.outbox import Outbox
from kafka_worker.kafka.outgoing.record import Failed, OutgoingRecord
from kafka_worker.outcomes import dead_letters, results, sleeping
from kafka_worker.outcomes.retry import RetryPolicy
from kafka_worker.partitions.task import Task, TaskId, attempt_of, message_of
from kafka_worker.partitions.undecided import sends_of
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.errors import described
from kafka_worker.shared.foreign.exceptions import copied
from kafka_worker.shared.foreign.headers import DEAD_LETTER as PREFIX
from kafka_worker.shared.ipc.snapshot import Waits
from kafka_worker.testing.topics import Topics

DONE, DEAD_LETTER = "done", "dead letter"


class Sent(Send):
    """A message that a handler has produced. Equal to a `Send` that says the same."""

    __slots__ = ()

    @property
    def json(self) -> Any:
        """The value, decoded. Raises ValueError when it is no JSON."""
        return json.loads(self.value or b"null")


class DeadLetter(NamedTuple):
    """What is stored of a message that is not tried again."""

    topic: str
    reason: str  # in a word: rejected, invalid, attempts, fatal, death
    error: str  # class and text
    key: Optional[bytes]
    value: Optional[bytes]
    headers: List[Tuple[str, Any]]  # the message's own, and those that the service adds


class Asked(Protocol):
    """Who knows what becomes of a message."""

    def waits(self, result: Result) -> str:
        """What it waits for: a word of `Waits`; empty: for nothing, it is done with."""

    def retry_in(self, result: Result) -> Optional[float]:
        """Seconds from its last failure to its next attempt; None: it waits for none."""

    def hangs(self, result: Result) -> bool:
        """Whether its call has gone past HANDLER_KILL_SECONDS."""


class Result:
    """What has become of one message so far."""

    def __init__(self, place: TaskId, asked: Asked) -> None:
        """Nothing yet."""
        self.topic, self.partition, self.offset = self.place = place
        self.standing = place  # where the service has it now: elsewhere, when it waits in a retry topic
        self._asked = asked
        self.attempts = 0  # the number of the last one
        self.errors: List[BaseException] = []  # what its calls have raised, as they are
        self.sent: List[Sent] = []  # what its handler returned to be produced
        self.dead_letter: Optional[DeadLetter] = None

    @property
    def state(self) -> str:
        """What it waits for, in a word of the command `explain` ("running", "retry"), or "done", or "dead letter"."""
        return self._asked.waits(self) or (DEAD_LETTER if self.dead_letter else DONE)

    @property
    def done(self) -> bool:
        """Whether its handler has done it, and what that returned to be produced is stored."""
        return self.state == DONE

    @property
    def ended(self) -> bool:
        """Whether it has its outcome: it is done, or a dead letter."""
        return self.state in (DONE, DEAD_LETTER)

    @property
    def retrying(self) -> bool:
        """Whether it waits for its next attempt."""
        return self.state == Waits.RETRY

    @property
    def running(self) -> bool:
        """Whether its handler runs."""
        return self.state == Waits.RUNNING

    @property
    def hung(self) -> bool:
        """Whether its call has gone past HANDLER_KILL_SECONDS: the service would replace the process now, and run the message
        again on its own."""
        return self._asked.hangs(self)

    @property
    def retry_in(self) -> Optional[float]:
        """Seconds from its last failure to its next attempt; None: it waits for none."""
        return self._asked.retry_in(self)

    @property
    def error(self) -> Optional[BaseException]:
        """What its last call raised that has raised; None: none has."""
        return self.errors[-1] if self.errors else None

    def __repr__(self) -> str:
        """What pytest shows of it when an assertion fails."""
        why = f" ({self.dead_letter.reason})" if self.dead_letter else ""
        wait = f" in {self.retry_in:g} s" if self.retry_in is not None else ""
        said = f": {described(self.error)}" if self.error is not None else ""
        return f"<{self.topic}[{self.partition}] offset {self.offset}: {self.state}{why}{wait}, attempt {self.attempts}{said}>"


class Notes:
    """All results of one worker."""

    def __init__(self, policies: Mapping[str, RetryPolicy], asked: Asked) -> None:
        """Nothing has come yet. `policies`: by topic."""
        self._policies = policies
        self._asked = asked
        self._results: Dict[TaskId, Result] = {}

    def listed(self) -> List[Result]:
        """In the order in which they came."""
        return list(self._results.values())

    def at(self, place: TaskId) -> Result:
        """Of the message of this place, where it was first."""
        return self._results.get(place) or self._results.setdefault(place, Result(place, self._asked))

    def of(self, message: Any) -> Result:
        """Of this message, which may have taken the way over a retry topic."""
        return self.at((message.topic(), message.partition(), message.offset()))

    def began(self, message: Any, attempt: int) -> Result:
        """Its handler is called."""
        result = self.of(message)
        result.attempts = int(attempt)
        return result

    def sends(self, what: str, task: Task, records: Sequence[OutgoingRecord]) -> None:
        """This is sent on behalf of the task."""
        result = self.of(message_of(task))
        for record in records:
            if what in (results.WHAT, results.OF_A_BATCH):
                result.sent.append(Sent(record.topic, record.value, record.key, record.headers))
            elif what == dead_letters.WHAT:
                result.dead_letter = self._letter(result, record)

    def _letter(self, result: Result, record: OutgoingRecord) -> DeadLetter:
        said = {name: value for name, value in record.headers if name == PREFIX + "error"}
        error = b"".join(map(_bytes, said.values())).decode()
        # Before any call a message is refused for its header `deliver-at` alone.
        reason = self._policies[result.topic].reason(copied(result.errors[-1])) if result.errors else "invalid"
        return DeadLetter(record.topic, reason, error, record.key, record.value, list(record.headers))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class NotedOutbox(Outbox):
    """Notes what is sent, and by whom."""

    def __init__(
        self,
        notes: Notes,
        topics: Topics,
        clock: Callable[[], float],
        make: Callable[[Dict[str, Any]], Any],
    ) -> None:
        """What is sent is in the topics at once."""
        super().__init__({}, clock, make)
        self._notes = notes
        self._topics = topics

    def send(self, what: str, task: Task, record: OutgoingRecord, stored: Callable[[Task], None]) -> None:
        """As it is, and noted."""
        super().send(what, task, record, stored)
        self._notes.sends(what, task, [record])
        if what == sleeping.RETRY:
            self._notes.of(message_of(task)).standing = self._topics.newest((record.topic, 0)).place

    def send_all(
        self,
        what: str,
        tasks: Sequence[Task],
        records: Sequence[OutgoingRecord],
        stored: Callable[[Task], None],
        failed: Failed,
    ) -> None:
        """Likewise."""
        super().send_all(what, tasks, records, stored, failed)
        self._notes.sends(what, min(tasks), records)


def noted(handler: Handler, notes: Notes) -> Handler:
    """The handler, of whose calls notes are made."""
    makers: Dict[Kind, Callable[[Any, Notes], Any]] = {Kind.THREAD: _call, Kind.ASYNC: _coroutine, Kind.BATCH: _batch}
    make, own = makers[handler.kind], handler.with_settings
    return handler._replace(
        call=make(handler.call, notes), with_settings=own and (lambda settings: make(own(settings), notes))
    )


def _call(call: Any, notes: Notes) -> Any:
    def noting(message: Any, partition: Any, attempt: int) -> Any:
        with _noted(notes.began(message, attempt)):
            return _checked(call(message, partition, attempt))

    return noting


def _coroutine(call: Any, notes: Notes) -> Any:
    async def noting(message: Any, partition: Any, attempt: int) -> Any:
        with _noted(notes.began(message, attempt)):
            return _checked(await call(message, partition, attempt))

    return noting


def _batch(call: Any, notes: Notes) -> Any:
    def noting(tasks: Sequence[Task]) -> Any:
        began = [notes.began(message_of(task), attempt_of(task)) for task in tasks]
        # What a call with several raises is nobody's: each is called alone then.
        with _noted(began[0]) if len(began) == 1 else contextlib.nullcontext():
            returned, failures = call(tasks)
            _checked(returned)
        for index, failure in failures.items():
            began[index].errors.append(failure)
        return returned, failures

    return noting


@contextlib.contextmanager
def _noted(result: Result) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        result.errors.append(error)
        raise


def _checked(returned: Any) -> Any:
    """Raises here already, where it is noted, what the pool would raise for it."""
    if returned is not None:
        sends_of(returned, ())
    return returned
