"""Settings: the one table of all settings. Command line, validation, `.env.example` and the printed
configuration are derived from its rows, so that a setting is described in one place only.

Every process has one, read only: the supervisor's `worker/shared/configuration/load.py` makes it, and children get it as
JSON. Standard library only, because each child pays for what it imports.
"""

from __future__ import annotations

import re
import socket
from dataclasses import MISSING, asdict, dataclass, field, fields
from json import dumps, loads
from typing import Any, Dict, List, Tuple

from kafka_worker.shared.setting import AUTO, Setting, written

MASK = "********"
_SECRET = re.compile(r"password|secret|token|jaas|\.key$|\.pem$|^sasl\.|^ssl\.key")
_TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}"
_SERVER = r"(?:\w+://)?(?:\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]]+)(?::\d{1,5})?"
_FUNCTION = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_ERROR = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_ADDRESS = r"(?:localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"
ABSOLUTE_PATH = "an absolute path"


def _row(group: str, environment: str, flag: str, meaning: str, default: Any = MISSING, **columns: Any) -> Any:
    """A field of `Settings` with its row. "auto" has no value here: whoever makes a Settings resolves it."""
    shown = AUTO if "automatic" in columns else "" if default is MISSING else written(default)
    required = default is MISSING and "automatic" not in columns
    row = Setting(environment, flag, group, meaning, default=shown, required=required, **columns)
    return field(metadata={"row": row}, default=default)


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings, validated. The three `_properties` hold librdkafka's: for both clients, or for one; `host` is the name of
    this machine, as it appears in member ids."""

    # fmt: off
    bootstrap_servers: str = _row(
        "Kafka", "KAFKA_BOOTSTRAP_SERVERS", "--bootstrap-servers",
        "the brokers to connect to first; they tell of the others, so two or three suffice",
        pattern=rf"{_SERVER}(?:, *{_SERVER})*", form="host:port, several with commas",
    )
    group_id: str = _row(
        "Kafka", "KAFKA_GROUP_ID", "--group",
        "the Kafka consumer group; all machines of one service use the same",
        pattern=r"\S(?:.*\S)?", form="a name, not empty",
    )
    processes: int = _row(
        "Work", "PROCESSES", "--processes",
        "how many consumer processes run on this machine",
        lowest=1, highest=512, automatic="one per usable core",
    )
    threads: int = _row(
        "Work", "THREADS", "--threads",
        "how many messages each process handles at once, a thread each; auto: grows and shrinks by what is measured",
        lowest=1, highest=1024, automatic="as many as usable cores at first, up to THREADS_MAX",
    )
    threads_max: int = _row(
        "Work", "THREADS_MAX", "--threads-max",
        "with THREADS=auto, how many threads a process may grow to",
        lowest=1, highest=1024, automatic="32 with THREADS=auto, else THREADS",
    )
    restart_limit: int = _row(
        "Restarts", "RESTART_LIMIT", "--restart-limit",
        "how many restarts of processes within RESTART_WINDOW_SECONDS are too many: the service gives up, with exit code 75",
        lowest=1, highest=100_000, automatic="5 times the processes, at least 10",
    )
    runtime_directory: str = _row(
        "Places and logs", "RUNTIME_DIRECTORY", "--runtime-directory",
        "where a running service keeps its lock files, journals and control socket",
        pattern=r"/.*", form=ABSOLUTE_PATH,
        automatic="$XDG_RUNTIME_DIR/kafka-consumer, else kafka-consumer-<uid> in the temporary directory",
    )
    state_directory: str = _row(
        "Places and logs", "STATE_DIRECTORY", "--state-directory",
        "where it is kept which messages have ended a process, so that a restart does not forget it",
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
        "static: a restarted process has its partitions again without a rebalance; dynamic: it joins as a new member",
        "static", choices=("static", "dynamic"),
    )
    handler: str = _row(
        "Work", "HANDLER", "--handler",
        "the function that is called with each message",
        "kafka_worker.examples.scenario:process_message", form="module:function",
        pattern=_FUNCTION,
    )
    handlers: Tuple[str, ...] = _row(
        "Work", "HANDLERS", "--handlers",
        "a function for each topic, in place of KAFKA_TOPIC and HANDLER",
        (), pattern=rf"[^=]+={_FUNCTION}", several=True,
        form="topic=module:function, several with commas; a topic that begins with ^ is a pattern (or nothing)",
    )
    batch_size: int = _row(
        "Work", "BATCH_SIZE", "--batch-size",
        "how many messages one call of a batch handler gets at most (one whose first parameter is called messages)",
        100, lowest=1, highest=10_000,
    )
    coroutines: int = _row(
        "Work", "COROUTINES", "--coroutines",
        "how many calls of an async handler run at once in each process; MAX_IN_FLIGHT is a limit of theirs too",
        1000, lowest=1, highest=1_000_000,
    )
    isolation: str = _row(
        "Work", "ISOLATION", "--isolation",
        "where handlers run: in threads of the consumer process, or each thread's calls in a process of their own",
        "none", choices=("none", "process"),
    )
    ordering: str = _row(
        "Work", "ORDERING", "--ordering",
        "which messages are handled strictly one after the other: those with the same key, all of a partition, or none",
        "key", choices=("key", "partition", "none"),
    )
    max_in_flight: int = _row(
        "Work", "MAX_IN_FLIGHT", "--max-in-flight",
        "how many unfinished messages (waiting, running, to be retried) a process holds before it fetches no more",
        1000, lowest=1, highest=1_000_000,
    )
    max_messages_per_second: float = _row(
        "Work", "MAX_MESSAGES_PER_SECOND", "--max-messages-per-second",
        "how many messages are started per second at most, by all processes of this machine together; 0: no limit",
        0.0, unit="messages a second", lowest=0, highest=1_000_000_000,
    )
    drain_seconds: float = _row(
        "Work", "DRAIN_SECONDS", "--drain-seconds",
        "how long running messages may take to finish when a process stops",
        30.0, unit="seconds", lowest=0, highest=3600,
    )
    commit_interval_seconds: float = _row(
        "Work", "COMMIT_INTERVAL_SECONDS", "--commit-interval-seconds",
        "how often a process commits the offsets of finished messages",
        1.0, unit="seconds", lowest=0.05, highest=60,
    )
    offset_map: str = _row(
        "Recovery", "OFFSET_MAP", "--offset-map",
        "whether commits also tell what is finished beyond the offset, so that whoever has the partition next skips it",
        "on", choices=("on", "off"),
    )
    journal: str = _row(
        "Recovery", "JOURNAL", "--journal",
        "whether finished messages are noted in a file that survives kill -9, so that the restarted process skips them",
        "on", choices=("on", "off"),
    )
    handler_timeout_seconds: float = _row(
        "Time limits", "HANDLER_TIMEOUT_SECONDS", "--handler-timeout-seconds",
        "how long a call may take before it is told so (context.cancelled) and its stack is logged; 0: no limit",
        0.0, unit="seconds", lowest=0, highest=1_000_000,
    )
    handler_kill_seconds: float = _row(
        "Time limits", "HANDLER_KILL_SECONDS", "--handler-kill-seconds",
        "how long a call may take before its process is replaced and its message runs again on its own; 0: no limit",
        0.0, unit="seconds", lowest=0, highest=1_000_000,
    )
    max_deaths: int = _row(
        "Time limits", "MAX_DEATHS", "--max-deaths",
        "how often a message may end or hang the process it runs in before it becomes a dead letter",
        2, lowest=1, highest=100,
    )
    max_message_bytes: int = _row(
        "Validation", "MAX_MESSAGE_BYTES", "--max-message-bytes",
        "how long a message may be; a longer one becomes a dead letter without being read; 0: any length",
        0, lowest=0, highest=2_000_000_000,
    )
    message_schema: str = _row(
        "Validation", "MESSAGE_SCHEMA", "--message-schema",
        "a file with a JSON Schema; a message that does not fit it becomes a dead letter",
        "", pattern=r".*", form="the path of a JSON file, or nothing",
    )
    max_attempts: int = _row(
        "Failures", "MAX_ATTEMPTS", "--max-attempts",
        "how often a failing message is tried in all before it becomes a dead letter",
        3, lowest=1, highest=1000,
    )
    retry_backoff_seconds: float = _row(
        "Failures", "RETRY_BACKOFF_SECONDS", "--retry-backoff-seconds",
        "the longest wait before the second attempt of a failing message; it doubles with each further attempt",
        1.0, unit="seconds", lowest=0.01, highest=3600,
    )
    retry_backoff_max_seconds: float = _row(
        "Failures", "RETRY_BACKOFF_MAX_SECONDS", "--retry-backoff-max-seconds",
        "the longest wait before any attempt",
        60.0, unit="seconds", lowest=0.01, highest=86_400,
    )
    retry_max_age_seconds: float = _row(
        "Failures", "RETRY_MAX_AGE_SECONDS", "--retry-max-age-seconds",
        "how long after its first failure a message is still tried again; 0: without a limit",
        0.0, unit="seconds", lowest=0, highest=10_000_000,
    )
    retryable_errors: Tuple[str, ...] = _row(
        "Failures", "RETRYABLE_ERRORS", "--retryable-errors",
        "the exceptions, subclasses included, after which a message is tried again; nothing: all exceptions",
        (), pattern=_ERROR, several=True, form="class names, several with commas, or nothing",
    )
    fatal_errors: Tuple[str, ...] = _row(
        "Failures", "FATAL_ERRORS", "--fatal-errors",
        "the exceptions, subclasses included, after which a message becomes a dead letter at once",
        (), pattern=_ERROR, several=True, form="class names, several with commas, or nothing",
    )
    retry_topics: Tuple[str, ...] = _row(
        "Failures", "RETRY_TOPICS", "--retry-topics",
        "waits of at least so long are spent in a topic of their own, <topic>.retry.<delay>; messages behind them do not wait",
        (), pattern=r"\d{1,6}[smh]", several=True, form="delays like 30s, 10m or 2h, several with commas, or nothing",
    )
    dead_letter_suffix: str = _row(
        "Failures", "DEAD_LETTER_SUFFIX", "--dead-letter-suffix",
        "what is added to a topic's name to name the topic of its dead letters",
        ".dlq", pattern=r"[A-Za-z0-9._-]{1,100}", form="1 to 100 letters, digits, . _ -",
    )
    dead_letter_storm_share: float = _row(
        "Failures", "DEAD_LETTER_STORM_SHARE", "--dead-letter-storm-share",
        "the share of the last messages that may become dead letters before no more are started for a while; 0: any share",
        0.5, unit="a share", lowest=0, highest=1,
    )
    dead_letter_storm_messages: int = _row(
        "Failures", "DEAD_LETTER_STORM_MESSAGES", "--dead-letter-storm-messages",
        "how many last messages DEAD_LETTER_STORM_SHARE is a share of",
        100, lowest=2, highest=1_000_000,
    )
    breaker_failure_share: float = _row(
        "Circuit breaker", "BREAKER_FAILURE_SHARE", "--breaker-failure-share",
        "the share of failed calls at which no more messages are started until calls succeed again; 0: no circuit breaker",
        0.5, unit="a share", lowest=0, highest=1,
    )
    breaker_window_seconds: float = _row(
        "Circuit breaker", "BREAKER_WINDOW_SECONDS", "--breaker-window-seconds",
        "the length of the window over which BREAKER_FAILURE_SHARE counts calls",
        30.0, unit="seconds", lowest=0.1, highest=86_400,
    )
    breaker_min_calls: int = _row(
        "Circuit breaker", "BREAKER_MIN_CALLS", "--breaker-min-calls",
        "how many calls the window must hold before BREAKER_FAILURE_SHARE can be reached",
        20, lowest=1, highest=1_000_000,
    )
    breaker_open_seconds: float = _row(
        "Circuit breaker", "BREAKER_OPEN_SECONDS", "--breaker-open-seconds",
        "how long an open circuit breaker waits before it tries whether calls succeed again",
        10.0, unit="seconds", lowest=0.1, highest=86_400,
    )
    breaker_probes: int = _row(
        "Circuit breaker", "BREAKER_PROBES", "--breaker-probes",
        "with how many messages at first an open circuit breaker tries whether calls succeed again; with more as they do",
        3, lowest=1, highest=256,
    )
    breaker_ignored_errors: Tuple[str, ...] = _row(
        "Circuit breaker", "BREAKER_IGNORED_ERRORS", "--breaker-ignored-errors",
        "the exceptions, subclasses included, that tell of a message and not of what it needs; no circuit breaker counts them",
        ("ArithmeticError", "AssertionError", "AttributeError", "LookupError", "TypeError", "ValueError"),
        pattern=_ERROR, several=True, form="class names, several with commas, or nothing",
    )
    memory_limit: str = _row(
        "Memory and recycling", "MEMORY_LIMIT", "--memory-limit",
        "memory for all processes of this machine: limits what they fetch and hold, and replaces who outgrows its share",
        "0", pattern=r"(?i)\d{1,12}(?:\.\d+)? ?(?:[KMGT](?:i?B)?|B)?", form="a size like 512M or 2G; 0: no limit",
    )
    recycle_messages: int = _row(
        "Memory and recycling", "RECYCLE_MESSAGES", "--recycle-messages",
        "a process is replaced by a fresh one after about so many messages, without a rebalance; 0: never",
        0, lowest=0, highest=1_000_000_000,
    )
    recycle_seconds: float = _row(
        "Memory and recycling", "RECYCLE_SECONDS", "--recycle-seconds",
        "a process is replaced by a fresh one at about this age, without a rebalance; 0: never",
        0.0, unit="seconds", lowest=0, highest=100_000_000,
    )
    heartbeat_timeout_seconds: float = _row(
        "Restarts", "HEARTBEAT_TIMEOUT_SECONDS", "--heartbeat-timeout-seconds",
        "how long a process may give no sign of life before it counts as hung and is replaced",
        30.0, unit="seconds", lowest=2, highest=3600,
    )
    restart_window_seconds: float = _row(
        "Restarts", "RESTART_WINDOW_SECONDS", "--restart-window-seconds",
        "the length of the window over which RESTART_LIMIT counts restarts",
        120.0, unit="seconds", lowest=1, highest=86_400,
    )
    stall_seconds: float = _row(
        "Time limits", "STALL_SECONDS", "--stall-seconds",
        "how long a partition that has messages may stand still, without a reason that is known, before status says so",
        15.0, unit="seconds", lowest=1, highest=86_400,
    )
    log_level: str = _row(
        "Places and logs", "LOG_LEVEL", "--log-level",
        "the least severe log lines that are written",
        "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = _row(
        "Places and logs", "LOG_FORMAT", "--log-format",
        "text: log lines for people; json: one JSON object a line, for programs",
        "text", choices=("text", "json"),
    )
    core_dumps: str = _row(
        "Places and logs", "CORE_DUMPS", "--core-dumps",
        "whether a process that crashes may leave a core file, which holds passwords; on: as the system allows",
        "off", choices=("off", "on"),
    )
    http: str = _row(
        "HTTP", "HTTP", "--http",
        "where probes, metrics and the API are served; port 0: any that is free; nothing: they are not served",
        "", pattern=_ADDRESS, form="host:port, the host localhost or an IP address, IPv6 in [], or nothing",
    )
    http_token_file: str = _row(
        "HTTP", "HTTP_TOKEN_FILE", "--http-token-file",
        "a file with the token that API and page ask for; without it they are there on loopback addresses only",
        "", pattern=r".*", form="the path of a text file with 16 characters or more, or nothing",
    )
    http_hosts: Tuple[str, ...] = _row(
        "HTTP", "HTTP_HOSTS", "--http-hosts",
        "names by which it may be asked, besides localhost, this machine's name and IP addresses; *: any name",
        (), pattern=r"\*|(?:\*\.)?[A-Za-z0-9._-]{1,253}", several=True,
        form="host names, several with commas; *.example.org: all below it, or nothing",
    )
    http_show_keys: str = _row(
        "HTTP", "HTTP_SHOW_KEYS", "--http-show-keys",
        "whether the API and the page tell the keys of messages",
        "off", choices=("off", "on"),
    )
    task_seconds: float = _row(
        "The example handler", "TASK_SECONDS", "--task-seconds",
        "how long the example handler pretends to work on a message",
        5.0, unit="seconds", lowest=0, highest=86_400,
    )
    # fmt: on
    client_properties: Dict[str, str] = field(default_factory=dict)
    consumer_properties: Dict[str, str] = field(default_factory=dict)
    producer_properties: Dict[str, str] = field(default_factory=dict)
    host: str = field(default_factory=socket.gethostname)  # asked once, for all processes: a machine may change its name

    def to_json(self) -> str:
        """All of it, secrets included, on one line: for a child's private descriptor, never for a log."""
        return dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """The settings `to_json` wrote. Raises TypeError or ValueError for anything else."""
        values = loads(text)
        again: Dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return Settings(**again)

    def __repr__(self) -> str:
        """What `described` says, on one line, because settings end up in logs and tracebacks."""
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
    "Kafka", "Work", "Validation", "Failures", "Circuit breaker", "Time limits", "Recovery", "Memory and recycling",
    "Restarts", "HTTP", "Places and logs", "The example handler",
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
