"""librdkafka's own properties: which a user may set, and how wrong ones are answered."""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import re
from typing import TYPE_CHECKING, Dict, List, Set

import pytest
from confluent_kafka import Consumer

from kafka_worker import check
from kafka_worker.kafka.properties import consumer_properties
from kafka_worker.shared.configuration.client import identity
from kafka_worker.shared.configuration.client.client_properties import OWNED
from kafka_worker.shared.configuration.client.librdkafka_properties import PROPERTIES, nearest
from kafka_worker.shared.configuration.load import ConfigurationError, load
from tests.unit.fakes import some_settings
from tests.unit.shared.configuration.test_faults import faults
from tests.unit.shared.configuration.test_load import NO_FILE, REQUIRED, written

if TYPE_CHECKING:
    from pathlib import Path

NO_NUMBER = 'KAFKA_{} = "{}" (the environment): {} is a plain number, and the client would take this for another. Correct it.'


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        (
            {"KAFKA_CONSUMER_FETCH_QUEUE_BACKOF_MS": "5"},
            (
                'KAFKA_CONSUMER_FETCH_QUEUE_BACKOF_MS = "5" (the environment): librdkafka knows no '
                "fetch.queue.backof.ms; "
                "did you mean KAFKA_CONSUMER_FETCH_QUEUE_BACKOFF_MS? Rename or remove it."
            ),
        ),
        (
            {"KAFKA_CLIENT_SASL_PASSWRD": "hunter2"},
            (
                "KAFKA_CLIENT_SASL_PASSWRD = ******** (the environment): librdkafka knows no sasl.passwrd; "
                "did you mean KAFKA_CLIENT_SASL_PASSWORD? Rename or remove it."
            ),
        ),
        (
            {"KAFKA_CLIENT_RACK": "a"},
            (
                'KAFKA_CLIENT_RACK = "a" (the environment): librdkafka knows no rack; '
                "did you mean KAFKA_CLIENT_CLIENT_RACK? Rename or remove it."
            ),
        ),
        *(
            ({f"KAFKA_{variable}": value}, NO_NUMBER.format(variable, value, name))
            for variable, name, value in (
                ("CONSUMER_SESSION_TIMEOUT_MS", "session.timeout.ms", "30s"),
                ("CONSUMER_SESSION_TIMEOUT_MS", "session.timeout.ms", "010000"),
                ("CONSUMER_SESSION_TIMEOUT_MS", "session.timeout.ms", "0x1770"),
                ("CONSUMER_FETCH_MIN_BYTES", "fetch.min.bytes", "1M"),
                ("PRODUCER_BATCH_SIZE", "batch.size", "1e6"),
                ("PRODUCER_LINGER_MS", "linger.ms", "5ms"),
                ("CLIENT_BROKER_ADDRESS_TTL", "broker.address.ttl", "30s"),
            )
        ),
        (
            {"KAFKA_CONSUMER_GROUP_ID": "x"},
            ('KAFKA_CONSUMER_GROUP_ID = "x" (the environment): group.id belongs to the service: use KAFKA_GROUP_ID.'),
        ),
        (
            {"KAFKA_CLIENT_ERROR_CB": "f"},
            (
                'KAFKA_CLIENT_ERROR_CB = "f" (the environment): error.cb takes a function, which a '
                "variable cannot hold. "
                "Remove it."
            ),
        ),
        (
            {"KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS": "59999"},
            ("KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS must be at least session.timeout.ms, which is 60000. Change one of them."),
        ),
        (
            {"KAFKA_CONSUMER_GROUP_PROTOCOL": "new"},
            'KAFKA_CONSUMER_GROUP_PROTOCOL = "new" (the environment): group.protocol is classic or consumer. Correct it.',
        ),
        (
            {"KAFKA_CONSUMER_GROUP_PROTOCOL": "consumer", "KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000"},
            (
                'KAFKA_CLIENT_SESSION_TIMEOUT_MS = "6000" (the environment): by group.protocol=consumer it does not count; '
                "the brokers' group.consumer.session.timeout.ms does. Remove it."
            ),
        ),
        (
            {"KAFKA_CLIENT_GROUP_PROTOCOL": "consumer", "HANDLERS": "^orders-=tasks:work"},
            (
                "HANDLERS has the pattern ^orders-, and group.protocol is consumer: by that, brokers match patterns, with "
                "dead-letter and retry topics among what matches. Name the topics, or use the classic protocol."
            ),
        ),
        (
            {"KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000", "KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS": "6000"},
            ("KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS must be below session.timeout.ms, which is 6000. Change one of them."),
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_property_is_answered_with_what_to_do(environ: Dict[str, str], fault: str) -> None:
    assert faults(environ=environ) == [fault]


@pytest.mark.parametrize(
    ("name", "value"), [*(("linger.ms", each) for each in ("5", ".5", "5.", "1e1", "+5")), ("batch.size", " +31 ")]
)
def test_a_number_that_the_client_reads_whole_is_taken(name: str, value: str) -> None:
    found = load([], {**REQUIRED, f"KAFKA_PRODUCER_{name.upper().replace('.', '_')}": value}, NO_FILE)

    assert found.settings.producer_properties == {name: value}


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_the_service_needs_for_its_promise_is_not_for_users_to_set(name: str) -> None:
    variable = f"KAFKA_CLIENT_{name.upper().replace('.', '_')}"

    (fault,) = faults(environ={variable: "anything"})

    assert f"{name} belongs to the service: " in fault


def test_by_the_new_protocol_what_the_brokers_decide_is_not_asked_for(tmp_path: Path) -> None:
    environ = {**REQUIRED, "KAFKA_CLIENT_GROUP_PROTOCOL": "consumer", "KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS": "40000"}

    found = load([], environ, str(tmp_path / "no file"))

    assert check._of_client(Consumer, consumer_properties(found.settings, "member")) == []


def test_a_client_that_is_too_old_for_the_new_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "libversion", lambda: ("2.14.2", 0x020E02FF))

    assert "2.14.2 is installed" in check._of_protocol({"group.protocol": "consumer"})[0]
    assert check._of_protocol({}) == []


