"""Where settings come from, and what the command line says."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Dict, List, Optional

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_worker import start
from kafka_worker.shared.configuration.command_line import COMMANDS
from kafka_worker.shared.configuration.env_example import env_example
from kafka_worker.shared.configuration.load import Configuration, ConfigurationError, load
from kafka_worker.shared.settings import TABLE

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "KAFKA_GROUP_ID": "orders"}
NO_FILE = "/nonexistent/.env"


def loaded(*argv: str, environ: Optional[Dict[str, str]] = None, env_file: str = NO_FILE) -> Configuration:
    return load(argv, {**REQUIRED, **(environ or {})}, env_file)


def written(folder: Path, text: str) -> str:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_command_line_goes_before_the_environment_that_before_the_file_that_before_the_default(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "THREADS=3\nMAX_ATTEMPTS=4\nMAX_IN_FLIGHT=5\n")

    found = loaded("--threads", "1", environ={"THREADS": "2", "MAX_ATTEMPTS": "2"}, env_file=file).settings

    assert (found.threads, found.max_attempts, found.max_in_flight, found.ordering) == (1, 2, 5, "key")


def test_the_environment_goes_before_the_file_for_properties_too(tmp_path: Path) -> None:
    file = written(tmp_path, "KAFKA_CONSUMER_FETCH_MIN_BYTES=1\nKAFKA_CONSUMER_CHECK_CRCS=true\n")

    found = loaded(environ={"KAFKA_CONSUMER_FETCH_MIN_BYTES": "2"}, env_file=file).settings

    assert found.consumer_properties == {"fetch.min.bytes": "2", "check.crcs": "true"}


def test_children_inherit_what_the_file_holds_but_never_instead_of_the_real_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE", "real")  # python-dotenv looks up references there by itself
    file = written(tmp_path, "DATABASE=from-file\nHOME_PAGE=${DATABASE}/x\nONLY_HERE=1\n")

    inherited = loaded(environ={"DATABASE": "real"}, env_file=file).child_environment

    assert inherited["DATABASE"] == "real"
    assert inherited["HOME_PAGE"] == "real/x"
    assert inherited["ONLY_HERE"] == "1"


def test_the_example_file_without_its_comment_signs_sets_every_default(tmp_path: Path) -> None:
    lines = [line[1:] for line in env_example().splitlines() if line[:1] == "#" and line[1:2].isupper()]
    settings_only = [line for line in lines if line.split("=")[0] in {row.environment for row in TABLE.values()}]
    file = written(tmp_path, "\n".join(settings_only))

    assert len(settings_only) == len(TABLE)
    assert loaded(env_file=file).settings == loaded().settings


def test_values_are_read_as_people_write_them() -> None:
    found = loaded(
        environ={"LOG_LEVEL": "debug", "ORDERING": "None", "KAFKA_TOPIC": "a, b,a", "DRAIN_SECONDS": " 2.5 "}
    ).settings

    assert (found.log_level, found.ordering, found.topics, found.drain_seconds) == (
        "DEBUG",
        "none",
        ("a", "b"),
        2.5,
    )


def test_what_is_left_to_auto_is_decided_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafka_worker.shared.system.machine.usable_cores", lambda: 3)

    found = loaded(environ={"PROCESSES": "AUTO", "XDG_RUNTIME_DIR": "/run/user/7"}).settings

    assert (found.processes, found.threads, found.restart_limit) == (3, 3, 15)
    assert found.runtime_directory == "/run/user/7/kafka-consumer"
    assert found.state_directory == "/run/user/7/kafka-consumer/state"


def test_the_restart_limit_is_at_least_ten() -> None:
    assert loaded("--processes", "1").settings.restart_limit == 10


def test_without_a_session_the_runtime_directory_is_this_users_in_the_temporary_one() -> None:
    name = os.path.basename(loaded().settings.runtime_directory)

    assert name == f"kafka-consumer-{os.getuid()}"


def test_of_the_directories_systemd_gives_the_first_is_taken() -> None:
    found = loaded(environ={"RUNTIME_DIRECTORY": "/run/a:/run/b", "STATE_DIRECTORY": "/var/a:/var/b"}).settings

    assert (found.runtime_directory, found.state_directory) == ("/run/a", "/var/a")


def test_a_variable_may_name_a_file_with_the_value(tmp_path: Path) -> None:
    (tmp_path / "group").write_text("payments\n")
    (tmp_path / "password").write_text("two words \r\n")

    found = load(
        [],
        {
            "KAFKA_BOOTSTRAP_SERVERS": "kafka",
            "KAFKA_GROUP_ID_FILE": str(tmp_path / "group"),
            "KAFKA_CLIENT_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        },
        NO_FILE,
    ).settings

    assert found.group_id == "payments"
    assert found.client_properties == {"sasl.password": "two words "}


def test_a_property_whose_own_name_ends_in_file_is_not_read_from_one() -> None:
    found = loaded(environ={"KAFKA_CLIENT_SASL_OAUTHBEARER_ASSERTION_FILE": "/run/assertion"}).settings

    assert found.client_properties == {"sasl.oauthbearer.assertion.file": "/run/assertion"}


def test_status_needs_the_group_but_no_brokers() -> None:
    found = load(["status", "--json", "--group", "orders"], {}, NO_FILE)

    assert (found.asked.command, found.asked.as_json, found.settings.group_id) == ("status", True, "orders")
    with pytest.raises(ConfigurationError) as caught:
        load(["status"], {}, NO_FILE)
    assert [fault.split()[0] for fault in caught.value.faults] == ["KAFKA_GROUP_ID"]


def test_a_run_is_the_default_and_may_be_a_mere_check() -> None:
    plain, check = loaded().asked, loaded("--check-config").asked

    assert (plain.command, plain.as_json, plain.check_only) == ("run", False, False)
    assert check.check_only


@pytest.mark.parametrize(("word", "shown"), [("--version", "0.1.0"), ("--help", "exit status")])
def test_help_and_version_are_shown_whatever_else_is_wrong(word: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load([word], {}, NO_FILE)

    assert caught.value.code == 0
    assert shown in capsys.readouterr().out


def test_help_names_every_flag_with_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--help"], {}, NO_FILE)

    words = capsys.readouterr().out.split()
    assert not {row.flag for row in TABLE.values()} - set(words)
    assert not {f"[{row.environment}]" for row in TABLE.values()} - set(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_a_screen_with_what_goes_with_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load([command, "--help"], {}, NO_FILE)

    shown = capsys.readouterr().out
    usage = shown.partition("\n\n")[0]  # before Python 3.10 the next heading is another
    asked = ("--json", "--since", "--all", "--reason", "--for", "--follow", "--http-hosts", "--processes")
    flags = {flag for flag in asked if f"  {flag} " in shown}
    own = {
        "dead-letters": {"--since", "--all"}, "pause": {"--all", "--reason", "--for"}, "resume": {"--all"},
        "park": {"--reason"}, "events": {"--follow"}, "serve": {"--http-hosts"},
    }  # fmt: skip
    assert usage.startswith("usage: ")
    assert all(f" {command} " in line for line in usage.splitlines() if line.lstrip().startswith(("usage", start.program())))
    assert flags == own.get(command, set()) | ({"--json"} if "[--json]" in usage else set())
    assert len(shown.splitlines()) < 80


@example({"SETTINGS_FILE": "0\n0"})
@given(st.dictionaries(st.sampled_from(sorted(row.environment for row in TABLE.values())), st.text()))
def test_whatever_is_given_the_answer_is_a_configuration_or_its_faults(environ: Dict[str, str]) -> None:
    try:
        found = load([], environ, NO_FILE)
    except ConfigurationError as problem:
        assert problem.faults
        assert all("\n" not in fault for fault in problem.faults)
    else:
        assert found.settings.group_id


def test_no_temporary_folder_is_needed_where_the_runtime_directory_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)

    assert load([], {**REQUIRED, "RUNTIME_DIRECTORY": "/run/here"}, NO_FILE).settings.runtime_directory == "/run/here"
    assert (
        load([], REQUIRED, NO_FILE).settings.runtime_directory == f"/tmp/kafka-consumer-{os.getuid()}"
    )  # told when it is used


def test_a_misspelt_command_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(["statsu"], REQUIRED, NO_FILE)
    (fault,) = caught.value.faults

    assert fault.startswith("statsu (the command line) is not a command. Did you mean status?")


@pytest.mark.parametrize("wrong", [["--threads"], ["--json=yes"]])
def test_beside_a_flag_without_its_value_nothing_is_told_as_missing_that_is_there(wrong: List[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(["--group", "orders", "--bootstrap-servers", "kafka:9092", *wrong], {}, NO_FILE)

    (fault,) = caught.value.faults
    assert fault.startswith(f"the command line: argument {wrong[0].partition('=')[0]}: ")
