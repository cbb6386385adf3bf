"""What the settings of HTTP mean."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, List

import pytest

from kafka_worker.shared import http_settings
from kafka_worker.shared.configuration.load import ConfigurationError, load

GIVEN = {"KAFKA_BOOTSTRAP_SERVERS": "kafka", "KAFKA_GROUP_ID": "g"}


def faults(*words: str, **given: str) -> List[str]:
    try:
        load(list(words), {**GIVEN, **given}, "/no/such/file")
    except ConfigurationError as problem:
        return problem.faults
    return []


@pytest.mark.parametrize(
    ("address", "parts", "alone"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080), True),
        ("localhost:0", ("127.0.0.1", 0), True),
        ("[::1]:80", ("::1", 80), True),
        ("0.0.0.0:8080", ("0.0.0.0", 8080), False),
        ("[::]:8080", ("::", 8080), False),
        ("10.0.0.7:8080", ("10.0.0.7", 8080), False),
    ],
)
def test_an_address_says_where_and_who_can_come(address: str, parts: Any, alone: bool) -> None:
    assert faults(HTTP=address) == []
    assert http_settings.parsed(address) == parts
    assert http_settings.is_of_this_machine_alone(address) is alone


@pytest.mark.parametrize("address", ["8080", ":8080", "example.org:80", "1.2.3:80", "[:::1]:80", "127.0.0.1:65536", "::1:80"])
def test_what_is_no_address_is_a_fault_when_it_is_read(address: str) -> None:
    found = faults(HTTP=address)

    assert [address in each for each in found] == [True]


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_port_0_is_one_that_is_free(address: str) -> None:
    with http_settings.listen(address) as listener:
        written = http_settings.written(listener)

        assert written.startswith(address[:-1])
        with socket.create_connection(http_settings.parsed(written), 5):
            pass


@pytest.mark.parametrize("text", [None, "", "too short", "x" * 5000, "sixteen and more\nin two lines", "sechzehn und möhr"])
def test_a_token_that_cannot_be_used_is_a_fault_where_it_would_be(tmp_path: Path, text: Any) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)

    assert [each[:15] for each in faults(HTTP_TOKEN_FILE=str(file))] == ["HTTP_TOKEN_FILE"]
    assert faults("status", HTTP_TOKEN_FILE=str(file)) == []


def test_to_serve_takes_an_address_and_no_brokers() -> None:
    assert "Write: " in faults("serve")[0]
    assert load(["serve", "--http", "127.0.0.1:1"], {"KAFKA_GROUP_ID": "g"}, "/no").settings.http == "127.0.0.1:1"


def test_libraries_that_are_missing_are_named_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert http_settings.missing("127.0.0.1:1") == []
    monkeypatch.setattr(http_settings, "find_spec", lambda name: None if name == "uvicorn" else object())

    (fault,) = http_settings.missing("127.0.0.1:1")

    assert "needs uvicorn, which is not installed. Do: pip install " in fault
    assert http_settings.missing("") == []


def test_an_address_where_nothing_can_listen_is_told_with_what_is_to_be_done() -> None:
    with http_settings.listen("127.0.0.1:0") as listener, pytest.raises(OSError, match="in use") as used:
        http_settings.listen(http_settings.written(listener))
    with pytest.raises(OSError, match="assign") as away:
        http_settings.listen("192.0.2.1:0")

    assert http_settings.refused(used.value) == "Address already in use. Free the port, or set HTTP to another"
    assert http_settings.refused(away.value) == "Cannot assign requested address. Set HTTP to an address of this machine"
    (fault,) = faults(HTTP="127.0.0.1:99999")
    assert fault == "HTTP = 127.0.0.1:99999 is no address: the highest port is 65535. Correct it."
