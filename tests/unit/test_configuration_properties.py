"""librdkafka's own properties: which a user may set, and how wrong ones are answered."""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import re
from typing import TYPE_CHECKING, Dict, Set

import pytest

from service.client_properties import OWNED
from service.configuration import load
from service.librdkafka_properties import PROPERTIES, nearest
from tests.unit.test_configuration import NO_FILE, REQUIRED
from tests.unit.test_configuration_faults import faults

if TYPE_CHECKING:
    from pathlib import Path


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
            {"KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS": "40000"},
            ("KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS must be at least session.timeout.ms, which is 45000. Change one of them."),
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


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_the_service_needs_for_its_promise_is_not_for_users_to_set(name: str) -> None:
    variable = f"KAFKA_CLIENT_{name.upper().replace('.', '_')}"

    (fault,) = faults(environ={variable: "anything"})

    assert f"{name} belongs to the service: " in fault


def test_the_classic_protocol_may_be_named_and_unknown_names_are_left_to_librdkafka() -> None:
    environ = {"KAFKA_CONSUMER_GROUP_PROTOCOL": "classic", "KAFKA_CONSUMER_QUITE_NEW": "1"}

    found = load([], {**REQUIRED, **environ}, NO_FILE).settings

    assert found.consumer_properties == {"group.protocol": "classic", "quite.new": "1"}


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
