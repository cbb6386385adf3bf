"""Each word of the command line leads somewhere, and each of these somewhere of its own accord."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, List

import pytest

from kafka_worker.ops import commands
from kafka_worker.ops.commands import COMMANDS
from kafka_worker.ops.lag import command as lag
from kafka_worker.shared.configuration import command_line
from kafka_worker.shared.system import signals

ENV_FILE = """\
KAFKA_BOOTSTRAP_SERVERS=kafka:9092
KAFKA_GROUP_ID=g
KAFKA_CLIENT_SECURITY_PROTOCOL=SASL_SSL
KAFKA_CLIENT_SASL_MECHANISM=OAUTHBEARER
KAFKA_OAUTH=shop.signing:token
CORE_DUMPS=on
TOKENS=elsewhere
PATH=not this one
"""


def test_each_command_that_can_be_typed_is_done_and_no_other() -> None:
    assert set(COMMANDS) == {"run", *command_line.COMMANDS}
    assert [module for module in COMMANDS.values() if find_spec(f"kafka_worker.ops.{module}") is None] == []


def test_who_gives_tokens_to_a_command_finds_the_variables_of_the_env_file_as_in_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(ENV_FILE)
    found: List[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {"PATH": "mine"})
    monkeypatch.setattr(signals, "give_back", lambda: None)
    monkeypatch.setattr(lag, "run", lambda _: found.append(dict(os.environ)) or 0)  # type: ignore[func-returns-value]

    assert commands.command(["lag"], []) == 0

    assert (found[0]["TOKENS"], found[0]["PATH"], "KAFKA_CLIENT_SASL_MECHANISM" in found[0]) == ("elsewhere", "mine", False)
