"""What a handler may know of its message, and of how much time it has: its second argument, if it takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ContextManager, List, Optional, Tuple

from kafka_worker.partitions.task import failed_before
from kafka_worker.shared.foreign.headers import headers_of

if TYPE_CHECKING:
    from kafka_worker.partitions.assignment import Partition


class Context:
    """What a handler may know of its message, and of how much time it has. Valid during the call only."""

    __slots__ = ("_message", "_partition", "attempt")

    def __init__(self, message: Any, partition: Partition, attempt: int) -> None:
        """Made by the handler thread; reads the Kafka message only when asked."""
        self._message = message
        self._partition = partition
        self.attempt = attempt  # 1 at the first

    def __repr__(self) -> str:
        """Which message of which topic, as the log says it."""
        return f"<Context of {self.topic}[{self.partition}] offset {self.offset}, attempt {self.attempt}>"

    @property
    def topic(self) -> str:
        """Topic the message came from; the first one, if it took the way over a retry topic."""
        return str(self._message.topic())

    @property
    def partition(self) -> int:
        """Partition the message came from, of that topic."""
        return int(self._message.partition())

    @property
    def offset(self) -> int:
        """The message's place in its partition; with topic and partition a name for the task that never changes."""
        return int(self._message.offset())

    @property
    def key(self) -> Optional[bytes]:
        """The key as it was produced, or None."""
        return self._message.key()  # type: ignore[no-any-return]

    @property
    def headers(self) -> List[Tuple[str, Optional[bytes]]]:
        """Headers as produced; a name may come twice, a value may be None. Raises UndecodableError for a name not in UTF-8."""
        return headers_of(self._message)

    @property
    def timestamp(self) -> Optional[float]:
        """When the message was produced (or appended, as the topic is configured): seconds since 1970, or None."""
        kind, milliseconds = self._message.timestamp()
        return milliseconds / 1000 if kind else None

    def dependency(self, name: str) -> ContextManager[None]:
        """`with context.dependency("payments"): call()` tells the circuit breaker of that name whether the block succeeds or
        raises. While too many do, nothing of the handlers that use the name is started. What the block raises goes on as
        usual. Raises ValueError for a name that is not 1 to 100 printable characters."""
        partition = self._partition
        return partition.dependencies.call(name, partition.queue.topic, partition.closing, failed_before(self.attempt))

    @property
    def cancelled(self) -> bool:
        """True when the service stops or the partition is taken away, and when the call has taken longer than it should. A
        handler that can should come to its end: by returning when it is done (that counts until `deadline`), by raising
        when it is not: the task runs again, and where its partition goes away that is no failed attempt."""
        return self._partition.closing.closed or self._place in self._partition.overdue

    @property
    def deadline(self) -> Optional[float]:
        """The `time.monotonic()` after which this task's result counts no more; None while nothing presses."""
        limits = (self._partition.closing.deadline, self._partition.overdue.get(self._place))
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def _place(self) -> Tuple[int, int]:
        return self.partition, self.offset
