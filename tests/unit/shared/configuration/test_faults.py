"""Each fault names the setting, the value, its source, the wanted form and the next step: here, each once, in
full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List

import pytest

from kafka_worker.shared.configuration.load import ConfigurationError, load
from tests.unit.shared.configuration.test_load import NO_FILE, REQUIRED, written

if TYPE_CHECKING:
    from pathlib import Path


def faults(*argv: str, environ: Dict[str, str], env_file: str = NO_FILE) -> List[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(argv, {**REQUIRED, **environ}, env_file)
    return caught.value.faults


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        (
            {"PROCESSES": "many"},
            (
                'PROCESSES = "many" (the environment) must be a whole number from 1 to 512, or "auto". '
                "Correct it, or remove it for the default auto."
            ),
        ),
        (
            {"DRAIN_SECONDS": "nan"},
            (
                'DRAIN_SECONDS = "nan" (the environment) must be seconds, a number from 0 to 3600. '
                "Correct it, or remove it for the default 30."
            ),
        ),
        (
            {"ORDERING": "random"},
            (
                'ORDERING = "random" (the environment) must be one of key, partition, none. '
                "Correct it, or remove it for the default key."
            ),
        ),
        (
            {"KAFKA_TOPIC": "fine,not fine"},
            (
                'KAFKA_TOPIC = "fine,not fine" (the environment) must be topic names (1 to 249 of '
                "letters, digits, . _ -), "
                "several with commas. Correct it, or remove it for the default Scenario-Execute."
            ),
        ),
        (
            {"MEMORY_LIMIT": "300M", "PROCESSES": "4"},
            (
                "MEMORY_LIMIT = 300M is too small for PROCESSES = 4: each needs at least 96M and the supervisor 40M, 424M in "
                "all. Raise it, or lower PROCESSES."
            ),
        ),
        (
            {"KAFKA_BOOTSTRAP_SERVERS": "kafka://anna:hu,nt@er2@host:9092,host:1"},
            (
                'KAFKA_BOOTSTRAP_SERVERS = "********@host:9092,host:1" (the environment) must be host:port, the port from '
                "1 to 65535, several with commas. Correct it."
            ),
        ),
        (
            {"KAFKA_GROUP_ID": "  "},
            'KAFKA_GROUP_ID = "  " (the environment) must be a name, not empty. Correct it.',
        ),
        (
            {"RETRYABLE_ERRORS": "OSError,Timeout", "FATAL_ERRORS": "ValueError,Timeout"},
            "RETRYABLE_ERRORS and FATAL_ERRORS must not both name Timeout. Keep each in one of them.",
        ),
        (
            {"HANDLER_TIMEOUT_SECONDS": "30", "HANDLER_KILL_SECONDS": "30"},
            (
                "HANDLER_KILL_SECONDS = 30 must be above HANDLER_TIMEOUT_SECONDS = 30: a call is told first. Raise the first, "
                "or set one of them to 0."
            ),
        ),
        (
            {"KAFKA_TOPIC": "t" * 245, "RETRY_TOPICS": "30s"},
            (
                f"The topic {'t' * 245} and RETRY_TOPICS = 30s make a topic name longer than 249 characters. "
                "Do without retry topics, or rename the topic."
            ),
        ),
        (
            {"KAFKA_TOPIC": "t,t.retry.30s", "RETRY_TOPICS": "30s"},
            (
                "t.retry.30s is the retry topic of t (RETRY_TOPICS = 30s), which is consumed with it. Take it out of the "
                "topics."
            ),
        ),
        (
            {"KAFKA_TOPIC": "t", "DEAD_LETTER_SUFFIX": ".retry.30s", "RETRY_TOPICS": "30s"},
            (
                "DEAD_LETTER_SUFFIX = .retry.30s sends dead letters of t to its retry topic t.retry.30s, and they would "
                "come again, for ever. Choose another suffix."
            ),
        ),
        (
            {"RETRY_BACKOFF_SECONDS": "5", "RETRY_BACKOFF_MAX_SECONDS": "2"},
            "RETRY_BACKOFF_MAX_SECONDS = 2 must not be below RETRY_BACKOFF_SECONDS = 5. Raise the first.",
        ),
        (
            {"KAFKA_TOPIC": "t" * 249},
            (
                f"KAFKA_TOPIC = {'t' * 249} and DEAD_LETTER_SUFFIX = .dlq make a topic name longer than "
                "249 characters. "
                "Shorten one of them."
            ),
        ),
        (
            {"KAFKA_TOPIC": "a", "KAFKA_TOPIC_FILE": "/x"},
            "KAFKA_TOPIC and KAFKA_TOPIC_FILE are both set (the environment). Remove one of them.",
        ),
        (
            {"THREADS_FILE": "/nonexistent/threads"},
            (
                'THREADS_FILE = "/nonexistent/threads" (the environment) cannot be read: [Errno 2] No '
                "such file or directory: "
                "'/nonexistent/threads'. It must be the path of a text file that holds the value. Correct "
                "the path."
            ),
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_value_is_answered_with_what_is_wanted_and_what_to_do(environ: Dict[str, str], fault: str) -> None:
    assert faults(environ=environ) == [fault]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,,b:2"),
        ("KAFKA_TOPIC", ".."),
        ("KAFKA_TOPIC", ""),
        ("PROCESSES", "0"),
        ("PROCESSES", "513"),
        ("PROCESSES", "1.5"),
        ("COMMIT_INTERVAL_SECONDS", "0.01"),
        ("COMMIT_INTERVAL_SECONDS", "inf"),
        ("HANDLER", "module.function"),
        ("DEAD_LETTER_SUFFIX", ""),
        ("RUNTIME_DIRECTORY", "run/here"),
    ],
)
def test_a_value_outside_its_form_or_range_is_refused(name: str, value: str) -> None:
    (fault,) = faults(environ={name: value})

    assert fault.startswith(f'{name} = "{value}" (the environment) must be ')


def test_a_missing_required_setting_says_how_to_set_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load([], {"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, NO_FILE)

    assert caught.value.faults == [
        ("KAFKA_GROUP_ID is required, but not given. It must be a name, not empty. Set KAFKA_GROUP_ID or --group.")
    ]


def test_all_faults_of_all_sources_are_told_together(tmp_path: Path) -> None:
    file = written(tmp_path, "MAX_ATTEMPTS=0\nHANDLR=a:b\n")

    found = faults("--threads", "none", "--proceses", "3", environ={"LOG_LEVEL": "loud"}, env_file=file)

    assert [fault.split(")")[0] for fault in found] == [
        "--proceses (the command line",
        f"HANDLR is not a setting ({file}",
        '--threads = "none" (the command line',
        f'MAX_ATTEMPTS = "0" ({file}',
        'LOG_LEVEL = "loud" (the environment',
    ]


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (["--proceses", "4"], "--proceses (the command line) is not an option. Did you mean --processes? See --help."),
        (["--sasl=secret"], "--sasl (the command line) is not an option. See --help."),
        (["--threads"], "the command line: argument --threads: expected one argument. See --help."),
        (["--hlep"], "--hlep (the command line) is not an option. Did you mean --help? See --help."),
        (
            ["start"],
            (
                "start (the command line) is not a command. Write status, top, explain, stacks, events, metrics, lag, check, "
                "serve, pause, resume, pauses, park, dead-letters, or nothing to run the service."
            ),
        ),
        (
            ["--json"],
            (
                "--json (the command line) goes with status, lag, check, explain, stacks, events, pauses, dead-letters only. "
                "Write: supervisor.py status --json"
            ),
        ),
    ],
)
def test_a_wrong_word_on_the_command_line_is_answered_with_the_right_one(argv: List[str], fault: str) -> None:
    assert faults(*argv, environ={}) == [fault]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KAFKA_TOPICS", "KAFKA_TOPIC"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_THREADS", "THREADS"),
        ("KAFKA_SECURITY_PROTOCOL", "KAFKA_CLIENT_SECURITY_PROTOCOL"),
        ("KAFKA_SASL_PASWORD", "KAFKA_CLIENT_SASL_PASSWORD"),
        ("PROCESES", "PROCESSES"),
        ("KAFKA_GROUPID_FILE", "KAFKA_GROUP_ID_FILE"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_right_one(name: str, meant: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"{name}=x\n")
    told = f"{name} is not a setting (%s); did you mean {meant}? Rename or remove it."

    assert faults(environ={}, env_file=file) == [told % file]
    # The environment has names of other programs in it, so there it is no more than a warning.
    assert load([], {**REQUIRED, name: "x"}, NO_FILE).warnings == (told % "the environment",)


@pytest.mark.parametrize("name", ["LOGLEVEL", "NTHREADS", "KAFKA_DEBUG", "KAFKA_CONSUMER_GROUP", "KAFKA_CLIENT_CERT"])
@pytest.mark.parametrize("command", [[], ["status"], ["dead-letters", "list"]])
def test_names_of_other_programs_in_the_environment_stop_nothing(name: str, command: List[str]) -> None:
    found = load(command, {**REQUIRED, name: "x"}, NO_FILE)

    assert len(found.warnings) == 1
    assert found.settings.client_properties == found.settings.consumer_properties == {}


def test_what_was_perhaps_meant_is_told_with_the_faults(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load([], {"KAFKA_BOOTSTRAP_SERVERS": "kafka", "KAFKA_CONSUMER_GROUP": "orders"}, NO_FILE)

    assert caught.value.faults == [
        "KAFKA_GROUP_ID is required, but not given. It must be a name, not empty. Set KAFKA_GROUP_ID or --group.",
        "KAFKA_CONSUMER_GROUP is not a setting (the environment); did you mean KAFKA_GROUP_ID? Rename or remove it.",
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("KAFKA_GROUP_ID", '"orders"'), ("KAFKA_CLIENT_SASL_PASSWORD", "'right'"), ("HANDLERS_FILE", '"a"')]
)
def test_quotation_marks_that_no_shell_has_taken_away_are_told(name: str, value: str, tmp_path: Path) -> None:
    environ = {**REQUIRED, "KAFKA_CLIENT_SECURITY_PROTOCOL": "plaintext", name: value}
    if name.endswith("_FILE"):
        (tmp_path / "value").write_text("'a=b:c'")
        environ[name] = str(tmp_path / "value")
        assert "HANDLERS_FILE (the environment): the content of" in faults(environ=environ)[0]
        return

    (warning,) = load([], environ, NO_FILE).warnings

    assert warning.startswith(f"{name} (the environment) begins and ends with a quotation mark, and that is part of its value")
    assert "right" not in warning


def test_a_value_that_loses_a_part_on_the_way_is_a_fault_and_in_what_is_not_ours_a_warning(tmp_path: Path) -> None:
    file = written(
        tmp_path, "KAFKA_CLIENT_SASL_PASSWORD=pa$$wo${rd}x\nMINE='a${b}'\nHERE=${PATH_OF}\nWITH=${NOT:-x}\nSINGLE=a$b\n"
    )
    environ = {"PATH_OF": "x", "KAFKA_CLIENT_SECURITY_PROTOCOL": "plaintext"}

    with pytest.raises(ConfigurationError) as caught:
        load([], {**REQUIRED, **environ}, file)

    told = f"{{0}} ({file}): ${{{{…}}}} in its value stands for a variable, and there is none of that name. "
    remedy = "Write a value with such characters into a file, and the file's path into {0}_FILE."
    assert caught.value.faults == [(told + remedy).format("KAFKA_CLIENT_SASL_PASSWORD")]
    assert caught.value.partial.warnings == ((told + remedy).format("MINE"),)


def test_a_misspelt_name_in_the_file_is_told_even_when_it_is_less_alike(tmp_path: Path) -> None:
    file = written(tmp_path, "BOOTSTRAP_SERVERS=kafka\n")

    assert load([], {**REQUIRED, "BOOTSTRAP_SERVERS": "kafka"}, NO_FILE).warnings == ()
    assert faults(environ={}, env_file=file) == [
        (f"BOOTSTRAP_SERVERS is not a setting ({file}); did you mean KAFKA_BOOTSTRAP_SERVERS? Rename or remove it.")
    ]


def test_what_kubernetes_puts_into_the_environment_is_one_warning() -> None:
    names = [
        "KAFKA_BOOTSTRAP_SERVICE_HOST",
        "KAFKA_CLIENT_SERVICE_PORT",
        "KAFKA_PORT",
        "KAFKA_PORT_9092_TCP_ADDR",
    ]

    found = load([], {**REQUIRED, **dict.fromkeys(names, "x")}, NO_FILE)

    assert found.warnings == (f"ignored, as they are no settings of this service: {', '.join(names)}",)
    assert found.settings.client_properties == {}


def test_names_of_others_are_ignored_in_silence(tmp_path: Path) -> None:
    environ = dict.fromkeys(["PATH", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME", "PYTHONPATH", "LOGNAME"], "x")
    file = written(tmp_path, "DATABASE_URL=x\nLOG_FILE=x\n")

    assert load([], {**REQUIRED, **environ}, file).warnings == ()


@pytest.mark.parametrize(
    ("environ", "warnings"),
    [
        ({"RETRY_TOPICS": "30s", "ORDERING": "none"}, []),
        (
            {"RETRY_TOPICS": "30s", "ORDERING": "key"},
            [
                (
                    "RETRY_TOPICS: a message that waits in a retry topic is overtaken by its followers, so ORDERING = key "
                    "holds among the others only"
                )
            ],
        ),
        (
            {"RETRY_TOPICS": "1m,2m,1h", "ORDERING": "none"},
            [
                (
                    "RETRY_TOPICS = 2m,1h: no wait gets as long, as RETRY_BACKOFF_MAX_SECONDS = 60; only waits that a "
                    "handler asks for"
                )
            ],
        ),
        ({"RETRY_TOPICS": "1h", "ORDERING": "none", "DELIVER_AT_MAX_SECONDS": "7200"}, []),
        (
            {"DELIVER_AT_MAX_SECONDS": "7200", "DELIVERY": "exactly-once"},
            [
                (
                    "DELIVER_AT_MAX_SECONDS without RETRY_TOPICS: what waits for its time holds its partition's commits, and "
                    "its followers (ORDERING = key), and results of all behind it (DELIVERY = exactly-once), and counts for "
                    "MAX_IN_FLIGHT"
                )
            ],
        ),
    ],
)
def test_retry_topics_that_are_perhaps_not_meant_are_warned_of(environ: Dict[str, str], warnings: List[str]) -> None:
    assert list(load([], {**REQUIRED, **environ}, NO_FILE).warnings) == warnings


def test_lines_of_the_file_not_understood_are_faults_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(
        tmp_path,
        """THREADS=3\nKAFKA_TOPIC='open\nMAX_IN_FLIGHT\nMAX_ATTEMPTS:5\nKAFKA_CLIENT_SSL_CA_LOCATION\nTHEIRS\nPROCESSES\n"""
        "KAFKA_BOOTSTRAP_SERVERS=of-the-file\nKAFKA_GROUP_ID=group\nTHREADS=many\n",
    )

    with pytest.raises(ConfigurationError) as caught:
        load([], {"PROCESSES": "3"}, file)

    *lines, last = caught.value.faults
    assert lines == [f"{file}, line {line}: not of the form NAME=value. Correct the line." for line in (2, 3, 4, 5)]
    assert last.startswith('THREADS = "many"')
    assert caught.value.partial.settings.bootstrap_servers == "of-the-file"
    assert caplog.messages == []


