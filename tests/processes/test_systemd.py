"""The real unit under a real systemd: start, status line, crashes, watchdog, reload. It consumes from a real Kafka."""

from __future__ import annotations

import os
from typing import Callable, List

import pytest

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.messages import Sent, between, message, messages
from tests.support.oracle import Oracle
from tests.support.systemd_service import HOME, NAME, PYTHON, SystemdService, commands_of_page, in_sandbox

pytestmark = pytest.mark.systemd

PARTITIONS = 4  # of the topic that the fixture makes
DONE_SECONDS = 30.0
RELOAD_SECONDS = 30.0
Send = Callable[[SystemdService, List[Sent]], Oracle]


def wait_done(oracle: Oracle) -> None:
    oracle.wait_done(DONE_SECONDS, "every message was worked on")


def test_started_means_that_every_process_runs_and_then_messages_are_consumed_and_committed(
    unit: SystemdService, send: Send, admin: Admin, group: str
) -> None:
    oracle = send(unit, messages(40))

    unit.start()

    assert unit.properties()["SubState"] == "running"
    # What ran when it was killed has run apart, in a task process that is not needed any more.
    eventually(lambda: len(unit.children()) == 2, DONE_SECONDS, "there are two processes again")
    assert "Reload operation timed out" not in unit.journal_text()
    wait_done(oracle)
    assert oracle.run_twice() == []
    topic = str(unit.settings["KAFKA_TOPIC"])
    eventually(lambda: admin.lag(group, topic) == 0, DONE_SECONDS, "every message is committed")


def test_the_status_line_and_the_pages_commands_say_how_the_service_is(unit: SystemdService, group: str) -> None:
    unit.start()

    line = unit.wait_well(PARTITIONS)

    assert line == "running: 2/2 processes, 4 partitions, lag 0, in flight 0, restarts 0"
    asked = commands_of_page("Start, look, reload, stop").replace("my-service", group)
    answers = unit.sandbox.run(["sh", "-euc", f"export LD_LIBRARY_PATH={PYTHON}/lib\nexec 2>&1\n{in_sandbox(asked)}"]).stdout
    assert answers.startswith("HEALTHY")
    assert "kafka_worker_healthy 1.0" in answers
    assert f"{unit.settings['KAFKA_TOPIC']}.dlq: none." in answers


def test_a_killed_process_is_replaced_and_systemd_need_not_do_anything(unit: SystemdService, send: Send) -> None:
    unit.start()
    unit.wait_well(PARTITIONS)
    supervisor, victim = unit.main_pid(), unit.children()[0]
    oracle = send(unit, messages(40, sleep_ms=between(50, 100)))
    eventually(unit.ledger.running, DONE_SECONDS, "work has begun")

    unit.signal("KILL", victim)

    eventually(lambda: victim not in unit.children(), DONE_SECONDS, "the killed process is gone")
    wait_done(oracle)
    assert "restarts 1" in unit.wait_well(PARTITIONS)
    assert len(unit.children()) == 2
    assert unit.main_pid() == supervisor
    assert unit.properties()["NRestarts"] == "0"


def test_a_killed_supervisor_is_started_again_leaves_no_process_and_loses_nothing(unit: SystemdService, send: Send) -> None:
    unit.start()
    unit.wait_well(PARTITIONS)
    before = {unit.main_pid(), *unit.children()}
    oracle = send(unit, messages(40, sleep_ms=between(50, 100)))
    eventually(unit.ledger.running, DONE_SECONDS, "work has begun")

    unit.signal("KILL", unit.main_pid())

    unit.wait(NRestarts="1", SubState="running")
    wait_done(oracle)
    unit.wait_well(PARTITIONS)
    after = {unit.main_pid(), *unit.children()}
    assert len(after) == 3
    assert not before & after


def test_a_hung_supervisor_says_where_and_is_started_again_by_the_watchdog(unit: SystemdService, send: Send) -> None:
    unit.start()
    unit.wait_well(PARTITIONS)

    unit.signal("STOP", unit.main_pid())

    unit.wait(NRestarts="1", SubState="running")
    assert "Watchdog timeout (limit 2s)" in unit.journal_text()
    assert 'supervisor.py", line' in unit.journal_text()  # its stack
    wait_done(send(unit, messages(10)))


def test_a_reload_replaces_every_process_under_the_same_supervisor_and_repeats_nothing(
    unit: SystemdService, send: Send
) -> None:
    unit.start()
    unit.wait_well(PARTITIONS)
    unit.drop_in("timeout", TimeoutStartSec="3")  # systemd's limit for a reload too, and this one takes longer
    supervisor, before = unit.main_pid(), unit.children()
    oracle = send(unit, messages(6, keys=100, sleep_ms=between(2500, 2500)))
    eventually(unit.ledger.running, DONE_SECONDS, "work has begun")

    unit.reload()

    eventually(lambda: not set(before) & set(unit.children()), RELOAD_SECONDS, "every process is replaced")
    after = unit.wait(ActiveState="active")
    imported = [entry for entry in unit.sandbox.journal(NAME) if "Using 2 threads" in entry["MESSAGE"]]
    assert len(imported) == 4  # and the state was "reloading" meanwhile
    assert int(after["StateChangeTimestampMonotonic"]) > int(imported[-1]["__MONOTONIC_TIMESTAMP"])
    assert (int(after["MainPID"]), after["NRestarts"]) == (supervisor, "0")
    assert len(unit.children()) == 2
    assert "Reload operation timed out" not in unit.journal_text()
    wait_done(oracle)
    assert oracle.run_twice() == []


def test_a_reload_of_a_broken_handler_ends_and_keeps_the_processes_that_work(unit: SystemdService, send: Send) -> None:
    handler = unit.sandbox.path(f"{HOME}/deployed.py")
    handler.write_text("from tests.support.handlers import work\n")
    os.chmod(handler, 0o644)
    unit.configure(HANDLER="deployed:work")
    unit.start()
    unit.wait_well(PARTITIONS)
    before = unit.children()

    handler.write_text("this is no Python\n")
    unit.reload()

    eventually(lambda: "ended before its turn" in unit.journal_text(), RELOAD_SECONDS, "the new process has failed")
    unit.wait(ActiveState="active")
    assert unit.children() == before
    wait_done(send(unit, [message("after")]))
