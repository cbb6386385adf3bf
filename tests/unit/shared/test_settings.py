"""The table of settings, and what is derived from it."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.kafka.properties import consumer_properties
from kafka_worker.shared.configuration.command_line import parser
from kafka_worker.shared.configuration.env_example import env_example
from kafka_worker.shared.setting import Setting
from kafka_worker.shared.settings import ALL_PREFIXES, MASK, PROPERTY_PREFIXES, TABLE, Settings

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PROPERTIES = st.dictionaries(st.text(), st.text(), max_size=2)


def made(**values: object) -> Settings:
    chosen = {
        "bootstrap_servers": "kafka:9092",
        "group_id": "orders",
        "processes": 2,
        "threads": 4,
        "threads_max": 4,
        "restart_limit": 10,
        "runtime_directory": "/run/orders",
        "state_directory": "/var/lib/orders",
        **values,
    }
    return Settings(**chosen)  # type: ignore[arg-type]


@given(
    st.fixed_dictionaries(
        {
            "group_id": st.text(),
            "topics": st.lists(st.text()).map(tuple),
            "drain_seconds": st.floats(allow_nan=False),
            **dict.fromkeys(PROPERTY_PREFIXES.values(), PROPERTIES),
        }
    )
)
def test_settings_survive_the_way_to_a_child_exactly(values: Dict[str, Any]) -> None:
    settings = made(**values)

    assert Settings.from_json(settings.to_json()) == settings


def test_a_process_of_former_code_leaves_out_the_settings_that_its_supervisor_alone_knows() -> None:
    """As after a way back to that code under a running service: each process that dies is started from it."""
    settings = made(topic_tables={"orders": {"max_attempts": 5, "younger": 1}})
    text = json.dumps({**json.loads(settings.to_json()), "younger": "yes"})

    assert Settings.from_json(text).of("orders") == settings.of("orders")
    assert Settings.from_json(text) == settings


def test_every_field_is_a_row_of_the_table_or_one_of_the_few_that_are_not() -> None:
    assert {each.name for each in fields(Settings)} == {*TABLE, *ALL_PREFIXES.values(), "host", "table", "topic_tables"}


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: str(row.environment))
def test_each_setting_is_told_without_the_one_before_it(row: Setting) -> None:
    assert row.meaning.split()[0] not in {"of", "by", "until", "than", "fewer", "that", "more", "so"}
    assert len(row.meaning) >= 15


def test_the_place_of_a_value_in_help_says_what_is_wanted() -> None:
    shown = parser().format_help()

    for usage in ("--processes N", "--drain-seconds SECONDS", "--journal on|off", "--topic TOPIC", "--memory-limit LIMIT"):
        assert usage + " " in shown.replace("\n", " ")


def test_no_secret_is_shown_and_everything_else_is() -> None:
    secret = "hunter2"
    hidden = (
        "sasl.password",
        "sasl.username",
        "ssl.key.pem",
        "ssl.keystore.password",
        "https.ca.pem",
        "my.token",
    )

    settings = made(client_properties={**dict.fromkeys(hidden, secret), "security.protocol": "SASL_SSL"})

    for shown in (repr(settings), str(settings), settings.described()):
        assert secret not in shown
        assert shown.count(MASK) == len(hidden)
        assert "KAFKA_CLIENT_SECURITY_PROTOCOL=SASL_SSL" in shown
        assert "KAFKA_GROUP_ID=orders" in shown


@pytest.mark.parametrize(
    ("of_clients", "of_consumer", "seconds"),
    [
        ({}, {}, 60.0),
        ({"session.timeout.ms": "6000"}, {}, 6.0),
        ({"session.timeout.ms": "6000"}, {"session.timeout.ms": "7000"}, 7.0),
    ],
)
def test_a_session_is_as_long_as_the_client_has_it(
    of_clients: Dict[str, str], of_consumer: Dict[str, str], seconds: float
) -> None:
    settings = made(client_properties=of_clients, consumer_properties=of_consumer)

    assert settings.session_seconds == seconds
    assert float(consumer_properties(settings, "host-0")["session.timeout.ms"]) == 1000 * seconds


def test_the_example_file_is_the_table() -> None:
    with open(os.path.join(PROJECT, ".env.example"), encoding="utf-8") as file:
        assert file.read() == env_example(), "run: python -m kafka_worker.shared.configuration.env_example > .env.example"
