"""Settings: the one table of all settings. Command line, validation, `.env.example` and the printed
configuration are derived from its rows, so that a setting is described in one place only.

Every process has one, read only: the supervisor's `worker/shared/configuration/load.py` makes it, and children get it as
JSON. Standard library only, because each child pays for what it imports.
"""

from __future__ import annotations

import re
import socket
from dataclasses import asdict, dataclass, field, fields
from json import dumps, loads
from typing import Any, Dict, List, Tuple

from kafka_worker.shared.setting import FUNCTION, Setting, row, written
from kafka_worker.shared.topic_settings import NAMES, PATTERN, TopicSettings, fits

MASK = "********"
_SECRET = re.compile(r"password|secret|token|jaas|user\.info|\.key$|\.pem$|^sasl\.|^ssl\.key")
_TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}"
# By the client's leave a port that is too large would be another one, and a broker of another scheme than its own none at all.
_PORT = r"0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_SCHEME = r"(?:(?i:PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)://)?"  # as security.protocol says; see `identity.schemes`
_SERVER = rf"{_SCHEME}(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\w.-]+)(?::{_PORT})?"
_ADDRESS = r"(?:localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"
ABSOLUTE_PATH = "an absolute path"
SESSION_TIMEOUT_MS, MAX_POLL_INTERVAL_MS = 60_000, 300_000  # of a consumer whose properties do not say them


@dataclass(frozen=True, repr=False)
class _Decided:
    """Those without a default here: required, or decided for this machine. A dataclass has them first."""

    # fmt: off
    bootstrap_servers: str = row(
        "Kafka", "KAFKA_BOOTSTRAP_SERVERS", "--bootstrap-servers",
        "the brokers to connect to first; they name the others, so two or three suffice",
        pattern=rf"{_SERVER}(?:, *{_SERVER})*", form="host:port, the port from 1 to 65535, several with commas",
    )
    group_id: str = row(
        "Kafka", "KAFKA_GROUP_ID", "--group",
        "the Kafka consumer group; all machines of one service use the same",
        pattern=r"\S(?:.*\S)?", form="a name, not empty",
    )
    processes: int = row(
        "Work", "PROCESSES", "--processes",
        "how many consumer processes run on this machine",
        lowest=1, highest=512, automatic="one per usable core",
    )
    threads: int = row(
        "Work", "THREADS", "--threads",
        "how many messages each process handles at once, a thread each; auto: as many as measurements say are of use",
        lowest=1, highest=1024, automatic="as many as usable cores at first, up to THREADS_MAX",
    )
    threads_max: int = row(
        "Work", "THREADS_MAX", "--threads-max",
        "with THREADS=auto, how many threads a process may grow to",
        lowest=1, highest=1024, automatic="32 with THREADS=auto, or a thread a core if that is more; else THREADS",
    )
    restart_limit: int = row(
        "Restarts", "RESTART_LIMIT", "--restart-limit",
        "how many restarts of processes within RESTART_WINDOW_SECONDS are too many: the service gives up, with exit code 75",
        lowest=1, highest=100_000, automatic="5 times the processes, at least 10",
    )
    runtime_directory: str = row(
        "Places and logs", "RUNTIME_DIRECTORY", "--runtime-directory",
        "where a running service keeps its lock files, journals and control socket",
        pattern=r"/.*", form=ABSOLUTE_PATH,
        automatic="$XDG_RUNTIME_DIR/kafka-consumer, else kafka-consumer-<uid> in the temporary directory",
    )
    state_directory: str = row(
        "Places and logs", "STATE_DIRECTORY", "--state-directory",
        "where a service remembers, across restarts, which messages have ended a process and what operators have ordered",
        pattern=r"/.*", form=ABSOLUTE_PATH, automatic="state in the runtime directory",
    )
    # fmt: on


@dataclass(frozen=True, repr=False)
class Settings(TopicSettings, _Decided):
    """All settings, validated. The three `_properties` hold librdkafka's: for both clients, or for one; `host` is the name of
    this machine, as it appears in member ids."""

    # fmt: off
    topics: Tuple[str, ...] = row(
        "Kafka", "KAFKA_TOPIC", "--topic",
        "the topics to consume",
        ("Scenario-Execute",), pattern=_TOPIC, several=True,
        form="topic names (1 to 249 of letters, digits, . _ -), several with commas",
    )
    membership: str = row(
        "Kafka", "MEMBERSHIP", "--membership",
        "static: a restarted process gets its partitions back without a rebalance; dynamic: it joins as a new member",
        "static", choices=("static", "dynamic"),
    )
    oauth: str = row(
        "Kafka", "KAFKA_OAUTH", "--oauth",
        "the function that returns tokens to sign in with (SASL/OAUTHBEARER), like the client's oauth_cb",
        "", pattern=FUNCTION, form="module:function, or nothing",
    )
    handler: str = row(
        "Work", "HANDLER", "--handler",
        "the function that is called with each message",
        "kafka_worker.examples.scenario:process_message", form="module:function",
        pattern=FUNCTION,
    )
    handlers: Tuple[str, ...] = row(
        "Work", "HANDLERS", "--handlers",
        "a function for each topic, in place of KAFKA_TOPIC and HANDLER",
        (), pattern=rf"[^=]+={FUNCTION}", several=True,
        form="topic=module:function, several with commas; a topic that begins with ^ is a pattern (or nothing)",
    )
    batch_size: int = row(
        "Work", "BATCH_SIZE", "--batch-size",
        "how many messages one call of a batch handler gets at most (one whose first parameter is called messages)",
        100, lowest=1, highest=10_000,
    )
    coroutines: int = row(
        "Work", "COROUTINES", "--coroutines",
        "how many calls of an async handler run at once in each process; MAX_IN_FLIGHT limits them too",
        1000, lowest=1, highest=1_000_000,
    )
    isolation: str = row(
        "Work", "ISOLATION", "--isolation",
        "where handlers run: in threads of the consumer process, or each thread's calls in a process of their own",
        "none", choices=("none", "process"),
    )
    max_in_flight: int = row(
        "Work", "MAX_IN_FLIGHT", "--max-in-flight",
        "how many unfinished messages (waiting, running, to be retried) a process holds before it fetches no more",
        1500, lowest=1, highest=1_000_000,
    )
    max_messages_per_second: float = row(
        "Work", "MAX_MESSAGES_PER_SECOND", "--max-messages-per-second",
        "how many messages are started per second at most, by all processes of this machine together; 0: no limit",
        0.0, unit="messages a second", lowest=0, highest=1_000_000_000,
    )
    drain_seconds: float = row(
        "Work", "DRAIN_SECONDS", "--drain-seconds",
        "how long running messages may take to finish when a process stops",
        30.0, unit="seconds", lowest=0, highest=3600,
    )
    commit_interval_seconds: float = row(
        "Work", "COMMIT_INTERVAL_SECONDS", "--commit-interval-seconds",
        "how often a process commits the offsets of finished messages",
        1.0, unit="seconds", lowest=0.05, highest=60,
    )
    offset_map: str = row(
        "Recovery", "OFFSET_MAP", "--offset-map",
        "whether commits also say what is finished beyond the offset, so that the partition's next owner skips it",
        "on", choices=("on", "off"),
    )
    journal: str = row(
        "Recovery", "JOURNAL", "--journal",
        "whether finished messages are noted in a file that survives kill -9, so that the restarted process skips them",
        "on", choices=("on", "off"),
    )
    max_deaths: int = row(
        "Time limits", "MAX_DEATHS", "--max-deaths",
        "how often a message may end or hang the process it runs in before it becomes a dead letter",
        2, lowest=1, highest=100,
    )
    retry_topics: Tuple[str, ...] = row(
        "Failures", "RETRY_TOPICS", "--retry-topics",
        "waits of at least this long are spent in a topic of their own, <topic>.retry.<delay>, and hold up no other message",
        (), pattern=r"\d{1,6}[smh]", several=True, form="delays like 30s, 10m or 2h, several with commas, or nothing",
    )
    delivery: str = row(
        "Work", "DELIVERY", "--delivery",
        "whether what handlers send may come twice after a crash, or is one transaction with the offset of their message",
        "at-least-once", choices=("at-least-once", "exactly-once"),
    )
    deliver_at_max_seconds: float = row(
        "Work", "DELIVER_AT_MAX_SECONDS", "--deliver-at-max-seconds",
        "a message waits for the time in its header deliver-at, which may lie this far ahead; 0: the header is ignored",
        0.0, unit="seconds", lowest=0, highest=100_000_000,
    )
    dead_letter_suffix: str = row(
        "Failures", "DEAD_LETTER_SUFFIX", "--dead-letter-suffix",
        "what is added to a topic's name to name the topic of its dead letters",
        ".dlq", pattern=r"[A-Za-z0-9._-]{1,100}", form="1 to 100 letters, digits, . _ -",
    )
    dead_letter_storm_share: float = row(
        "Failures", "DEAD_LETTER_STORM_SHARE", "--dead-letter-storm-share",
        "the share of the last messages that may become dead letters before no more are started for a while; 0: any share",
        0.5, unit="a share", lowest=0, highest=1,
    )
    dead_letter_storm_messages: int = row(
        "Failures", "DEAD_LETTER_STORM_MESSAGES", "--dead-letter-storm-messages",
        "how many of the last messages DEAD_LETTER_STORM_SHARE is a share of",
        100, lowest=2, highest=1_000_000,
    )
    memory_limit: str = row(
        "Memory and recycling", "MEMORY_LIMIT", "--memory-limit",
        "memory for all processes of this machine: limits what they fetch and hold; one that outgrows its share is replaced",
        "0", pattern=r"(?i)\d{1,12}(?:\.\d+)? ?(?:[KMGT](?:i?B)?|B)?", form="a size like 512M or 2G; 0: no limit",
    )
    recycle_messages: int = row(
        "Memory and recycling", "RECYCLE_MESSAGES", "--recycle-messages",
        "after about how many messages a process is replaced by a fresh one, without a rebalance; 0: never",
        0, lowest=0, highest=1_000_000_000,
    )
    recycle_seconds: float = row(
        "Memory and recycling", "RECYCLE_SECONDS", "--recycle-seconds",
        "at about what age a process is replaced by a fresh one, without a rebalance; 0: never",
        0.0, unit="seconds", lowest=0, highest=100_000_000,
    )
    heartbeat_timeout_seconds: float = row(
        "Restarts", "HEARTBEAT_TIMEOUT_SECONDS", "--heartbeat-timeout-seconds",
        "how long a process may give no sign of life before it counts as hung and is replaced",
        30.0, unit="seconds", lowest=2, highest=3600,
    )
    restart_window_seconds: float = row(
        "Restarts", "RESTART_WINDOW_SECONDS", "--restart-window-seconds",
        "the length of the window over which RESTART_LIMIT counts restarts",
        120.0, unit="seconds", lowest=1, highest=86_400,
    )
    stall_seconds: float = row(
        "Time limits", "STALL_SECONDS", "--stall-seconds",
        "how long a partition that has messages may stand still for no known reason before status says so",
        15.0, unit="seconds", lowest=1, highest=86_400,
    )
    settings_file: str = row(
        "Places and logs", "SETTINGS_FILE", "--settings-file",
        "a TOML file with settings, also for single topics; command line, environment and .env win over it",
        "", pattern=r".*", form="the path of a TOML file, or nothing",
    )
    log_level: str = row(
        "Places and logs", "LOG_LEVEL", "--log-level",
        "the lowest level of log lines that are written",
        "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = row(
        "Places and logs", "LOG_FORMAT", "--log-format",
        "text: log lines for people; json: one JSON object a line, for programs",
        "text", choices=("text", "json"),
    )
    tracing: str = row(
        "Places and logs", "TRACING", "--tracing",
        "whether each call of a handler is a span of OpenTelemetry, for the SDK that one of your hooks configures",
        "off", choices=("off", "on"),
    )
    core_dumps: str = row(
        "Places and logs", "CORE_DUMPS", "--core-dumps",
        "whether a process that crashes may leave a core file, which holds passwords; on: as the system allows",
        "off", choices=("off", "on"),
    )
    http: str = row(
        "HTTP", "HTTP", "--http",
        "where probes, metrics and the API are served; port 0: any that is free; nothing: they are not served",
        "", pattern=_ADDRESS, form="host:port, the host localhost or an IP address, IPv6 in [], or nothing",
    )
    http_token_file: str = row(
        "HTTP", "HTTP_TOKEN_FILE", "--http-token-file",
        "a file with the token that API and page ask for; without one they are served on loopback addresses only",
        "", pattern=r".*", form="the path of a text file with 16 characters or more, or nothing",
    )
    http_hosts: Tuple[str, ...] = row(
        "HTTP", "HTTP_HOSTS", "--http-hosts",
        "the names by which it may be called, besides localhost, this machine's name and IP addresses; *: any name",
        (), pattern=r"\*|(?:\*\.)?[A-Za-z0-9._-]{1,253}", several=True,
        form="host names, several with commas; *.example.org: all below it, or nothing",
    )
    http_show_keys: str = row(
        "HTTP", "HTTP_SHOW_KEYS", "--http-show-keys",
        "whether API and page show keys of messages, and texts of errors, which may contain them",
        "off", choices=("off", "on"),
    )
    metrics_also: str = row(
        "HTTP", "METRICS_ALSO", "--metrics-also", "under whose names metrics have lag and offsets once more",
        "off", choices=("off", "kafka_exporter"),
    )
    task_seconds: float = row(
        "The example handler", "TASK_SECONDS", "--task-seconds",
        "how long the example handler pretends to work on a message",
        5.0, unit="seconds", lowest=0, highest=86_400,
    )
    # fmt: on
    client_properties: Dict[str, str] = field(default_factory=dict)
    consumer_properties: Dict[str, str] = field(default_factory=dict)
    producer_properties: Dict[str, str] = field(default_factory=dict)
    registry_properties: Dict[str, str] = field(default_factory=dict)
    topic_tables: Dict[str, Dict[str, Any]] = field(default_factory=dict)  # by topic or pattern: what it has of its own
    host: str = field(default_factory=socket.gethostname)  # asked once, for all processes: a machine may change its name

    @property
    def session_seconds(self) -> float:
        """After so long the group takes a member for dead that is silent, by the classic protocol."""
        given = {**self.client_properties, **self.consumer_properties}
        return float(given.get("session.timeout.ms", SESSION_TIMEOUT_MS)) / 1000

    def of(self, topic: str) -> TopicSettings:
        """The settings that hold for this topic: its own come before those of the service, whoever said these. A table of its
        name wins against those of patterns, and the first pattern that fits against the others."""
        named = sorted(self.topic_tables, key=lambda name: name.startswith(PATTERN))
        return self._of_table(next((name for name in named if fits(topic, name)), ""))

    def each(self) -> List[TopicSettings]:
        """Those of the service, and those of each table."""
        return [self, *map(self._of_table, self.topic_tables)]

    def _of_table(self, table: str) -> TopicSettings:
        own = self.topic_tables.get(table, {})
        return TopicSettings(**{name: own.get(name, getattr(self, name)) for name in NAMES}, table=table)

    def to_json(self) -> str:
        """All of it, secrets included, on one line: for a child's private descriptor, never for a log."""
        return dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """The settings `to_json` wrote, also that of a supervisor that is younger than we, as after a way back to former code:
        what is not known here is left out. Raises TypeError or ValueError for anything else."""
        known = {each.name for each in fields(Settings)}
        values = _tuples({name: value for name, value in loads(text).items() if name in known})
        values["topic_tables"] = {name: _tuples(own) for name, own in values["topic_tables"].items()}
        return Settings(**values)

    def __repr__(self) -> str:
        """What `described` says, on one line, because settings end up in logs and tracebacks."""
        return f"Settings({', '.join(self._lines())})"

    def described(self) -> str:
        """One `NAME=value` a line, as in a `.env` file, with secrets masked."""
        return "\n".join(self._lines())

    def _lines(self) -> List[str]:
        lines = [f"{row.environment}={written(getattr(self, name))}" for name, row in TABLE.items()]
        for prefix, name in ALL_PREFIXES.items():
            for key, value in sorted(getattr(self, name).items()):
                lines.append(f"{environment_name(prefix, key)}={MASK if is_secret(key) else value}")
        return lines + [f"settings of {topic}: {own}" for topic, own in self.topic_differences().items()]

    def topic_differences(self) -> Dict[str, str]:
        """What each table says, in the words of the settings."""
        return {
            table: ", ".join(f"{TABLE[name].environment}={written(value)}" for name, value in own.items())
            for table, own in self.topic_tables.items()
        }


def _tuples(values: Dict[str, Any]) -> Dict[str, Any]:
    """JSON has lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


# How an environment name begins that stands for a librdkafka property, and the field that holds those.
PROPERTY_PREFIXES = {
    "KAFKA_CLIENT_": "client_properties",
    "KAFKA_CONSUMER_": "consumer_properties",
    "KAFKA_PRODUCER_": "producer_properties",
}
# The same of the client of a schema registry.
REGISTRY_PREFIX, REGISTRY_GROUP = "SCHEMA_REGISTRY_", "registry_properties"
ALL_PREFIXES = {**PROPERTY_PREFIXES, REGISTRY_PREFIX: REGISTRY_GROUP}

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
