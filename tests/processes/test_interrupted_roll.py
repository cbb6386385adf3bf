"""What is asked for in the middle of a rolling restart is no failure of it. No broker is needed."""

from __future__ import annotations

import signal
import textwrap
from typing import TYPE_CHECKING, Callable, Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.scene import SECONDS
from tests.support.service import Service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

BEFORE = 3  # imports before a roll: the check of the settings, and each of two processes
HANDLER = """\
    import os, signal
    with open({counter!r}, "ab") as file:
        file.write(b".")
        imported = file.tell()
    if imported == {last}:
        signal.pause()
    def work(message): pass
"""


@pytest.fixture
def rolling(tmp_path: Path) -> Iterator[Callable[[int], Service]]:
    """A service of two processes whose roll has come to this slot: its successor imports its handler until it is ended."""
    made = []

    def make(number: int) -> Service:
        code = HANDLER.format(counter=str(tmp_path / "counter"), last=BEFORE + 1 + number)
        (tmp_path / "slow_handler.py").write_text(textwrap.dedent(code))
        service = Service("127.0.0.1:1", "topic", "group", handler="slow_handler:work", env={"PYTHONPATH": str(tmp_path)})
        made.append(service.start())
        eventually(lambda: "starting -> running" in service.log, SECONDS, "the processes have started")
        service.signal(signal.SIGHUP)
        begun = f"slot {number}: started process"
        eventually(lambda: service.log.count(begun) == 2, SECONDS, "the successor has been started")
        return service

    yield make
    for service in made:
        service.close()


def test_a_stop_in_the_middle_of_a_roll_is_a_stop_and_no_error(rolling: Callable[[int], Service]) -> None:
    service = rolling(0)

    service.terminate()

    assert service.wait(SECONDS) == 0
    assert " ERROR supervisor" not in service.log


def test_a_slot_that_retires_in_the_middle_of_its_own_roll_fails_nothing(rolling: Callable[[int], Service]) -> None:
    service = rolling(1)

    service.signal(signal.SIGTTOU)

    eventually(lambda: "Rolling restart: done" in service.log, SECONDS, "the roll comes to its end without that slot")
    eventually(lambda: len(service.children()) == 1, SECONDS, "one process is left")
    assert " ERROR supervisor" not in service.log
