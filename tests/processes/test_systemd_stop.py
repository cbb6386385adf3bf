"""The real unit under a real systemd: how it ends, and when it is started again."""

from __future__ import annotations

import re
from typing import Callable, List

import pytest

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.messages import Sent, between, message, messages
from tests.support.oracle import Oracle
from tests.support.systemd_service import SystemdService

pytestmark = pytest.mark.systemd

PARTITIONS = 4  # of the topic that the fixture makes
WORK_SECONDS = 10.0
Send = Callable[[SystemdService, List[Sent]], Oracle]
Started = Callable[[List[Sent]], Oracle]


@pytest.fixture
def started(unit: SystemdService, send: Send) -> Started:
    """Starts the service, sends messages when it is well, and returns when one of them is being worked on."""

    def start(batch: List[Sent]) -> Oracle:
        unit.start()
        unit.wait_well(PARTITIONS)
        oracle = send(unit, batch)
        eventually(unit.ledger.running, WORK_SECONDS, "a message is being worked on")
        return oracle

    return start


def test_a_stop_finishes_what_runs_commits_it_and_leaves_the_group(
    unit: SystemdService, started: Started, admin: Admin, group: str
) -> None:
    started(messages(40, sleep_ms=between(300, 500)))

    unit.stop()

    ended = unit.properties()
    assert (ended["ActiveState"], ended["Result"], ended["ExecMainStatus"]) == ("inactive", "success", "0")
    assert unit.ledger.running() == []
    done = len(unit.ledger.done())
    assert 0 < done < 40
    assert admin.lag(group, str(unit.settings["KAFKA_TOPIC"])) == 40 - done
    assert admin.members(group) == []
    assert unit.pids() == []


def test_a_drain_longer_than_the_stop_timeout_and_the_watchdog_is_not_cut(unit: SystemdService, started: Started) -> None:
    unit.drop_in("timeout", TimeoutStopSec="2")
    unit.configure(DRAIN_SECONDS=30)
    oracle = started([message("long", sleep_ms=5000)])

    unit.stop()

    ended = unit.properties()
    assert (ended["Result"], ended["ExecMainStatus"]) == ("success", "0")
    assert oracle.missing() == []
    assert oracle.started_twice() == []


def test_a_stop_that_has_to_cut_a_message_off_names_it_fails_with_75_and_is_not_started_again(
    unit: SystemdService, started: Started
) -> None:
    unit.configure(DRAIN_SECONDS=0.5)
    started([message("endless", sleep_ms=600_000)])

    unit.stop()

    ended = unit.properties()
    assert (ended["ActiveState"], ended["Result"], ended["ExecMainStatus"]) == ("failed", "exit-code", "75")
    assert ended["NRestarts"] == "0"
    assert re.search(rf"{unit.settings['KAFKA_TOPIC']}\[\d\] offset 0, .*cut off", unit.journal_text())


def test_a_wrong_configuration_is_named_in_the_journal_and_not_started_again(unit: SystemdService) -> None:
    unit.configure(KAFKA_GROUP_ID=None, THREADS="many")

    with pytest.raises(RuntimeError, match="exit"):
        unit.start()

    ended = unit.properties()
    assert (ended["ActiveState"], ended["SubState"], ended["NRestarts"]) == ("failed", "failed", "0")
    assert (ended["Result"], ended["ExecMainStatus"]) == ("exit-code", "78")
    faults = re.findall(r"^  - (\w+)", unit.journal_text(), re.MULTILINE)
    assert sorted(faults) == ["KAFKA_GROUP_ID", "THREADS"]


def test_a_supervisor_that_gives_up_is_started_again(unit: SystemdService) -> None:
    unit.configure(RESTART_LIMIT=1)
    unit.start()
    unit.wait_well(PARTITIONS)

    for child in unit.children():
        unit.signal("KILL", child)

    unit.wait(NRestarts="1", SubState="running")
    assert "status=75" in unit.journal_text()
    unit.wait_well(PARTITIONS)
