"""What the documents name (settings, options, files, targets, metrics, exit codes, numbers) is what there is."""

from __future__ import annotations

import re
from typing import List

import pytest

from kafka_worker.gates import breaker, breakers
from kafka_worker.handler.formats import registry
from kafka_worker.handler.validation import schema
from kafka_worker.isolation import task_process
from kafka_worker.ops.serve import site
from kafka_worker.ops.serve.server import Bounds
from kafka_worker.outcomes import dead_letters
from kafka_worker.partitions.tracker import SEGMENT_SIZE
from kafka_worker.recovery import journal, suspects
from kafka_worker.shared.configuration.command_line import COMMANDS, parser
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign import errors
from kafka_worker.shared.ipc import recent
from kafka_worker.shared.output import log_format, log_writer
from kafka_worker.shared.settings import ALL_PREFIXES, SESSION_TIMEOUT_MS, TABLE, Settings
from kafka_worker.shared.system import memory, room
from tests.unit.ops.views.test_monitoring import SERIES
from tests.unit.test_documents import DOCUMENTS, ROOT

TEXTS = {name: (ROOT / name).read_text("utf-8") for name in DOCUMENTS}
OPERATIONS, HANDLERS, SYSTEMD = (TEXTS[name] for name in ("docs/OPERATIONS.md", "docs/HANDLERS.md", "systemd/README.md"))

#: Names of variables that others read, or constants of theirs.
OF_OTHERS = (
    "CURRENT_TIMESTAMP", "EXTEND_TIMEOUT_USEC", "ILLEGAL_GENERATION", "MAX_RETRIES", "NAME_FILE", "NOT_COORDINATOR", "OTEL_",
    "PR_SET_", "RLIMIT_CORE", "SASL_", "SIMULATION_SEED", *ALL_PREFIXES,
)  # fmt: skip
HTTP = Bounds()
#: By document the phrases with a number in them that stands in the code.
NUMBERS = {
    "docs/OPERATIONS.md": [
        f"{memory.SUPERVISOR_BYTES // memory.MEBIBYTE}M are the supervisor's",
        f"at least {memory.LEAST_BYTES // memory.MEBIBYTE}M. At {100 * memory.SOFT_SHARE:.0f} % of it",
        f"the {memory.BASE_BYTES // memory.MEBIBYTE}M of",
        f"an eighth (at most {memory.MOST_PREFETCH_BYTES // memory.MEBIBYTE} MiB)",
        f"at least {room.FILES_OF_ANY} open files, and {room.FILES_OF_A_TASK_PROCESS} more a thread",
        f"supervisor {room.FILES_OF_A_CHILD} more a process, the HTTP part {room.FILES_OF_HTTP} more",
        f"{recent.KEPT} in all and {recent.MOST_OF_A_KIND} of a kind",
        f"Each process keeps up to {log_writer.MOST_WAITING} lines",
        f"cut at {errors.LONGEST_TEXT:,} characters, messages and tracebacks at {log_format.LONGEST_TEXT:,}",
        f"(up to {breakers.MOST_DEPENDENCIES} names in a process)",
        f"up to {breaker.MOST_PROBES}",
        f"{journal.RECORDS:,} pieces of {SEGMENT_SIZE:,} offsets",
        f"within {HTTP.request_seconds:.0f} s, its answer taken within {HTTP.answer_seconds:.0f}",
        f"{HTTP.most} connections",
        f"{site.MOST_STREAMS} streams",
        f"session timeout ({SESSION_TIMEOUT_MS // 1000} s)",
    ],
    "docs/HANDLERS.md": [
        f"for {suspects.REMEMBERED_SECONDS / 3600:.0f} hours after the last one, {suspects.MOST:,} messages at most",
        f"every {task_process.PAUSE_SECONDS:.0f} s, no attempt is counted",
        f"whenever a task wants its process, every {task_process.PAUSE_SECONDS:.0f} s",
        f"its last {dead_letters.LONGEST_TRACEBACK:,} characters",
        f"deeper than {schema.DEEPEST} levels",
        f"up to {schema.COUNTED:,} bytes",
        f"has not known that one for {registry.PATIENCE_SECONDS:.0f} s",
        f"`MAX_IN_FLIGHT` ({Settings.max_in_flight}) together with `COROUTINES` ({Settings.coroutines})",
        f"`MAX_DEATHS` deaths in all ({Settings.max_deaths})",
        f"`RETRY_BACKOFF_MAX_SECONDS` ({Settings.retry_backoff_max_seconds:.0f} by default)",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_stand_in_the_code_are_the_same_in_the_documents(name: str) -> None:
    text = " ".join(TEXTS[name].split())

    assert [phrase for phrase in NUMBERS[name] if phrase not in text] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_setting_option_file_and_target_that_a_document_names_is_there(name: str) -> None:
    text = TEXTS[name]
    settings = {row.environment for row in TABLE.values()}
    options = {option for action in parser()._actions for option in action.option_strings}
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    variables = re.findall(r"(?<![\w.$%{-])[A-Z][A-Z0-9]*_[A-Z0-9_]+(?![\w…])", text)
    ours = {word for word in variables if not word.startswith(OF_OTHERS)}
    assert ours <= settings.union(f"{setting}_FILE" for setting in settings)
    typed = " ".join(re.findall(r"(?:supervisor\.py|`kafka-worker)((?: [^\s`|&]+)+)", text))
    assert set(re.findall(r" (--[a-z-]+)", typed)) <= options
    assert [path for path in paths(text) if not (list(ROOT.glob(path)) or list(ROOT.glob(f"tests/{path}.py")))] == []
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= targets


def test_each_setting_that_an_example_names_is_there() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "examples").glob("*.py")]

    assert {name for text in texts for name in re.findall(r"`([A-Z_]+)[`=]", text)} <= {
        row.environment for row in TABLE.values()
    }


def paths(text: str) -> List[str]:
    """Those that begin in a folder of the project."""
    folders = "bench|broker|deploy|docs|examples|monitoring|processes|simulation|soak|systemd|tests|worker"
    return [path.rstrip("/") for path in re.findall(rf"`((?:{folders})/[\w./*-]+)`", text)]


def test_each_metric_is_in_the_table_of_the_document_and_each_name_there_is_a_metric_or_a_label() -> None:
    table = OPERATIONS.partition("| metrics, without")[2].partition("With `METRICS_ALSO")[0]
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name[len("kafka_worker_") :]) for name in SERIES}
    labels = {label for values in SERIES.values() for label in values}

    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", table))
    assert metrics - named == set()
    assert named - metrics - labels <= {"explain", "other", "by"}


def test_each_exit_code_is_in_the_tables_of_both_documents() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATIONS.partition("\n## Exit codes\n")[2], re.MULTILINE)}

    assert told == set(ExitCode)
    of_systemd = SYSTEMD.partition("\n## What each exit code")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", of_systemd, re.MULTILINE)} <= set(ExitCode)


def test_each_command_is_shown_where_commands_are_listed() -> None:
    assert [word for word in COMMANDS if f"python supervisor.py {word}" not in OPERATIONS] == []
