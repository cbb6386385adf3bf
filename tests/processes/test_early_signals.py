"""Signals that come before the service is there. No broker is needed for that."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.service import Service

pytestmark = pytest.mark.processes

NOWHERE = "127.0.0.1:1"
SECONDS = 30.0


@pytest.fixture(params=["", "check", "process", "process of its own"])
def starting(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service that is being started, and has come so far: its interpreter is there, or the handler is being imported in its
    check, its process, its task process."""
    where, isolated, _ = str(request.param).partition(" of its own")
    environment = {"HANGS_IN": where, "ISOLATION": "process" if isolated else "none"}
    with Service(NOWHERE, "topic", "group", handler="tests.support.hanging_import:work", env=environment) as service:
        if where:
            eventually(lambda: where in {entry.id for entry in service.ledger.of("import")}, SECONDS, "the import has begun")
        else:
            eventually(lambda: reacts(service.pid, signal.SIGTERM), SECONDS, "the interpreter is there")
        yield service


def reacts(pid: int, number: int) -> bool:
    """Whether a process holds this signal back, or has a reaction to it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk:", "SigCgt:"))]
    return any(mask >> number - 1 & 1 for mask in masks)


def test_a_stop_while_it_starts_is_a_stop_in_order_and_a_hangup_ends_nothing(starting: Service) -> None:
    starting.signal(signal.SIGHUP)
    starting.terminate()
    code = starting.wait(SECONDS)

    assert code == 0
    assert "ERROR" not in starting.log
    if not starting.ledger.of("import"):
        assert "started process" not in starting.log
