"""All circuit breakers of a process: one for each handler, one for each dependency that handlers name, and one for the dead
letters, which opens when too many of the last messages became some (the storm limit). Consumer thread only.

While the breaker of a dependency is not closed, the handlers that ever reported it are held as a whole: which of their
messages would need it can't be known before they run.
"""

from __future__ import annotations

import math
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple
from weakref import WeakKeyDictionary

from kafka_worker.gates.breaker import Breaker, State
from kafka_worker.gates.windows import CountWindow, TimeWindow
from kafka_worker.handler.errors import ErrorClasses, WorthAgain
from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.partitions.dependencies import Dependencies, Outcome
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.answers import Retry
from kafka_worker.shared.foreign.errors import PlainError, causes_of, names_of
from kafka_worker.shared.ipc.snapshot import BreakerReport
from kafka_worker.shared.routes import UNROUTED
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import TopicSettings

log = logs.logger(__name__)

MOST_DEPENDENCIES = 100  # names in a process: made from what messages say, they would grow without an end
SILENT = (Retry, TaskDiedError)  # a wish of the handler's, and the end of its process: they say nothing of what it needs
OS_ERROR = "builtins.OSError"


class Breakers:
    """Who holds whom, and whose failure a failure is."""

    def __init__(self, settings: Settings, dependencies: Dependencies, handler_of: Callable[[str], str]) -> None:
        """`handler_of` gives the handler's name for a topic."""
        self._settings = settings
        self._ended = dependencies.ended
        self._handler_of = handler_of
        self._names: Dict[str, str] = {}  # of handlers, by topic
        self._errors: Dict[str, _Errors] = {}  # by handler
        self._handlers: Dict[str, Breaker] = {}
        self._dependencies: Dict[str, Breaker] = {}
        self._users: Dict[str, Set[str]] = {}  # of a dependency: the handlers that reported it
        # By the copy of what a call of it raised: the handler may raise that too, or let it be the cause of another.
        self._behind: WeakKeyDictionary[BaseException, Breaker] = WeakKeyDictionary()
        self._storm = self._dead_letters() if settings.dead_letter_storm_share else None
        self._full = False  # whether a name was left out, and said so

    def __iter__(self) -> Iterator[Breaker]:
        """All breakers that there are by now."""
        yield from self._handlers.values()
        yield from self._dependencies.values()
        if self._storm is not None:
            yield self._storm

    def handler_of(self, topic: str) -> str:
        """Under which name calls for this topic count: that of its handler. For topics with a table of their own the same is
        another handler, with settings of its own, so that what is counted together has the same."""
        if topic not in self._names:
            own, name = self._settings.of(topic), self._handler_of(topic)
            self._names[topic] = f"{name} ({own.table})" if own.table and name != UNROUTED else name
            self._errors[self._names[topic]] = _Errors(own)
        return self._names[topic]

    def turn(self, now: float) -> None:
        """Once in a turn of the loop."""
        self._take(now)
        for breaker in self:
            breaker.turn(now)

    def closed_for(self, handler: str) -> bool:
        """Whether nothing holds this handler up."""
        return not self._holding(handler)

    def wanted(self, handler: str) -> int:
        """While a handler is held up: how many probes of it may run at once. 0: nothing of it may be started."""
        holding = self._holding(handler)
        is_open = any(breaker.state is State.OPEN for breaker in holding)
        return 0 if is_open else max([breaker.wanted for breaker in holding], default=0)

    def why(self, handler: str) -> str:
        """What holds a handler up, in words; empty: nothing."""
        return ", ".join(str(breaker.why()) for breaker in self._holding(handler))

    def succeeded(self, handler: str, count: int, now: float, *, probe: bool) -> None:
        """So many messages are done by this handler."""
        for breaker in (self._of(handler), self._storm):
            if breaker is not None:
                breaker.succeeded(count, now, probe=probe)

    def excuse(self, handler: str, error: BaseException, now: float, *, before: float, probe: bool, last: bool) -> bool:
        """A call of the handler failed; whether its task should be run again as if it had not been tried. `before`: when it
        failed the last time; `last`: otherwise it becomes a dead letter."""
        self._take(now)
        errors = self._errors[handler]
        excused = errors.may_count(error) and self._excused(error)
        breaker = self._of(handler)
        if breaker is not None and errors.counts(error):
            excused = breaker.failed(error, now, probe=probe, before=before) or excused
        if last and not excused and self._storm is not None:
            return self._storm.failed(error, now, probe=probe)
        return excused

    def reports(self, now: float) -> List[BreakerReport]:
        """What the snapshot says of each."""
        return [breaker.report(now) for breaker in self]

    def _take(self, now: float) -> None:
        while self._ended:
            outcome = self._ended.popleft()
            breaker = self._of_dependency(outcome.name)
            if breaker is not None:
                handler = self.handler_of(outcome.topic)
                self._users[outcome.name].add(handler)
                self._count(breaker, self._errors[handler], outcome, now)

    def _count(self, breaker: Breaker, errors: _Errors, outcome: Outcome, now: float) -> None:
        probe = outcome.began >= breaker.since  # what began earlier speaks of another time
        if outcome.error is None:
            breaker.succeeded(1, now, probe=probe)
        elif outcome.closing.closed:
            return  # perhaps it was broken off because it was cancelled
        elif errors.counts(outcome.error) and breaker.failed(outcome.error, now, probe=probe, before=outcome.before):
            self._behind[outcome.error] = breaker

    def _excused(self, error: BaseException) -> bool:
        """Whether the failure of a dependency that is not well stands behind this error."""
        found = [self._behind.get(cause) for cause in causes_of(error) if issubclass(type(cause), PlainError)]
        return any(breaker is not None and breaker.state is not State.CLOSED for breaker in found)

    def _holding(self, handler: str) -> List[Breaker]:
        named = [breaker for name, breaker in self._dependencies.items() if handler in self._users[name]]
        guarding = [self._of(handler), *named, self._storm]
        return [breaker for breaker in guarding if breaker is not None and breaker.state is not State.CLOSED]

    def _of(self, handler: str) -> Optional[Breaker]:
        if handler not in (UNROUTED, *self._handlers) and self._errors[handler].settings.breaker_failure_share:
            self._handlers[handler] = _made(handler, self._errors[handler].settings)
        return self._handlers.get(handler)

    def _of_dependency(self, name: str) -> Optional[Breaker]:
        if name not in self._dependencies and self._settings.breaker_failure_share:
            if len(self._dependencies) < MOST_DEPENDENCIES:
                self._dependencies[name], self._users[name] = _made(name, self._settings), set()
            elif not self._full:
                self._full = True
                log.warning(
                    "Dependencies beyond the first %d have no circuit breaker: %s",
                    MOST_DEPENDENCIES, name, extra=about(Event.NO_BREAKER, breaker=name),
                )  # fmt: skip
        return self._dependencies.get(name)

    def _dead_letters(self) -> Breaker:
        settings = self._settings
        return Breaker(
            "dead letters",
            CountWindow(settings.dead_letter_storm_messages),
            settings.dead_letter_storm_share,
            settings.breaker_open_seconds,
            settings.breaker_probes,
            math.inf,
            trickle=True,
        )


