"""By which addresses brokers are reached, and by which they are not."""

from __future__ import annotations

from typing import Dict

import pytest

from kafka_worker.shared.configuration.load import load
from tests.unit.shared.configuration.test_faults import faults
from tests.unit.shared.configuration.test_load import NO_FILE, REQUIRED


@pytest.mark.parametrize(
    "servers",
    [
        "http://kafka:9092", "SSL:/kafka:9092", "SSL://", "kafka:0", "kafka:65536", "kafka:99999", "kafka:\uff19\uff10",
        "kafka;other:9092", "=", "kafka:9092,", "::1:9092",
    ],
)  # fmt: skip
def test_an_address_by_which_the_client_reaches_nobody_or_another_is_refused(servers: str) -> None:
    (fault,) = faults(environ={"KAFKA_BOOTSTRAP_SERVERS": servers})

    assert fault == (
        f'KAFKA_BOOTSTRAP_SERVERS = "{servers}" (the environment) must be host:port, the port from 1 to 65535, several with '
        "commas. Correct it."
    )


DISAGREE = [
    (
        {"KAFKA_BOOTSTRAP_SERVERS": "a:9092, ssl://b:9093"},
        (
            "has ssl://b:9093, and KAFKA_CLIENT_SECURITY_PROTOCOL is not set, which means PLAINTEXT. Set "
            "KAFKA_CLIENT_SECURITY_PROTOCOL to SSL, or write b:9093."
        ),
    ),
    (
        {"KAFKA_BOOTSTRAP_SERVERS": "PLAINTEXT://b:9093", "KAFKA_CLIENT_SECURITY_PROTOCOL": "ssl"},
        (
            'has PLAINTEXT://b:9093, and KAFKA_CLIENT_SECURITY_PROTOCOL = "ssl" (the environment). Set '
            "KAFKA_CLIENT_SECURITY_PROTOCOL to PLAINTEXT, or write b:9093."
        ),
    ),
    (
        {
            "KAFKA_BOOTSTRAP_SERVERS": "SSL://b:9093",
            "KAFKA_CLIENT_SECURITY_PROTOCOL": "SSL",
            "KAFKA_PRODUCER_SECURITY_PROTOCOL": "plaintext",
        },
        (
            'has SSL://b:9093, and KAFKA_PRODUCER_SECURITY_PROTOCOL = "plaintext" (the environment). Set '
            "KAFKA_PRODUCER_SECURITY_PROTOCOL to SSL, or write b:9093."
        ),
    ),
]


@pytest.mark.parametrize(("environ", "fault"), DISAGREE)
def test_an_address_with_another_protocol_than_the_client_goes_by_is_refused_with_both(
    environ: Dict[str, str], fault: str
) -> None:
    assert faults(environ={**REQUIRED, **environ}) == [f"KAFKA_BOOTSTRAP_SERVERS {fault}"]


@pytest.mark.parametrize(
    "protocols",
    [
        {"KAFKA_CLIENT_SECURITY_PROTOCOL": "SASL_SSL"},
        {"KAFKA_CONSUMER_SECURITY_PROTOCOL": "sasl_ssl", "KAFKA_PRODUCER_SECURITY_PROTOCOL": "SASL_SSL"},
    ],
)
def test_an_address_with_the_protocol_that_the_client_goes_by_is_taken(protocols: Dict[str, str]) -> None:
    environ = {**REQUIRED, **protocols, "KAFKA_BOOTSTRAP_SERVERS": "SASL_SSL://kafka:9092,kafka, sasl_ssl://[::1]:9093"}

    assert load([], environ, NO_FILE).settings.bootstrap_servers == environ["KAFKA_BOOTSTRAP_SERVERS"]


def test_the_other_forms_of_addresses_are_taken() -> None:
    servers = "kafka, kafka_1.example.:65535,10.0.0.1:09092, [::1]:9092,[fe80::1%eth0]:1,k\u00e4fka:9092,PLAINTEXT://a:1"

    assert load([], {**REQUIRED, "KAFKA_BOOTSTRAP_SERVERS": servers}, NO_FILE).settings.bootstrap_servers == servers
