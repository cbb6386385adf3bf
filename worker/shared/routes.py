"""Which handler a topic has: HANDLER for every topic of KAFKA_TOPIC, or HANDLERS, which names one for each topic. A topic that
begins with ^ is a pattern: the consumer subscribes to whatever matches it, now or later. Pure: names only, no imports.
"""

from __future__ import annotations

import functools
import re
from typing import Callable, Collection, List, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.settings import TABLE, Settings
from kafka_worker.shared.topic_settings import PATTERN, TopicSettings, fits

LONGEST_TOPIC = 249  # characters, Kafka's limit
UNROUTED = ""  # in place of a handler's name
RETRY_MARK = ".retry."  # in the name of a topic that retries wait in
# The client matches by the C library's extended expressions, we by Python's. These mean different things in the two.
_OURS_ALONE = re.compile(r"\\[A-Za-z0-9]|\(\?|[*+?}][?+]|\[:|\[\[[.=]")


class Route(NamedTuple):
    """A topic or pattern, and the handler `module:function` of its messages."""

    topic: str
    handler: str

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for every topic that matches."""
        return self.topic.startswith(PATTERN)

    def matches(self, topic: str) -> bool:
        """Whether messages of this topic go this way."""
        return fits(topic, self.topic)


def routes_of(settings: Settings) -> Tuple[Route, ...]:
    """All routes, in their order."""
    return parsed(settings.handlers) or tuple(Route(topic, settings.handler) for topic in settings.topics)


def parsed(handlers: Sequence[str]) -> Tuple[Route, ...]:
    """HANDLERS as routes."""
    return tuple(Route(*entry.split("=", 1)) for entry in handlers)


def route_of(topic: str, routes: Sequence[Route]) -> Optional[Route]:
    """An exact name wins against a pattern, and the first pattern that matches against the others. None: not one of ours."""
    exact_first = sorted(routes, key=lambda route: route.is_pattern)
    return next((route for route in exact_first if route.matches(topic)), None)


def settings_of(route: Route, settings: Settings) -> List[TopicSettings]:
    """Those that messages of this route may have: which topics a pattern stands for is not known."""
    if not route.is_pattern:
        return [settings.of(route.topic)]
    return [own for own in settings.each() if not own.table or own.table.startswith(PATTERN) or route.matches(own.table)]


def naming(settings: Settings) -> Callable[[str], str]:
    """What gives the name of a topic's handler; UNROUTED for a topic that has none: the client takes it to match a pattern."""
    routes = routes_of(settings)

    @functools.lru_cache(maxsize=None)
    def name_of(topic: str) -> str:
        route = route_of(topic, routes)
        return route.handler if route else UNROUTED

    return name_of


def ignored(settings: Settings) -> str:
    """What the client must take for not there, as its property `topic.blacklist` wants it: a pattern would also match the
    dead letters and retries of its own topics. Empty without a pattern."""
    if not any(topic.startswith(PATTERN) for topic in settings.topics):
        return ""
    ours = (settings.dead_letter_suffix + "$", RETRY_MARK)
    return ",".join("^.*" + text.replace(".", "[.]") for text in ours)


def consumed(settings: Settings, existing: Collection[str]) -> List[str]:
    """The topics that are consumed, each once: those that are named, whether they exist or not, those of the `existing` that a
    pattern fits, and their retry topics."""
    found = [name for topic in settings.topics for name in _fitting(topic, existing, settings.dead_letter_suffix)]
    found += [topic + RETRY_MARK + delay for topic in settings.topics for delay in settings.retry_topics]
    return list(dict.fromkeys(found))


def _fitting(topic: str, existing: Collection[str], suffix: str) -> List[str]:
    route = Route(topic, "")
    if not route.is_pattern:
        return [topic]
    theirs = [name for name in existing if not name.endswith(suffix) and RETRY_MARK not in name]
    return sorted(name for name in theirs if route.matches(name))


def described(settings: Settings) -> str:
    """The handler, or the handler of each topic, for log and status."""
    return ", ".join(settings.handlers) or settings.handler


def faults(handlers: Sequence[str], given: Collection[str], suffix: str, retry_topics: Sequence[str]) -> List[str]:
    """What is wrong with HANDLERS, by itself and beside other settings, of which the fields `given` were set by the user."""
    if not handlers:
        return []
    routes = parsed(handlers)
    found = [
        f"HANDLERS and {TABLE[name].environment} are both given, but the first stands in place of the second. Remove one."
        for name in ("topics", "handler")
        if name in given
    ]
    names = [route.topic for route in routes]
    found += [f"HANDLERS names {name} twice. Remove one of the two." for name in names if names.count(name) > 1]
    found += [fault for route in routes for fault in (_of_pattern(route) if route.is_pattern else _of_name(route, suffix))]
    if any(route.is_pattern for route in routes):
        found += _beside_a_pattern(routes, suffix, retry_topics)
    return found


def _of_name(route: Route, suffix: str) -> List[str]:
    if len(route.topic + suffix) > LONGEST_TOPIC:
        names = f"{route.topic} and DEAD_LETTER_SUFFIX = {suffix}"
        return [f"HANDLERS with {names} make a topic name longer than {LONGEST_TOPIC} characters. Shorten one of them."]
    if re.fullmatch(TABLE["topics"].pattern, route.topic):
        return []
    form = "a name has 1 to 249 letters, digits, . _ -, and a pattern begins with ^"
    return [f'HANDLERS names "{route.topic}", which is no topic: {form}. Correct it.']


def _of_pattern(route: Route) -> List[str]:
    try:
        re.compile(route.topic)
    except re.error as problem:
        return [f'HANDLERS has the pattern "{route.topic}", which is no regular expression: {problem}. Correct it.']
    foreign = _OURS_ALONE.search(route.topic)
    if foreign is None:
        return []
    advice = "it takes POSIX extended expressions. Write it with [0-9], [a-z] and the like"
    return [
        f'HANDLERS has the pattern "{route.topic}", in which the Kafka client does not know "{foreign.group()}": {advice}.'
    ]


def _beside_a_pattern(routes: Sequence[Route], suffix: str, retry_topics: Sequence[str]) -> List[str]:
    """A pattern makes the client ignore all dead letters and retries, those we are told to consume too."""
    found = [
        f"HANDLERS names {route.topic} and a pattern: with a pattern, topics that end in {suffix} (DEAD_LETTER_SUFFIX) or "
        f"have {RETRY_MARK} in their name are not consumed. Consume it in a service of its own."
        for route in routes
        if not route.is_pattern and (route.topic.endswith(suffix) or RETRY_MARK in route.topic)
    ]
    if retry_topics:
        found.append(
            "RETRY_TOPICS can't be used with a pattern in HANDLERS, because its retry topics are not known beforehand. Name "
            "the topics, or remove RETRY_TOPICS."
        )
    return found