class _Errors:
    """What the failures of one handler say, by its settings."""

    def __init__(self, settings: TopicSettings) -> None:
        self.settings = settings
        self._worth_again = WorthAgain(settings)
        self._ignored = ErrorClasses(settings.breaker_ignored_errors)

    def counts(self, error: BaseException) -> bool:
        """Whether a failure may say something of what the handler needs. The others speak of their message, by the settings or
        by the handler's own word.

        An OSError does, also where it is more than that: an answer that is no JSON is a ValueError too, to requests, and so is
        a bad certificate, to ssl. What an error is first, in the order of its bases, decides. So does what an OSError caused.
        """
        if not self.may_count(error):
            return False
        names, *causes = map(names_of, causes_of(error))
        return not self._is_ignored(names) or any(OS_ERROR in cause and not self._is_ignored(cause) for cause in causes)

    def _is_ignored(self, names: Tuple[str, ...]) -> bool:
        return self._ignored.holds(names[: names.index(OS_ERROR) + 1] if OS_ERROR in names else names)

    def may_count(self, error: BaseException) -> bool:
        """Whether a failure may be another's fault than its message's."""
        return not isinstance(error, SILENT) and self._worth_again(error)


def _made(name: str, settings: TopicSettings) -> Breaker:
    return Breaker(
        name,
        TimeWindow(settings.breaker_window_seconds, settings.breaker_min_calls),
        settings.breaker_failure_share,
        settings.breaker_open_seconds,
        settings.breaker_probes,
        settings.breaker_min_calls,
    )
