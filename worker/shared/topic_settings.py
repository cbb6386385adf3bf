"""The settings that say how messages are handled: those of the service, and those that a topic has of its own (a table of
SETTINGS_FILE). `Settings.of` alone tells which hold for a topic. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Callable, Dict, Tuple, TypeVar

from kafka_worker.shared.setting import ERROR, FUNCTION, row

PATTERN = "^"  # a topic that begins so is a regular expression; the client says so too
Made = TypeVar("Made")


def fits(topic: str, name: str) -> bool:
    """Whether the topic is the one of this name, or one that this pattern stands for."""
    return re.search(name, topic) is not None if name.startswith(PATTERN) else name == topic


@dataclass(frozen=True, repr=False)
class TopicSettings:
    """In what order, how often, for how long, and what is allowed in them."""

    # fmt: off
    ordering: str = row(
        "Work", "ORDERING", "--ordering",
        "which messages are handled strictly one after the other: those with the same key, all of a partition, or none",
        "key", choices=("key", "partition", "none"),
    )
    handler_timeout_seconds: float = row(
        "Time limits", "HANDLER_TIMEOUT_SECONDS", "--handler-timeout-seconds",
        "how long a call may take before it is told so (context.cancelled) and its stack is logged; 0: no limit",
        0.0, unit="seconds", lowest=0, highest=1_000_000,
    )
    handler_kill_seconds: float = row(
        "Time limits", "HANDLER_KILL_SECONDS", "--handler-kill-seconds",
        "how long a call may take before its process is replaced and its message runs again on its own; 0: no limit",
        0.0, unit="seconds", lowest=0, highest=1_000_000,
    )
    decoder: str = row(
        "Validation", "DECODER", "--decoder",
        "the format of messages: JSON, raw bytes or text, a format of a schema registry, or whatever a function decodes",
        "json", pattern=rf"json|bytes|text|avro|json-schema|protobuf|{FUNCTION}",
        form="json, bytes, text, avro, json-schema, protobuf or module:function",
    )
    max_message_bytes: int = row(
        "Validation", "MAX_MESSAGE_BYTES", "--max-message-bytes",
        "how long a message may be; a longer one becomes a dead letter without being read; 0: any length",
        0, lowest=0, highest=2_000_000_000,
    )
    message_schema: str = row(
        "Validation", "MESSAGE_SCHEMA", "--message-schema",
        "a file with a JSON Schema; a message that does not fit it becomes a dead letter",
        "", pattern=r".*", form="the path of a JSON file, or nothing",
    )
    max_attempts: int = row(
        "Failures", "MAX_ATTEMPTS", "--max-attempts",
        "how often a failing message is tried in all before it becomes a dead letter",
        3, lowest=1, highest=1000,
    )
    retry_backoff_seconds: float = row(
        "Failures", "RETRY_BACKOFF_SECONDS", "--retry-backoff-seconds",
        "the longest wait before the second attempt of a failing message; it doubles with each further attempt",
        1.0, unit="seconds", lowest=0.01, highest=3600,
    )
    retry_backoff_max_seconds: float = row(
        "Failures", "RETRY_BACKOFF_MAX_SECONDS", "--retry-backoff-max-seconds",
        "the longest wait before any attempt",
        60.0, unit="seconds", lowest=0.01, highest=86_400,
    )
    retry_max_age_seconds: float = row(
        "Failures", "RETRY_MAX_AGE_SECONDS", "--retry-max-age-seconds",
        "how long after its first failure a message is still tried again; 0: without a limit",
        0.0, unit="seconds", lowest=0, highest=10_000_000,
    )
    retryable_errors: Tuple[str, ...] = row(
        "Failures", "RETRYABLE_ERRORS", "--retryable-errors",
        "the exceptions, subclasses included, after which a message is tried again; nothing: all exceptions",
        (), pattern=ERROR, several=True, form="class names, several with commas, or nothing",
    )
    fatal_errors: Tuple[str, ...] = row(
        "Failures", "FATAL_ERRORS", "--fatal-errors",
        "the exceptions, subclasses included, after which a message becomes a dead letter at once",
        (), pattern=ERROR, several=True, form="class names, several with commas, or nothing",
    )
    breaker_failure_share: float = row(
        "Circuit breaker", "BREAKER_FAILURE_SHARE", "--breaker-failure-share",
        "the share of failed calls at which no more messages are started until calls succeed again; 0: no circuit breaker",
        0.5, unit="a share", lowest=0, highest=1,
    )
    breaker_window_seconds: float = row(
        "Circuit breaker", "BREAKER_WINDOW_SECONDS", "--breaker-window-seconds",
        "the length of the window over which BREAKER_FAILURE_SHARE counts calls",
        30.0, unit="seconds", lowest=0.1, highest=86_400,
    )
    breaker_min_calls: int = row(
        "Circuit breaker", "BREAKER_MIN_CALLS", "--breaker-min-calls",
        "how many calls the window must hold before BREAKER_FAILURE_SHARE can be reached",
        20, lowest=1, highest=1_000_000,
    )
    breaker_open_seconds: float = row(
        "Circuit breaker", "BREAKER_OPEN_SECONDS", "--breaker-open-seconds",
        "how long an open circuit breaker waits before it tries whether calls succeed again",
        10.0, unit="seconds", lowest=0.1, highest=86_400,
    )
    breaker_probes: int = row(
        "Circuit breaker", "BREAKER_PROBES", "--breaker-probes",
        "with how many messages an open circuit breaker first tries whether calls succeed again; with more as they do",
        3, lowest=1, highest=256,
    )
    breaker_ignored_errors: Tuple[str, ...] = row(
        "Circuit breaker", "BREAKER_IGNORED_ERRORS", "--breaker-ignored-errors",
        "the exceptions, subclasses included, that concern a message and not what it needs; circuit breakers ignore them",
        ("ArithmeticError", "AssertionError", "AttributeError", "LookupError", "TypeError", "ValueError"),
        pattern=ERROR, several=True, form="class names, several with commas, or nothing", emptied=True,
    )
    threads_share: float = row(
        "Work", "THREADS_SHARE", "--threads-share",
        "the share of a process's threads (of async handlers: coroutines) that may work for one topic at once",
        1.0, unit="a share", lowest=0.01, highest=1,
    )
    priority: int = row(
        "Work", "PRIORITY", "--priority",
        "how many turns a partition of this topic gets for each turn of another topic's, while both have messages",
        1, lowest=1, highest=100,
    )
    # fmt: on
    table: str = ""  # the topic or pattern that they are of; empty: they are the service's


NAMES = tuple(each.name for each in fields(TopicSettings) if each.metadata)


class ByTopic(Dict[str, Made]):
    """What is made of the settings of each topic, once, when it is wanted for the first time. A task's topic is the one whose
    handler it has (`queue.topic`): that of a retry is where it came from first."""

    def __init__(self, of: Callable[[str], TopicSettings], make: Callable[[TopicSettings], Made]) -> None:
        """`of` is that of `Settings`."""
        super().__init__()
        self._of = of
        self._make = make

    def __missing__(self, topic: str) -> Made:
        """Made now."""
        made = self[topic] = self._make(self._of(topic))
        return made