def test_the_classic_protocol_may_be_named_and_unknown_names_of_the_file_are_left_to_librdkafka(tmp_path: Path) -> None:
    file = written(tmp_path, "KAFKA_CONSUMER_GROUP_PROTOCOL=classic\nKAFKA_CONSUMER_QUITE_NEW=1\n")

    found = load([], {**REQUIRED, "KAFKA_CONSUMER_QUITE_FOREIGN": "1"}, file)

    assert found.settings.consumer_properties == {"group.protocol": "classic", "quite.new": "1"}
    assert found.warnings == ("ignored, as they are no settings of this service: KAFKA_CONSUMER_QUITE_FOREIGN",)


SASL = {"KAFKA_CLIENT_SECURITY_PROTOCOL": "SASL_SSL"}
USER = {"KAFKA_CLIENT_SASL_USERNAME": "alice"}
NO_MECHANISM = (
    "KAFKA_CLIENT_SASL_USERNAME (the environment) is given, and no mechanism. Set KAFKA_CLIENT_SASL_MECHANISM to PLAIN, "
    "SCRAM-SHA-256 or SCRAM-SHA-512, as the broker has it."
)
NO_TOKEN = (
    'KAFKA_CLIENT_SASL_MECHANISM = "OAUTHBEARER" (the environment): there is no way to a token. Set '
    "KAFKA_OAUTH to a function that gives one, or KAFKA_CLIENT_SASL_OAUTHBEARER_METHOD to oidc, and what belongs to it."
)
TOKENS = {**SASL, "KAFKA_CLIENT_SASL_MECHANISM": "OAUTHBEARER"}
TWO_WAYS = (
    'KAFKA_OAUTH = m:f and KAFKA_CLIENT_SASL_OAUTHBEARER_METHOD = "oidc" (the environment) are two ways to a token. '
    "Remove one."
)
FUNCTION = {"KAFKA_OAUTH": "m:f"}
NOBODY_ASKS = (
    "KAFKA_OAUTH = m:f: no client asks it. Set KAFKA_CLIENT_SECURITY_PROTOCOL to SASL_SSL and KAFKA_CLIENT_SASL_MECHANISM to "
    "OAUTHBEARER."
)


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({**SASL, **USER}, NO_MECHANISM),
        ({"KAFKA_CONSUMER_SECURITY_PROTOCOL": "SASL_SSL", **USER}, NO_MECHANISM),
        (TOKENS, NO_TOKEN),
        ({**TOKENS, "KAFKA_CLIENT_SASL_OAUTHBEARER_METHOD": "default"}, NO_TOKEN),
        ({**TOKENS, "KAFKA_CLIENT_SASL_OAUTHBEARER_METHOD": "oidc"}, ""),
        ({**TOKENS, **FUNCTION}, ""),
        ({**FUNCTION, **SASL, "KAFKA_CONSUMER_SASL_MECHANISMS": "OAUTHBEARER", "KAFKA_PRODUCER_SASL_MECHANISMS": "PLAIN"}, ""),
        ({**SASL, **FUNCTION}, NOBODY_ASKS),
        ({**FUNCTION, "KAFKA_CLIENT_SASL_MECHANISM": "OAUTHBEARER"}, NOBODY_ASKS),
        ({**TOKENS, **FUNCTION, "KAFKA_CLIENT_SASL_OAUTHBEARER_METHOD": "oidc"}, TWO_WAYS),
        ({**SASL, **USER, "KAFKA_CLIENT_SASL_MECHANISMS": "PLAIN"}, ""),
        ({"KAFKA_CLIENT_SECURITY_PROTOCOL": "SSL"}, ""),
    ],
)
def test_what_a_broker_needs_to_know_us_is_asked_for(environ: Dict[str, str], fault: str) -> None:
    try:
        load([], {**REQUIRED, **environ}, NO_FILE)
        found = []
    except ConfigurationError as problem:
        found = problem.faults

    assert found == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("mechanism", "meant"),
    [("scram-sha-512", "; did you mean SCRAM-SHA-512?"), ("AWS_MSK_IAM", " are OAUTHBEARER with KAFKA_OAUTH.")],
)
def test_a_mechanism_that_the_client_does_not_know_is_named_with_what_was_meant(mechanism: str, meant: str) -> None:
    (fault,) = faults(environ={**SASL, **USER, "KAFKA_CLIENT_SASL_MECHANISM": mechanism})

    named = f'KAFKA_CLIENT_SASL_MECHANISM = "{mechanism}" (the environment) must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-'
    assert fault.startswith(named)
    assert fault.endswith(meant)


