"""`TestWorker` runs a handler as the service would, in the test's own process and without Kafka. It is the service: the loop,
the pools, and whatever decides about a failure are the very ones that run there. Topics in memory take the place of the
broker, and a clock that the test turns that of the real one.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Callable, List, Mapping, Optional, Sequence, Set, Union

from kafka_worker.handler import loading
from kafka_worker.handler.hooks import Hook, Registry
from kafka_worker.handler.routing import Handlers
from kafka_worker.isolation import isolated
from kafka_worker.shared import collector
from kafka_worker.shared.foreign.answers import Headers, Send
from kafka_worker.shared.ipc.snapshot import Waits
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.shared.topic_settings import PATTERN
from kafka_worker.testing.bench import Bench
from kafka_worker.testing.given import environment, importable, settings_of
from kafka_worker.testing.hooks import PromptHooks, chosen
from kafka_worker.testing.rest import Rest
from kafka_worker.testing.results import DeadLetter, Result, Sent
from kafka_worker.upkeep.time_limits import LONGEST_LOOK

PATIENCE_SECONDS = 10.0

Function = Callable[..., Any]


class TestWorker:
    """`with TestWorker("app.tasks:handle", max_attempts=3) as worker: result = worker.run({"id": 1})`."""

    __test__ = False  # for pytest, which takes classes of such names for tests

    def __init__(
        self,
        handler: Union[str, Function, None] = None,
        *,
        hooks: Optional[Sequence[Hook[Any]]] = None,
        replace: Optional[Mapping[Hook[Any], Any]] = None,
        patience: float = PATIENCE_SECONDS,
        **settings: Any,
    ) -> None:
        """`handler`: "module:function", or the function itself; nothing where `handlers` gives one for each topic. `settings`
        are the service's, by their names in lower case. `hooks`: those to start, all that are defined if not given;
        `replace`: what some of them give in the test, which are not started then. `patience`: true seconds, for calls to come
        to their end. Raises ConfigurationError, HandlerError, and TypeError for a setting that there is not."""
        if handler is not None:
            settings["handler"] = handler if isinstance(handler, str) else _name_of(handler)
        self.settings = settings_of(settings)
        self._patience = patience
        apart = self.settings.isolation == "process"
        if apart and (hooks is not None or replace):
            raise TypeError("with ISOLATION=process hooks run in another process, and nothing can choose or replace them")
        its_hooks = functools.partial(chosen, [] if apart else hooks, replace or {})
        # Of all that are defined some are other services', and may want an event loop that is not here.
        handlers = _handlers(self.settings, handler, its_hooks if hooks is not None else lambda: Registry([], []))
        self._bench = Bench(self.settings, handlers, PromptHooks(its_hooks()))
        self._rest = Rest(self._bench, patience)
        self._let_run: Set[Result] = set()
        self._runs = False

    def __enter__(self) -> TestWorker:  # noqa: PYI034 (typing.Self needs Python 3.11)
        """Start hooks and threads. Raises HookError."""
        try:
            self._bench.start(self._patience)
        except BaseException:
            self._bench.close(self._patience)
            raise
        self._runs = True
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        """End as the service ends; of a test that has failed, at once."""
        try:
            if failed is None:
                self.stop()
            elif self._runs:
                self._bench.drain(0.0)
        finally:
            self._bench.close(self._patience)

    # ---- messages come ----------------------------------------------------------------------------------------------

    def run(
        self,
        value: Any,
        *,
        key: Union[str, bytes, None] = None,
        headers: Optional[Headers] = None,
        topic: Optional[str] = None,
        partition: int = 0,
        timestamp: float = 0.0,
    ) -> Result:
        """A message comes, and is handled as far as that goes without the clock: until it is done, is a dead letter, or waits
        for its next attempt. `value`: bytes as they are, text as UTF-8, None for a tombstone, anything else as JSON, or a
        `Send` that says all of it; `topic`: the first one of the service if not given; `timestamp`: seconds since 1970, 0 for
        now. Raises NotAtRestError when the handler takes longer than the patience."""
        result = self._put(value, key, headers, topic, partition, timestamp)
        self._settle()
        return result

    def run_all(self, values: Sequence[Any], *, topic: Optional[str] = None, partition: int = 0) -> List[Result]:
        """Several messages come together: a batch, for a handler that takes lists."""
        results = [self._put(value, None, None, topic, partition, 0.0) for value in values]
        self._settle()
        return results

    def start(
        self,
        value: Any,
        *,
        key: Union[str, bytes, None] = None,
        headers: Optional[Headers] = None,
        topic: Optional[str] = None,
        partition: int = 0,
        timestamp: float = 0.0,
    ) -> Result:
        """A message comes, and its handler begins; it may run on until `wait` is called."""
        result = self._put(value, key, headers, topic, partition, timestamp)
        self._let_run.add(result)
        self._settle()
        return result

    # ---- time passes ------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Turn the clock. What is due on the way happens in its order: next attempts, time limits, breakers that try again."""
        target = self._bench.clock() + seconds
        while True:
            self._settle()
            if self._bench.clock() >= target:
                return
            due = self._bench.parts.decisions.next_due()
            now = self._bench.clock()
            self._bench.clock.turn_to(min(target, now + self._longest_step(), target if due is None else max(now, due)))

    def finish(self) -> List[Result]:
        """Turn the clock until nothing waits for its next attempt any more, nor for a circuit breaker, unless that finds
        things no better when it tries. What is left then, of which each says by its `state` what it waits for: nothing, if all
        have their outcome. Raises NotAtRestError when that is without an end."""
        deadline = Deadline(self._patience)
        before, left = None, self._left(deadline)
        while left != before and any(each.state == Waits.BREAKER for each in left):
            self.advance(max(own.breaker_open_seconds for own in self.settings.each()))
            before, left = left, self._left(deadline)
        return left

    def _left(self, deadline: Deadline) -> List[Result]:
        """What has no outcome when nothing waits for its next attempt any more."""
        due = self._bench.parts.decisions.next_due()
        while due is not None:
            self.advance(max(0.0, due - self._bench.clock()))
            due = self._bench.parts.decisions.next_due()
            if due is not None and deadline.expired():
                raise self._rest.fault(self._let_run)
        return [each for each in self.results if not each.ended]

    def wait(self, patience: Optional[float] = None) -> None:
        """Wait for the end of all calls, but those that were given up at HANDLER_KILL_SECONDS; `patience`: true seconds, that
        of the worker if not given. Raises NotAtRestError."""
        self._rest.come(frozenset(), patience)

    def stop(self) -> None:
        """The service ends in order: what runs is told so, and has DRAIN_SECONDS, but no longer than the patience."""
        if self._runs:
            self._runs = False
            self._bench.drain(min(self.settings.drain_seconds, self._patience))

    def now(self) -> float:
        """What the clock shows: `context.deadline` is a moment of it."""
        return self._bench.clock()

    # ---- what has become of them ------------------------------------------------------------------------------------

    @property
    def results(self) -> List[Result]:
        """Of all messages, those too that handlers have sent to topics of their own service."""
        return self._bench.results()

    @property
    def sent(self) -> List[Sent]:
        """All that handlers have returned to be produced."""
        return [sent for result in self.results for sent in result.sent]

    @property
    def dead_letters(self) -> List[DeadLetter]:
        """All dead letters."""
        return [result.dead_letter for result in self.results if result.dead_letter]

    # ---- what these are made of --------------------------------------------------------------------------------------

    def _put(
        self,
        value: Any,
        key: Union[str, bytes, None],
        headers: Optional[Headers],
        topic: Optional[str],
        partition: int,
        timestamp: float,
    ) -> Result:
        if not self._runs:
            raise RuntimeError("the worker does not run: use it in a `with`, and not after its end")
        given = value if isinstance(value, Send) else Send(topic or self._first_topic(), value, key, headers)
        if not self._bench.consumes(given.topic):
            raise ValueError(f"the service does not consume {given.topic}, but {', '.join(self.settings.topics)}")
        name, milliseconds = (given.topic, partition), round(timestamp * 1000)
        stored = self._bench.topics.put(name, given.key, given.value, list(given.headers), milliseconds)
        return self._bench.notes.at(stored.place)

    def _first_topic(self) -> str:
        topic = self.settings.topics[0]
        if topic.startswith(PATTERN):
            raise TypeError(f"{topic} is a pattern; say which topic the message comes from: topic=…")
        return topic

    def _settle(self) -> None:
        self._rest.come(self._let_run)

    def _longest_step(self) -> float:
        """Seconds that the clock may be turned at once, by what depends on it besides next attempts."""
        waits = self._rest.waits()
        if waits <= {Waits.RETRY, Waits.SCHEDULED, Waits.BEHIND_ITS_KEY}:
            return math.inf
        # Time limits of what runs, permits of the rate limit.
        shortest = min(own.breaker_open_seconds for own in self.settings.each())
        return shortest if waits <= {Waits.RETRY, Waits.BREAKER} else LONGEST_LOOK


def _name_of(function: Function) -> str:
    """A name as HANDLER wants it, for log and texts."""
    module = str(getattr(function, "__module__", None) or "tests")
    name = str(getattr(function, "__qualname__", type(function).__name__)).rpartition("<locals>.")[2]
    return f"{module}:{name if name.replace('.', '').isidentifier() else 'handler'}"


def _handlers(settings: Settings, given: Union[str, Function, None], hooks_of: Callable[[], Registry]) -> Handlers:
    if settings.isolation == "process":
        if callable(given):
            importable(given)
        return isolated.handlers_of(settings, 0, environment())
    if given is None or isinstance(given, str):
        with collector.held_off():  # tests before have left what would close its descriptors, and the module be blamed for it
            return Handlers(settings, hooks_of=hooks_of).usable()
    function = given
    ready = functools.partial(loading.ready, function, settings=settings)
    return Handlers(settings, lambda name, setting: ready(name, f"{setting}={name}"), hooks_of).usable()
