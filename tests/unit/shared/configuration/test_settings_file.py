"""The file that SETTINGS_FILE names: what it says of the service, and of single topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

import pytest

from kafka_worker.shared.configuration.load import Configuration, ConfigurationError, load
from kafka_worker.shared.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "KAFKA_GROUP_ID": "g"}
EXAMPLE = """\
# Of the service, by the names of its variables.
kafka_topic = ["orders", "reports", "bulk-1"]
max_attempts = 5
threads = "auto"
kafka_consumer_check_crcs = true
kafka_client_sasl_password = "hidden"

[topics.orders]
priority = 10
handler_timeout_seconds = 2.5
fatal_errors = ["KeyError", "json.JSONDecodeError"]

[topics."^bulk-"]   # a pattern
max_attempts = 1
threads_share = 0.25
"""


def loaded(folder: Path, text: str, *argv: str, **environ: str) -> Configuration:
    path = folder / "worker.toml"
    path.write_bytes(text.encode())
    return load(argv, {**REQUIRED, "SETTINGS_FILE": str(path), **environ}, str(folder / "no.env"))


def faults(folder: Path, text: str, **environ: str) -> List[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text, **environ)
    return [fault.replace(str(folder / "worker.toml"), "FILE") for fault in caught.value.faults]


def test_it_holds_settings_of_the_service_and_what_topics_have_of_their_own(tmp_path: Path) -> None:
    found = loaded(tmp_path, EXAMPLE.replace("\n", "\r\n")).settings
    orders, reports, bulk = map(found.of, ("orders", "reports", "bulk-1"))

    assert (found.topics, found.max_attempts, found.consumer_properties) == (
        ("orders", "reports", "bulk-1"), 5, {"check.crcs": "true"},
    )  # fmt: skip
    assert [own.max_attempts for own in (orders, reports, bulk)] == [5, 5, 1]
    assert (orders.priority, orders.handler_timeout_seconds, orders.table) == (10, 2.5, "orders")
    assert orders.fatal_errors == ("KeyError", "json.JSONDecodeError")
    assert (bulk.threads_share, bulk.table, reports.threads_share, reports.table) == (0.25, "^bulk-", 1.0, "")
    assert Settings.from_json(found.to_json()) == found


def test_variables_go_before_what_it_says_of_the_service_and_what_a_topic_has_of_its_own_before_both(tmp_path: Path) -> None:
    found = loaded(tmp_path, EXAMPLE, "--threads", "3", MAX_ATTEMPTS="7", PRIORITY="2").settings

    assert (found.threads, found.max_attempts) == (3, 7)
    assert [found.of(topic).max_attempts for topic in ("orders", "bulk-1")] == [7, 1]
    assert [found.of(topic).priority for topic in ("orders", "bulk-1")] == [10, 2]


def test_a_table_of_a_topics_name_wins_against_patterns_and_the_first_pattern_against_others(tmp_path: Path) -> None:
    text = "".join(
        f'[topics."{table}"]\npriority = {number}\n' for number, table in enumerate(("^a", "^ab", "abc", "^nothing"), 1)
    )

    found = loaded(tmp_path, text, HANDLERS="^a=m:f").settings

    assert [found.of(topic).priority for topic in ("abc", "ab", "a", "b")] == [3, 1, 1, 1]
    assert [found.of(topic).table for topic in ("abc", "ab", "a", "b")] == ["abc", "^a", "^a", ""]


def test_what_topics_have_of_their_own_is_shown_and_secrets_are_not(tmp_path: Path) -> None:
    shown = loaded(tmp_path, EXAMPLE).settings.described()

    assert "settings of orders: PRIORITY=10, HANDLER_TIMEOUT_SECONDS=2.5, FATAL_ERRORS=KeyError,json.JSONDecodeError" in shown
    assert "settings of ^bulk-: MAX_ATTEMPTS=1, THREADS_SHARE=0.25" in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a = x", "SETTINGS_FILE FILE can't be read: Invalid value (at line 1, column 5). It must"),
        ("\nmax_atempts = 3", "MAX_ATEMPTS is not a setting (FILE, line 2); did you mean MAX_ATTEMPTS?"),
        ("quite_foreign = 3", "quite_foreign (FILE, line 1) is not a setting. Remove it"),
        ("kafka_quite_foreign = 3", "kafka_quite_foreign (FILE, line 1) is not a setting. Remove it"),
        ("settings_file = 'x'", "settings_file (FILE, line 1): this is that file. Remove it."),
        ("max_attempts = '3'", "max_attempts (FILE, line 1) is a text, and must be a whole number from 1 to 1000."),
        ("threads = true", "threads (FILE, line 1) is a truth value, and must be a whole number from 1 to 1024, or"),
        ("journal = 1979-05-27", "journal (FILE, line 1) is a time, and must be one of on, off."),
        ("kafka_topic = [1]", "kafka_topic (FILE, line 1) is a list, and must be topic names"),
        ("max_attempts = 0", 'MAX_ATTEMPTS = "0" (FILE, line 1) must be a whole number from 1 to 1000.'),
        ("drain_seconds = nan", 'DRAIN_SECONDS = "nan" (FILE, line 1) must be seconds, a number from 0 to 3600.'),
        ("kafka_client_sasl_mechanisn = 'x'", "KAFKA_CLIENT_SASL_MECHANISN = ******** (FILE, line 1): librdkafka knows no"),
        ("MAX_ATTEMPTS = 3\nmax_attempts = 3", "MAX_ATTEMPTS is set twice, once so (FILE, line 2). Remove one."),
        (
            "[topics.orders]\nmax_attempts = 3\nMAX_ATTEMPTS = 4",
            "[topics.orders] MAX_ATTEMPTS is set twice, once so (FILE, line 3). Remove one.",
        ),
        ("topics = ['a']", "topics (FILE, line 1) is a list. The topics to consume are kafka_topic; topics must"),
        ("[topics]\norders = 3", "[topics.orders] (FILE, line 2) is a number, and must be a table."),
        ("[[topics.orders]]", "[topics.orders] (FILE, line 1) is a list, and must be a table."),
        (
            "max_attempts = 3\n[topics.orders.eu.v1]\npriority = 2",
            '[topics.orders.eu.v1] (FILE, line 2) is a table within that of orders; did you mean [topics."orders.eu.v1"]?',
        ),
        ("[topic.orders]\npriority = 2", "[topic] (FILE, line 1) is a table, and only topics have tables, as [topics."),
        ("[kafka_client]\nsasl_username = 'a'", "[kafka_client] (FILE, line 1) is a table, and only topics have tables"),
        ("kafka_topics = ['a']", "KAFKA_TOPICS is not a setting (FILE, line 1); did you mean KAFKA_TOPIC?"),
        ("schema_registry_url = ['a']", "schema_registry_url (FILE, line 1) is a list, and must be a text, a number"),
        ("max_attempts_file = ['a']", "max_attempts_file (FILE, line 1) is a list, and must be a text, a number"),
        ('kafka_client_sasl_password = "a\\u0000b"', "KAFKA_CLIENT_SASL_PASSWORD (FILE, line 1) has a NUL in it."),
        ('[topics.orders]\nmessage_schema = "a\\u0000"', "[topics.orders] message_schema (FILE, line 2) has a NUL in it."),
        ("kafka_producer_acks = 1", 'KAFKA_PRODUCER_ACKS = "1" (FILE, line 1): acks is all here, as nothing is lost only so.'),
        ("[topics.orders]\nhandler = 'a:b'", "[topics.orders] handler (FILE, line 2) stands in handlers, above the first"),
        ("[topics.orders]\nmax_atempts = 3", "[topics.orders] max_atempts (FILE, line 2) is not a setting of a topic; did"),
        ("[topics.orders]\nprocesses = 3", "[topics.orders] processes (FILE, line 2) holds for the service as a whole."),
        ("[topics.orders]\nwhat = 3", "[topics.orders] what (FILE, line 2) is not a setting of a topic. Topics have"),
        ("[topics.orders]\nordering = 3", "[topics.orders] ordering (FILE, line 2) is a number, and must be one of key,"),
        ("[topics.orders]\n\npriority = 0", '[topics.orders] priority = "0" (FILE, line 3) must be a whole number from 1'),
        ("topics.orders.priority = 0", '[topics.orders] priority = "0" (FILE, line 1) must be a whole number'),
        (
            "[topics.orders]\nretry_backoff_max_seconds = 0.5",
            "orders (FILE, line 2): RETRY_BACKOFF_MAX_SECONDS = 0.5 must not be below RETRY_BACKOFF_SECONDS = 1.",
        ),
        ("[topics.ordres]\npriority = 2", "[topics.ordres] (FILE, line 1) is no topic of this service; did you mean orders?"),
        ('[topics."^bulk"]\npriority = 2', '[topics."^bulk"] (FILE, line 1) is no topic of this service; its topics are'),
        ('[topics."^(a"]\npriority = 2', '[topics."^(a"] (FILE, line 1) is no regular expression: missing ), unterminated'),
        ('[topics."a b"]\npriority = 2', '[topics."a b"] (FILE, line 1) is no topic: a name has 1 to 249 letters'),
    ],
)  # fmt: skip
def test_what_is_wrong_in_it_is_told_with_name_and_line(tmp_path: Path, text: str, fault: str) -> None:
    assert [each[: len(fault)] for each in faults(tmp_path, text, KAFKA_TOPIC="orders")] == [fault]


@pytest.mark.parametrize("path", ["/no/such/file.toml", "/"])
def test_a_file_that_cannot_be_read_is_a_fault(path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"SETTINGS_FILE {path} can't be read"):
        load(["--settings-file", path], REQUIRED, str(tmp_path / "no.env"))


def test_a_relative_path_counts_from_the_working_directory_and_a_fault_says_where_that_led_and_who_said_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env_file = tmp_path / "named.env"
    env_file.write_text("SETTINGS_FILE=worker.toml")

    with pytest.raises(ConfigurationError) as caught:
        load([], REQUIRED, str(env_file))
    (tmp_path / "worker.toml").write_text("max_attempts = 7")

    assert f"No such file or directory: '{tmp_path}/worker.toml'" in str(caught.value)
    assert f"Correct it, or SETTINGS_FILE ({env_file})." in str(caught.value)
    assert load([], REQUIRED, str(env_file)).settings.max_attempts == 7


def test_lists_may_be_lists_and_empty_where_nothing_may_be_said(tmp_path: Path) -> None:
    text = "kafka_bootstrap_servers = ['a:1', 'b:2']\n[topics.orders]\nbreaker_ignored_errors = []"
    path = tmp_path / "worker.toml"
    path.write_text(text)
    environment = {"KAFKA_GROUP_ID": "g", "KAFKA_TOPIC": "orders", "BREAKER_IGNORED_ERRORS": "KeyError"}

    found = load(["--settings-file", str(path)], environment, str(tmp_path / "no.env")).settings
    nothing = load([], {**REQUIRED, "BREAKER_IGNORED_ERRORS": ""}, str(tmp_path / "no.env")).settings

    assert found.bootstrap_servers == "a:1,b:2"
    assert (found.of("orders").breaker_ignored_errors, found.of("x").breaker_ignored_errors) == ((), ("KeyError",))
    assert nothing.breaker_ignored_errors == ()
