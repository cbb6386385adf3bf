from __future__ import annotations

from typing import Set

import pytest
from confluent_kafka import KafkaError

from kafka_worker.kafka import errors
from kafka_worker.kafka.errors import Meaning, meaning


def names_of_the_client() -> Set[str]:
    codes = [value for name, value in vars(KafkaError).items() if name.isupper() and isinstance(value, int)]
    return {KafkaError(code).name() for code in codes}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ILLEGAL_GENERATION", Meaning.ROUTINE),
        ("REBALANCE_IN_PROGRESS", Meaning.ROUTINE),
        ("_ALL_BROKERS_DOWN", Meaning.AWAY),
        ("_FATAL", Meaning.FENCED),
        ("FENCED_INSTANCE_ID", Meaning.FENCED),
        ("GROUP_AUTHORIZATION_FAILED", Meaning.UNAUTHORISED),
        ("_AUTHENTICATION", Meaning.UNAUTHORISED),
        ("UNKNOWN_TOPIC_OR_PART", Meaning.ABSENT),
        ("OFFSET_METADATA_TOO_LARGE", Meaning.TOO_LONG),
        ("NOT_AN_ERROR_OF_THIS_WORLD", Meaning.PASSING),
    ],
)
def test_an_error_has_its_meaning_and_an_unknown_one_is_the_clients_own_business(name: str, expected: Meaning) -> None:
    assert meaning(name) is expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("_TRANSPORT", "ssl/tls alert certificate unknown: SSL alert number 46 (after 110ms)", Meaning.UNAUTHORISED),
        ("_TRANSPORT", "tlsv13 alert certificate required: SSL alert number 116", Meaning.UNAUTHORISED),
        ("_TRANSPORT", "tlsv1 alert internal error: SSL alert number 80", Meaning.AWAY),
        ("_TRANSPORT", "Connection refused", Meaning.AWAY),
        ("_AUTHENTICATION", "Failed to acquire SASL OAUTHBEARER token: timed out", Meaning.ANONYMOUS),
        ("_AUTHENTICATION", "SASL authentication error: invalid credentials", Meaning.UNAUTHORISED),
    ],
)
def test_what_a_broker_thinks_of_our_certificate_and_that_nobody_gives_us_a_token_is_in_the_text(
    name: str, text: str, expected: Meaning
) -> None:
    assert meaning(name, text) is expected


def test_every_error_in_the_table_is_one_that_the_client_knows() -> None:
    assert set(errors._BY_NAME) - names_of_the_client() == set()
