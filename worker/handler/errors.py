"""Which errors are worth another attempt. Pure."""

from __future__ import annotations

from typing import Iterable

from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import UndecodableError, names_of, unqualified
from kafka_worker.shared.topic_settings import TopicSettings


class ErrorClasses:
    """A set of exception classes by name: plain ("TimeoutError"), or with the module that defines it."""

    def __init__(self, names: Iterable[str]) -> None:
        """Names of classes; a name stands for its subclasses too."""
        self._names = frozenset(names)

    def __contains__(self, error: BaseException) -> bool:
        """Whether the error is of one of these classes."""
        return self.holds(names_of(error))

    def holds(self, names: Iterable[str]) -> bool:
        """Whether one of these names is among them."""
        return any(name in self._names or unqualified(name) in self._names for name in names)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._names)


class WorthAgain:
    """Whether an error leaves hope that another attempt succeeds. The handler's own word comes before the settings."""

    def __init__(self, settings: TopicSettings) -> None:
        """The names come from FATAL_ERRORS and RETRYABLE_ERRORS."""
        self._retryable = ErrorClasses(settings.retryable_errors)
        self._fatal = ErrorClasses(settings.fatal_errors)

    def __call__(self, error: BaseException) -> bool:
        """Whether an error of these classes is worth another attempt."""
        if isinstance(error, (UndecodableError, Reject)):
            return False
        if isinstance(error, Retry):
            return True
        return error not in self._fatal and (not self._retryable or error in self._retryable)
