"""Each word of the command line leads somewhere, and each of these somewhere of its own accord."""

from __future__ import annotations

from kafka_worker.ops.commands import COMMANDS
from kafka_worker.shared.configuration import command_line


def test_each_command_that_can_be_typed_is_done_and_no_other() -> None:
    assert set(COMMANDS) == {"run", *command_line.COMMANDS}
