"""Settings: the one table of all settings. Command line, validation, `.env.example` and the printed
configuration are derived from its rows, so that a setting is described in one place only.

Every process has one, read only: the supervisor's `service/configuration.py` makes it, and children get it as
JSON. Standard library only, because each child pays for what it imports.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Dict, List, Tuple

from service.setting import AUTO, Setting, written

MASK = "********"
_SECRET = re.compile(r"password|secret|token|jaas|\.key$|\.pem$|^sasl\.|^ssl\.key")
_TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}"
_SERVER = r"(?:\w+://)?(?:\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]]+)(?::\d{1,5})?"
_FUNCTION = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_ERROR = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
ABSOLUTE_PATH = "an absolute path"


def _row(group: str, environment: str, flag: str, meaning: str, default: Any = MISSING, **columns: Any) -> Any:
    """A field of `Settings` with its row. "auto" has no value here: whoever makes a Settings resolves it."""
    shown = AUTO if "automatic" in columns else "" if default is MISSING else written(default)
    required = default is MISSING and "automatic" not in columns
    row = Setting(environment, flag, group, meaning, default=shown, required=required, **columns)
    return field(metadata={"row": row}, default=default)


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings, validated. The three `_properties` hold librdkafka's: for both clients, or for one."""

    # fmt: off
    bootstrap_servers: str = _row(
        "Kafka", "KAFKA_BOOTSTRAP_SERVERS", "--bootstrap-servers",
        "brokers to ask first; two or three suffice",
        pattern=rf"{_SERVER}(?:, *{_SERVER})*", form="host:port, several with commas",
    )
    group_id: str = _row(
        "Kafka", "KAFKA_GROUP_ID", "--group",
        "the consumer group; all machines of one service use the same",
        pattern=r"\S(?:.*\S)?", form="a name, not empty",
    )
    processes: int = _row(
        "Work", "PROCESSES", "--processes",
        "consumer processes on this machine",
        lowest=1, highest=512, automatic="one per usable core",
    )
    threads: int = _row(
        "Work", "THREADS", "--threads",
        "handler threads in each process; auto: tuned by what is measured",
        lowest=1, highest=1024, automatic="as many as usable cores at first, up to THREADS_MAX",
    )
    threads_max: int = _row(
        "Work", "THREADS_MAX", "--threads-max",
        "with THREADS=auto, how far their number may grow while that is measured to help",
        lowest=1, highest=1024, automatic="32 with THREADS=auto, else THREADS",
    )
    restart_limit: int = _row(
        "Restarts", "RESTART_LIMIT", "--restart-limit",
        "restarts over all processes within the window, beyond which the supervisor gives up (exit 75)",
        lowest=1, highest=100_000, automatic="5 times the processes, at least 10",
    )
    runtime_directory: str = _row(
        "Places and logs", "RUNTIME_DIRECTORY", "--runtime-directory",
        "where lock files and the control socket are",
        pattern=r"/.*", form=ABSOLUTE_PATH,
        automatic="$XDG_RUNTIME_DIR/kafka-consumer, else kafka-consumer-<uid> in the temporary directory",
    )
    state_directory: str = _row(
        "Places and logs", "STATE_DIRECTORY", "--state-directory",
        "what should survive a restart of the service",
        pattern=r"/.*", form=ABSOLUTE_PATH, automatic="state in the runtime directory",
    )
    topics: Tuple[str, ...] = _row(
        "Kafka", "KAFKA_TOPIC", "--topic",
        "the topics to consume",
        ("Scenario-Execute",), pattern=_TOPIC, several=True,
        form="topic names (1 to 249 of letters, digits, . _ -), several with commas",
    )
    membership: str = _row(
        "Kafka", "MEMBERSHIP", "--membership",
        "static: a restarted process gets its partitions back without a rebalance; dynamic: it joins anew",
        "static", choices=("static", "dynamic"),
    )
    handler: str = _row(
        "Work", "HANDLER", "--handler",
        "the function called with each message",
        "handlers.scenario:process_message", form="module:function",
        pattern=_FUNCTION,
    )
    handlers: Tuple[str, ...] = _row(
        "Work", "HANDLERS", "--handlers",
        "a handler for each topic, in place of KAFKA_TOPIC and HANDLER",
        (), pattern=rf"[^=]+={_FUNCTION}", several=True,
        form="topic=module:function, several with commas; a topic that begins with ^ is a pattern (or nothing)",
    )
    batch_size: int = _row(
        "Work", "BATCH_SIZE", "--batch-size",
        "the most messages in one call of a handler that takes a list (its first parameter is called messages)",
        100, lowest=1, highest=10_000,
    )
    coroutines: int = _row(
        "Work", "COROUTINES", "--coroutines",
        "calls of an async handler that run at once in each process, within MAX_IN_FLIGHT",
        1000, lowest=1, highest=1_000_000,
    )
    isolation: str = _row(
        "Work", "ISOLATION", "--isolation",
        "where handlers run: in threads of the process, or each thread's in a task process of its own",
        "none", choices=("none", "process"),
    )
    ordering: str = _row(
        "Work", "ORDERING", "--ordering",
        "which messages run one after the other: those of one key, of one partition, or none",
        "key", choices=("key", "partition", "none"),
    )
    max_in_flight: int = _row(
        "Work", "MAX_IN_FLIGHT", "--max-in-flight",
        "messages a process holds without an outcome, before it pauses partitions",
        1000, lowest=1, highest=1_000_000,
    )
    max_messages_per_second: float = _row(
        "Work", "MAX_MESSAGES_PER_SECOND", "--max-messages-per-second",
        "started at most, over all processes of this machine; 0: as many as come",
        0.0, unit="messages a second", lowest=0, highest=1_000_000_000,
    )
    drain_seconds: float = _row(
        "Work", "DRAIN_SECONDS", "--drain-seconds",
        "at a stop, how long running messages may take to finish",
        30.0, unit="seconds", lowest=0, highest=3600,
    )
    commit_interval_seconds: float = _row(
        "Work", "COMMIT_INTERVAL_SECONDS", "--commit-interval-seconds",
        "how often finished offsets are committed",
        1.0, unit="seconds", lowest=0.05, highest=60,
    )
    offset_map: str = _row(
        "Recovery", "OFFSET_MAP", "--offset-map",
        "whether a commit carries what is done beyond it, so that it is not run again when its partition moves",
        "on", choices=("on", "off"),
    )
    journal: str = _row(
        "Recovery", "JOURNAL", "--journal",
        "whether a process notes what is done in a file that survives its death, so that it is not run again",
        "on", choices=("on", "off"),
    )
    handler_timeout_seconds: float = _row(
        "Time limits", "HANDLER_TIMEOUT_SECONDS", "--handler-timeout-seconds",
        "after so long a call is told that it is cancelled, and its stack is logged; 0: never",
        0.0, unit="seconds", lowest=0, highest=1_000_000,
    )
    handler_kill_seconds: float = _row(
        "Time limits", "HANDLER_KILL_SECONDS", "--handler-kill-seconds",
        "after so long the process of a call is replaced, and its message is a suspect; 0: never",
        0.0, unit="seconds", lowest=0, highest=1_000_000,
    )
    max_deaths: int = _row(
        "Time limits", "MAX_DEATHS", "--max-deaths",
        "how many processes a message may end or hang before it becomes a dead letter",
        2, lowest=1, highest=100,
    )
    max_message_bytes: int = _row(
        "Validation", "MAX_MESSAGE_BYTES", "--max-message-bytes",
        "a longer message is a dead letter, without being read; 0: any length",
        0, lowest=0, highest=2_000_000_000,
    )
    message_schema: str = _row(
        "Validation", "MESSAGE_SCHEMA", "--message-schema",
        "a file with the JSON Schema that each message must fit",
        "", pattern=r".*", form="the path of a JSON file, or nothing",
    )
    max_attempts: int = _row(
        "Failures", "MAX_ATTEMPTS", "--max-attempts",
        "how often a failing message is tried before it becomes a dead letter",
        3, lowest=1, highest=1000,
    )
    retry_backoff_seconds: float = _row(
        "Failures", "RETRY_BACKOFF_SECONDS", "--retry-backoff-seconds",
        "wait before the second attempt; doubles with each",
        1.0, unit="seconds", lowest=0.01, highest=3600,
    )
    retry_backoff_max_seconds: float = _row(
        "Failures", "RETRY_BACKOFF_MAX_SECONDS", "--retry-backoff-max-seconds",
        "longest wait between two attempts",
        60.0, unit="seconds", lowest=0.01, highest=86_400,
    )
    retry_max_age_seconds: float = _row(
        "Failures", "RETRY_MAX_AGE_SECONDS", "--retry-max-age-seconds",
        "how long after its first failure a message is still tried again; 0: without a limit",
        0.0, unit="seconds", lowest=0, highest=10_000_000,
    )
    retryable_errors: Tuple[str, ...] = _row(
        "Failures", "RETRYABLE_ERRORS", "--retryable-errors",
        "exceptions, subclasses included, that are tried again; all others are dead letters at once; nothing: all are",
        (), pattern=_ERROR, several=True, form="class names, several with commas, or nothing",
    )
    fatal_errors: Tuple[str, ...] = _row(
        "Failures", "FATAL_ERRORS", "--fatal-errors",
        "exceptions, subclasses included, that make a dead letter at once",
        (), pattern=_ERROR, several=True, form="class names, several with commas, or nothing",
    )
    retry_topics: Tuple[str, ...] = _row(
        "Failures", "RETRY_TOPICS", "--retry-topics",
        "waits of at least so long are spent in a topic of their own, <topic>.retry.<delay>; gives up the order of keys",
        (), pattern=r"\d{1,6}[smh]", several=True, form="delays like 30s, 10m or 2h, several with commas, or nothing",
    )
    dead_letter_suffix: str = _row(
        "Failures", "DEAD_LETTER_SUFFIX", "--dead-letter-suffix",
        "what is added to a topic's name for its dead letters",
        ".dlq", pattern=r"[A-Za-z0-9._-]{1,100}", form="1 to 100 letters, digits, . _ -",
    )
    dead_letter_storm_share: float = _row(
        "Failures", "DEAD_LETTER_STORM_SHARE", "--dead-letter-storm-share",
        "when so large a share of the last messages became dead letters no more are taken for a while; 0: never mind",
        0.5, unit="a share", lowest=0, highest=1,
    )
    dead_letter_storm_messages: int = _row(
        "Failures", "DEAD_LETTER_STORM_MESSAGES", "--dead-letter-storm-messages",
        "how many last messages that share is of",
        100, lowest=2, highest=1_000_000,
    )
    breaker_failure_share: float = _row(
        "Circuit breaker", "BREAKER_FAILURE_SHARE", "--breaker-failure-share",
        "when so large a share of the calls fails no more messages are started for a while; 0: no breaker",
        0.5, unit="a share", lowest=0, highest=1,
    )
    breaker_window_seconds: float = _row(
        "Circuit breaker", "BREAKER_WINDOW_SECONDS", "--breaker-window-seconds",
        "of the calls that ended in the last so long",
        30.0, unit="seconds", lowest=0.1, highest=86_400,
    )
    breaker_min_calls: int = _row(
        "Circuit breaker", "BREAKER_MIN_CALLS", "--breaker-min-calls",
        "fewer calls than this say nothing",
        20, lowest=1, highest=1_000_000,
    )
    breaker_open_seconds: float = _row(
        "Circuit breaker", "BREAKER_OPEN_SECONDS", "--breaker-open-seconds",
        "until it is tried whether calls succeed again",
        10.0, unit="seconds", lowest=0.1, highest=86_400,
    )
    breaker_probes: int = _row(
        "Circuit breaker", "BREAKER_PROBES", "--breaker-probes",
        "by so many messages, all of which must succeed",
        3, lowest=1, highest=1000,
    )
    memory_limit: str = _row(
        "Memory and renewal", "MEMORY_LIMIT", "--memory-limit",
        "for all processes of this machine: bounds what is fetched and held, and renews processes that outgrow their share",
        "0", pattern=r"(?i)\d{1,12}(?:\.\d+)? ?(?:[KMGT](?:i?B)?|B)?", form="a size like 512M or 2G; 0: no limit",
    )
    recycle_messages: int = _row(
        "Memory and renewal", "RECYCLE_MESSAGES", "--recycle-messages",
        "a process is renewed after about so many messages, without a rebalance; 0: never",
        0, lowest=0, highest=1_000_000_000,
    )
    recycle_seconds: float = _row(
        "Memory and renewal", "RECYCLE_SECONDS", "--recycle-seconds",
        "a process is renewed at about this age, without a rebalance; 0: never",
        0.0, unit="seconds", lowest=0, highest=100_000_000,
    )
    heartbeat_timeout_seconds: float = _row(
        "Restarts", "HEARTBEAT_TIMEOUT_SECONDS", "--heartbeat-timeout-seconds",
        "silence after which a process counts as hung, and is replaced",
        30.0, unit="seconds", lowest=2, highest=3600,
    )
    restart_window_seconds: float = _row(
        "Restarts", "RESTART_WINDOW_SECONDS", "--restart-window-seconds",
        "the window of RESTART_LIMIT",
        120.0, unit="seconds", lowest=1, highest=86_400,
    )
    log_level: str = _row(
        "Places and logs", "LOG_LEVEL", "--log-level",
        "the least severe messages logged",
        "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = _row(
        "Places and logs", "LOG_FORMAT", "--log-format",
        "form of a log line",
        "text", choices=("text", "json"),
    )
    task_seconds: float = _row(
        "The example handler", "TASK_SECONDS", "--task-seconds",
        "how long handlers.scenario pretends to work on a message",
        5.0, unit="seconds", lowest=0, highest=86_400,
    )
    # fmt: on
    client_properties: Dict[str, str] = field(default_factory=dict)
    consumer_properties: Dict[str, str] = field(default_factory=dict)
    producer_properties: Dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """All of it, secrets included, on one line: for a child's private descriptor, never for a log."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """The settings `to_json` wrote. Raises TypeError or ValueError for anything else."""
        values = json.loads(text)
        again: Dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return Settings(**again)

    def __repr__(self) -> str:
        """As `described`, on one line, because settings end up in logs and tracebacks."""
        return f"Settings({', '.join(self._lines())})"

    def described(self) -> str:
        """One `NAME=value` a line, as in a `.env` file, with secrets masked."""
        return "\n".join(self._lines())

    def _lines(self) -> List[str]:
        lines = [f"{row.environment}={written(getattr(self, name))}" for name, row in TABLE.items()]
        for prefix, name in PROPERTY_PREFIXES.items():
            for key, value in sorted(getattr(self, name).items()):
                lines.append(f"{environment_name(prefix, key)}={MASK if is_secret(key) else value}")
        return lines


# How an environment name begins that stands for a librdkafka property, and the field that holds those.
PROPERTY_PREFIXES = {
    "KAFKA_CLIENT_": "client_properties",
    "KAFKA_CONSUMER_": "consumer_properties",
    "KAFKA_PRODUCER_": "producer_properties",
}

# Field name to row, in the order of the groups.
TABLE: Dict[str, Setting] = {}
for _heading in (
    "Kafka", "Work", "Validation", "Failures", "Circuit breaker", "Time limits", "Recovery", "Memory and renewal", "Restarts",
    "Places and logs", "The example handler",
):  # fmt: skip
    TABLE.update(
        (_each.name, _each.metadata["row"])
        for _each in fields(Settings)
        if _each.metadata and _each.metadata["row"].group == _heading
    )


def environment_name(prefix: str, property_name: str) -> str:
    """The variable of a property: KAFKA_CLIENT_ and sasl.password make KAFKA_CLIENT_SASL_PASSWORD."""
    return prefix + property_name.upper().replace(".", "_")


def is_secret(property_name: str) -> bool:
    """Whether the name of a librdkafka property says that its value may be a secret."""
    return bool(_SECRET.search(property_name))
