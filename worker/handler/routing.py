"""The handlers of a process: which topic has which, loaded once each."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from kafka_worker.handler import hooks
from kafka_worker.handler.hooks import DEFINED, Registry
from kafka_worker.handler.loading import Handler, HandlerError, Kind, load
from kafka_worker.handler.validation import validation
from kafka_worker.partitions.task import partition_of
from kafka_worker.shared.routes import route_of, routes_of, settings_of
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import TopicSettings


class UnroutedError(Exception):
    """A message came from a topic that no handler is meant for. Nobody should meet it: such a topic's gate is shut."""


class Handlers:
    """All handlers of a process, from HANDLER or HANDLERS."""

    def __init__(
        self,
        settings: Settings,
        load_one: Optional[Callable[[str, str], Handler]] = None,
        hooks_of: Callable[[], Registry] = lambda: DEFINED,
    ) -> None:
        """Loads the user's functions, by `load_one(name, setting)` if given; what is wrong with them is kept in `faults`.
        `hooks_of`: those that will start, asked when the functions are loaded."""
        self._load_one = load_one or (lambda name, setting: load(name, settings, setting))
        self._settings = settings
        self._routes = routes_of(settings)
        self._setting = "HANDLERS" if settings.handlers else "HANDLER"
        self.by_name: Dict[str, Handler] = {}
        self.faults: List[str] = []  # one line for each reason why they can't be used
        for name in dict.fromkeys(route.handler for route in self._routes):
            self._load(name)
        if not self.faults:
            self.faults += hooks.faults(hooks_of(), with_loop=bool(self.of_kind(Kind.ASYNC)))
        for route in self._routes:
            for own in settings_of(route, settings) if route.handler in self.by_name else ():
                self._try_out(self.by_name[route.handler], own)
        self.faults = list(dict.fromkeys(self.faults))

    def usable(self) -> Handlers:
        """Themselves. Raises HandlerError when there is a fault."""
        if self.faults:
            raise HandlerError("; ".join(self.faults))
        return self

    def of(self, topic: str) -> Optional[Handler]:
        """The handler of a topic; None: it is not one of ours."""
        route = route_of(topic, self._routes)
        return self.by_name[route.handler] if route else None

    def kind_of(self, topic: str) -> Optional[Kind]:
        """How the messages of a topic are handled."""
        handler = self.of(topic)
        return handler.kind if handler else None

    def of_kind(self, kind: Kind) -> List[Handler]:
        """The handlers that are called in this way."""
        return [handler for handler in self.by_name.values() if handler.kind is kind]

    def call_of(self, topic: str) -> Any:
        """The call of a topic's handler, with the settings of that topic. Raises UnroutedError."""
        handler = self.of(topic)
        if handler is None:  # a pattern that the Kafka client understands in another way than we do
            raise UnroutedError(f"no entry of HANDLERS matches {topic}")
        return self._call(handler, self._settings.of(topic))

    def call_of_kind(self, kind: Kind) -> Any:
        """What calls the right one of them. When there is only one, and one way to decode messages, that is its own call:
        nothing stands between."""
        handlers = self.of_kind(kind)
        if len(self.by_name) == 1 and validation.is_one_for_all(self._settings):
            return handlers[0].call
        calls = _Calls(self)
        if kind is Kind.BATCH:
            return lambda tasks: calls[partition_of(tasks[0]).queue.topic](tasks)
        return lambda message, partition, attempt: calls[partition.queue.topic](message, partition, attempt)

    @staticmethod
    def _call(handler: Handler, own: TopicSettings) -> Any:
        if not own.table or handler.with_settings is None:
            return handler.call
        return handler.with_settings(own)

    def _try_out(self, handler: Handler, own: TopicSettings) -> None:
        self.faults += _contradictions(handler, own, self._settings)
        try:
            self._call(handler, own)
        except HandlerError as problem:
            self.faults.append(str(problem))

    def _load(self, name: str) -> None:
        try:
            self.by_name[name] = self._load_one(name, self._setting)
        except HandlerError as problem:
            self.faults.append(str(problem))


class _Calls(Dict[str, Any]):
    """What to call for a topic, found out at its first message."""

    def __init__(self, handlers: Handlers) -> None:
        super().__init__()
        self._handlers = handlers

    def __missing__(self, topic: str) -> Any:
        call = self[topic] = self._handlers.call_of(topic)
        return call


def _contradictions(handler: Handler, own: TopicSettings, settings: Settings) -> List[str]:
    """What is wrong between a handler's form and the settings."""
    found = []
    if handler.kind is Kind.BATCH and own.ordering == "partition":
        found.append(
            f"ORDERING=partition leaves one message at a time to {handler.name}, which takes a list. Use "
            "ORDERING=key or none, or a function of one message."
        )
    if handler.kind is not Kind.THREAD and settings.isolation == "process":
        found.append(
            f"ISOLATION=process is for functions of one message, and {handler.name} is "
            f"{'an async function' if handler.kind is Kind.ASYNC else 'a function of a list'}. Use "
            "ISOLATION=none, or a plain function of one message."
        )
    return found
