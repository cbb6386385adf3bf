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

AUTO = "auto"
MASK = "********"
_SECRET = re.compile(r"password|secret|token|jaas|\.key$|\.pem$|^sasl\.|^ssl\.key")
_TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}"
_SERVER = r"(?:\w+://)?(?:\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]]+)(?::\d{1,5})?"
ABSOLUTE_PATH = "an absolute path"


@dataclass(frozen=True)
class Setting:
    """One row of the table, except for its type and default, which are those of the field in `Settings`."""

    environment: str
    flag: str
    group: str  # heading under which help and `.env.example` show it
    meaning: str
    unit: str = ""  # of a number; one without a unit is a count, a whole number
    lowest: float = 0
    highest: float = 0  # the range of a number, both ends allowed
    choices: Tuple[str, ...] = ()
    pattern: str = ""  # what the whole of a text (or each of several) must match
    several: bool = False  # whether commas separate several texts
    form: str = ""  # the pattern in words
    automatic: str = ""  # what "auto" (then the default) stands for; empty: there is no "auto"
    default: str = ""  # as one would write it; empty: required

    @property
    def wanted(self) -> str:
        """The form and range of a value, in words."""
        form = self.form or ("one of " + ", ".join(self.choices) if self.choices else self._range())
        return form + (f', or "{AUTO}"' if self.automatic else "")

    @property
    def default_described(self) -> str:
        """The default in words."""
        automatic = f" ({self.automatic})" if self.automatic else ""
        return f"default {self.default}{automatic}" if self.default else "required"

    def _range(self) -> str:
        kind = f"{self.unit}, a number" if self.unit else "a whole number"
        return f"{kind} from {_plain(self.lowest)} to {_plain(self.highest)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _row(group: str, environment: str, flag: str, meaning: str, default: Any = MISSING, **columns: Any) -> Any:
    """A field of `Settings` with its row. "auto" has no value here: whoever makes a Settings resolves it."""
    shown = AUTO if "automatic" in columns else "" if default is MISSING else written(default)
    row = Setting(environment, flag, group, meaning, default=shown, **columns)
    return field(metadata={"row": row}, default=default)


def written(value: Any) -> str:
    """A value as one would write it in the environment."""
    if isinstance(value, tuple):
        return ",".join(value)
    return _plain(value) if isinstance(value, (int, float)) else str(value)


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
        "handler threads in each process",
        lowest=1, highest=1024, automatic="as many as usable cores",
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
        pattern=r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*",
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
    dead_letter_suffix: str = _row(
        "Failures", "DEAD_LETTER_SUFFIX", "--dead-letter-suffix",
        "what is added to a topic's name for its dead letters",
        ".dlq", pattern=r"[A-Za-z0-9._-]{1,100}", form="1 to 100 letters, digits, . _ -",
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
        return Settings(**{**values, "topics": tuple(values["topics"])})

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
for _heading in ("Kafka", "Work", "Recovery", "Failures", "Restarts", "Places and logs", "The example handler"):
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