def test_a_forgotten_protocol_is_told() -> None:
    secure = {"KAFKA_CLIENT_SASL_PASSWORD": "right", "KAFKA_PRODUCER_SSL_CA_LOCATION": "/ca.pem"}

    (warning,) = load([], {**REQUIRED, **secure}, NO_FILE).warnings

    assert warning.startswith("KAFKA_CLIENT_SASL_PASSWORD, KAFKA_PRODUCER_SSL_CA_LOCATION: without effect, as ")
    assert load([], {**REQUIRED, **secure, "KAFKA_CLIENT_SECURITY_PROTOCOL": "SSL"}, NO_FILE).warnings == ()


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        (
            {"security.protocol": "SSL", "ssl.ca.location": "/nowhere.pem"},
            ['KAFKA_CLIENT_SSL_CA_LOCATION = "/nowhere.pem"'],
        ),
        ({"security.protocol": "SASLSSL"}, ['KAFKA_CLIENT_SECURITY_PROTOCOL = "SASLSSL"']),
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "alice"},
            ["KAFKA_CLIENT_SASL_USERNAME", "KAFKA_CLIENT_SASL_PASSWORD"],
        ),
        ({"cert": "hunter2"}, ["KAFKA_CLIENT_CERT"]),
        ({"fetch.max.bytes": "1"}, ['KAFKA_CLIENT_FETCH_MAX_BYTES = "1"', "KAFKA_CLIENT_MESSAGE_MAX_BYTES"]),
    ],
)
def test_a_property_that_the_client_refuses_names_its_variable(properties: Dict[str, str], told: List[str]) -> None:
    found = [
        fault for fault in check.faults(some_settings(client_properties=properties)) if fault.startswith("The Kafka client")
    ]

    assert found
    for variable in told:
        assert variable in found[0]
    assert "alice" not in found[0]


def test_a_password_that_the_broker_does_not_believe_is_told_with_all_that_it_goes_with() -> None:
    properties = {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "alice", "sasl.password": "wrong",
        "ssl.ca.location": "/ca.pem",
    }  # fmt: skip

    text = identity.refused("Authentication failed", some_settings(client_properties=properties))

    for told in (
        "nowhere:1", "Authentication failed", "KAFKA_CLIENT_SASL_PASSWORD", "KAFKA_CLIENT_SASL_USERNAME",
        'KAFKA_CLIENT_SSL_CA_LOCATION = "/ca.pem"',
    ):  # fmt: skip
        assert told in text
    assert "wrong" not in text
    unverified = identity.refused("SSL handshake failed: broker certificate could not be verified", some_settings())
    assert unverified.endswith("(the broker's certificate must hold now, and for the name that we call it by)")


def test_properties_of_the_file_are_not_handed_on_to_what_handlers_start(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("right")
    file = written(
        tmp_path,
        "KAFKA_CLIENT_SECURITY_PROTOCOL=plaintext\nKAFKA_CLIENT_SASL_PASSWORD=right\n"
        f"KAFKA_CONSUMER_SSL_KEY_PEM_FILE={tmp_path}/secret\nDATABASE_URL=theirs\nKAFKA_TOPIC=orders\n",
    )

    found = load([], {**REQUIRED, "KAFKA_CLIENT_SASL_USERNAME": "exported"}, file)

    assert found.settings.client_properties["sasl.password"] == "right"
    assert found.child_environment == {
        **REQUIRED, "KAFKA_CLIENT_SASL_USERNAME": "exported", "DATABASE_URL": "theirs", "KAFKA_TOPIC": "orders",
    }  # fmt: skip


def test_nothing_is_suggested_for_a_name_that_resembles_none() -> None:
    assert nearest("advertised.listeners") is None


def test_the_installed_librdkafka_knows_every_property_we_suggest(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    packages = os.path.dirname(os.path.dirname(spec.origin))
    libraries = glob.glob(os.path.join(packages, "confluent_kafka.libs", "librdkafka*"))
    if not libraries:
        pytest.skip("confluent_kafka was built against a librdkafka of the system")

    shown = shown_properties(ctypes.CDLL(libraries[0]), str(tmp_path / "properties"))

    assert len(shown) > 100
    assert set(PROPERTIES) - shown == set()


def shown_properties(library: ctypes.CDLL, path: str) -> Set[str]:
    """The library writes its own documentation, a table with one property a line."""
    c = ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(c.fopen(path.encode(), b"w"))
    library.rd_kafka_conf_properties_show(file)
    c.fclose(file)
    with open(path, encoding="utf-8") as table:
        return {line.split()[0] for line in table if re.match(r"[a-z][\w.]* +\|", line)}
