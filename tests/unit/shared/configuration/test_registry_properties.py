"""The schema registry's client: which of its properties are given, and how wrong ones are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict

import pytest

from kafka_worker.shared.configuration.load import load
from tests.unit.shared.configuration.test_faults import faults
from tests.unit.shared.configuration.test_load import NO_FILE, REQUIRED

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"DECODER": "avro"}, "DECODER = avro needs SCHEMA_REGISTRY_URL, where the registry is (http://host:port). Set it."),
        (
            {"SCHEMA_REGISTRY_URLS": "http://registry"},
            (
                'SCHEMA_REGISTRY_URLS = "http://registry" (the environment): the client of the schema registry knows no urls; '
                "did you mean SCHEMA_REGISTRY_URL? Rename or remove it."
            ),
        ),
        (
            {"SCHEMA_REGISTRY_URL": "http://me:hunter2@registry"},
            (
                "SCHEMA_REGISTRY_URL = ******** (the environment): must be http://host:port or https://…, several with "
                "commas; user and password go into SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO. Correct it."
            ),
        ),
        (
            {"SCHEMA_REGISTRY_TIMEOUT": "soon"},
            'SCHEMA_REGISTRY_TIMEOUT = "soon" (the environment): must be a number. Correct it.',
        ),
        (
            {"DECODER": "text", "MESSAGE_SCHEMA": "order.json"},
            "MESSAGE_SCHEMA is for messages of JSON, and DECODER = text. Remove one of the two.",
        ),
    ],
)
def test_a_wrong_property_is_answered_with_what_to_do(environ: Dict[str, str], fault: str) -> None:
    assert faults(environ=environ) == [fault]


def test_properties_are_told_without_secrets_and_names_of_others_in_the_environment_are_left_alone() -> None:
    environ = {
        "SCHEMA_REGISTRY_URL": "https://registry:8081", "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO": "me:hunter2",
        "SCHEMA_REGISTRY_HOST_NAME": "registry-0", "SCHEMA_REGISTRY_GROUP_ID": "registries",
        "SCHEMA_REGISTRY_PORT": "tcp://10.0.0.7:8081",
    }  # fmt: skip

    found = load([], {**REQUIRED, **environ}, NO_FILE)

    given = {"url": "https://registry:8081", "basic.auth.user.info": "me:hunter2"}
    assert (found.settings.registry_properties, found.warnings) == (given, ())
    assert "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO=********" in found.settings.described()
    assert "hunter2" not in found.settings.described()


def test_of_the_file_handlers_find_all_but_what_is_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SCHEMA_REGISTRY_URL=http://registry\nSCHEMA_REGISTRY_BASIC_AUTH_USER_INFO=me:hunter2\n")

    handed_on = load([], REQUIRED, str(tmp_path / ".env")).child_environment

    assert {name: value for name, value in handed_on.items() if "REGISTRY" in name} == {
        "SCHEMA_REGISTRY_URL": "http://registry"
    }