def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults(environ={}, env_file=str(tmp_path))

    assert fault.startswith(f"{tmp_path} cannot be read: ")
    assert fault.endswith("Make it a readable UTF-8 text, or remove it.")


def test_the_content_of_a_file_with_a_value_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "threads").write_text("hunter2")

    (fault,) = faults(environ={"THREADS_FILE": str(tmp_path / "threads")})

    assert fault.startswith(f'THREADS_FILE (the environment): the content of "{tmp_path}/threads" must be a whole number')
    assert "hunter2" not in fault


def test_a_variable_that_no_process_can_be_given_is_named(tmp_path: Path) -> None:
    long = "x" * 131072
    file = written(tmp_path, f"LONG={long}\nNUL=a\0b\nFITS={long[:131066]}\n")

    assert faults(environ={}, env_file=file) == [
        f"LONG ({file}) is 131077 bytes long, and a variable can have 131071. Put it into a file.",
        f"NUL ({file}) has a NUL in it, which a variable can't have. Remove it.",
    ]


@pytest.mark.parametrize("name", ["KAFKA_GROUP_ID", "HANDLER", "KAFKA_CLIENT_SASL_PASSWORD"])
def test_what_is_not_utf_8_is_named_and_not_shown(name: str) -> None:
    found = faults(environ={name: "caf\udce9"})

    assert f"{name} (the environment) is not UTF-8. Correct it." in found
    assert "\udce9" not in found[0]
