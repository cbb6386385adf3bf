from __future__ import annotations

import os
import signal
from typing import Iterator, Sequence

import pytest

from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.orders import Order
from kafka_worker.shared.ipc.snapshot import Stage, TaskReport
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.supervision.children.child import TRANSITIONS, Child, ChildState
from kafka_worker.supervision.systemd import VARIABLES, without_systemd
from tests.unit.reports import TASK
from tests.unit.supervision.puppet import Puppet

ORDER = list(ChildState)


@pytest.fixture
def puppet() -> Iterator[Puppet]:
    made = Puppet()
    yield made
    made.close()


@pytest.mark.parametrize("state", ORDER)
def test_a_state_only_leads_to_later_ones_and_always_to_the_end(state: ChildState) -> None:
    assert all(ORDER.index(to) > ORDER.index(state) for to in TRANSITIONS[state])
    assert state is ChildState.EXITED or ChildState.EXITED in TRANSITIONS[state]


def test_a_move_that_the_table_does_not_know_is_refused_and_changes_nothing(puppet: Puppet) -> None:
    puppet.becomes(ChildState.STOPPING)

    with pytest.raises(ValueError, match="slot 3: a child can't go from stopping to running"):
        puppet.child.move(ChildState.RUNNING)

    assert puppet.child.state is ChildState.STOPPING


@pytest.mark.parametrize(("stage", "state"), [("starting", "starting"), ("waiting", "running"), ("consuming", "running")])
def test_a_child_runs_as_soon_as_it_has_imported_the_handler(puppet: Puppet, stage: str, state: str) -> None:
    puppet.says(stage)

    assert puppet.child.state.value == state


@pytest.mark.parametrize(
    ("stage", "known", "goes"), [("waiting", 1, False), ("consuming", 1, False), ("consuming", 2, True), ("closing", 1, True)]
)
def test_a_child_goes_by_orders_when_its_word_was_said_by_them(puppet: Puppet, stage: str, known: int, *, goes: bool) -> None:
    orders = (Order(Place("orders"), "why", "ops@host", 0.0),)
    early = puppet.child.goes_by(orders)
    puppet.child.order(orders)
    puppet.says(stage, orders_known=known)

    assert (early, puppet.child.goes_by(orders)) == (True, goes)


def test_age_counts_from_the_last_heartbeat(puppet: Puppet) -> None:
    puppet.says("consuming", awake=60.0)
    puppet.child.hear(64.0, WorkOfAll())

    assert puppet.child.heartbeat_age(65.0) == 5.0


def test_a_running_child_that_is_silent_beyond_the_timeout_hangs(puppet: Puppet) -> None:
    puppet.says("consuming")

    assert puppet.child.hangs(80.0, timeout=30.0) is None
    assert puppet.child.hangs(80.5, timeout=30.0) == "no heartbeat for 30.5 s"


def test_a_child_whose_poll_loop_stands_still_hangs_although_it_reports(puppet: Puppet) -> None:
    puppet.says("consuming", poll_age=31.0)

    assert puppet.child.hangs(50.0, timeout=30.0) == "its poll loop has not turned for 31.0 s"


def test_an_import_may_take_its_time_but_not_for_ever(puppet: Puppet) -> None:
    assert puppet.child.hangs(650.0, timeout=30.0) is None
    assert puppet.child.hangs(650.5, timeout=30.0) == "it has not imported the handler within 600 s"


def test_who_waits_for_its_hooks_may_wait_for_ever_as_long_as_it_is_heard(puppet: Puppet) -> None:
    """A database may be down for hours: to end the process would mend nothing, and count as a restart."""
    for awake in range(100, 2000, 100):
        puppet.says("starting", awake=float(awake))
        assert puppet.child.hangs(awake + 50.0, timeout=30.0) is None

    assert puppet.child.state is ChildState.STARTING, "no successor of a rolling restart that is not ready"


def test_a_child_that_waits_for_its_seat_does_not_hang(puppet: Puppet) -> None:
    puppet.says("waiting", poll_age=500.0)

    assert puppet.child.hangs(50.0, timeout=30.0) is None


def test_stop_asks_by_channel_and_signal_and_never_puts_the_kill_off(puppet: Puppet) -> None:
    puppet.child.stop(leave=True, kill_at=130.0, seconds=30.0)
    puppet.child.stop(leave=False, kill_at=150.0)

    assert puppet.line.receive() == [{"stop": {"leave": True, "seconds": 30.0}}, {"stop": {"leave": False}}]
    assert puppet.process.signals == [signal.SIGTERM, signal.SIGTERM]
    assert (puppet.child.state, puppet.child.kill_at) == (ChildState.STOPPING, 130.0)


def test_abort_asks_for_the_stacks_and_kill_ends_by_force(puppet: Puppet) -> None:
    puppet.says("consuming")

    puppet.child.abort(kill_at=102.0)
    asked = (puppet.child.state, puppet.child.kill_at)
    puppet.child.kill()

    assert asked == (ChildState.ABORTING, 102.0)
    assert puppet.process.signals == [signal.SIGABRT, signal.SIGKILL]
    assert puppet.child.kill_at is None


def test_a_reaped_child_has_a_status_and_gets_no_signal(puppet: Puppet) -> None:
    before = puppet.child.reap()
    puppet.ends(-9)

    assert (before, puppet.child.reap()) == (False, True)
    assert (puppet.child.status, puppet.child.state) == (-9, ChildState.EXITED)
    puppet.child.kill()
    assert puppet.process.signals == []


def test_the_last_words_of_a_reaped_child_can_still_be_heard(puppet: Puppet) -> None:
    puppet.says("consuming")
    puppet.writes("closed")
    puppet.line.close()
    puppet.ends(0)
    puppet.child.reap()

    puppet.child.hear(51.0, WorkOfAll())

    assert puppet.child.stage is Stage.CLOSED


def test_the_last_words_of_a_child_are_heard_although_something_was_sent_to_it_after_its_end(puppet: Puppet) -> None:
    puppet.says("draining")
    puppet.writes("closed")
    puppet.line.close()
    puppet.child.stop(leave=True, kill_at=110.0)
    puppet.ends(0)
    puppet.child.reap()

    puppet.child.hear(51.0, WorkOfAll())

    assert puppet.child.exit_code() == 0


def test_a_childs_environment_is_the_services_own_without_what_speaks_to_systemd() -> None:
    given = {"PYTHONPATH": "/theirs", "OTHER": "1", **dict.fromkeys(VARIABLES, "x")}

    assert without_systemd(given) == {"PYTHONPATH": "/theirs", "OTHER": "1"}


def test_a_child_starts_without_a_report(puppet: Puppet) -> None:
    child: Child = puppet.child

    assert (child.report, child.stage, child.status) == (None, None, None)


@pytest.mark.parametrize(("last_words", "code"), [("closed", 0), ("consuming", 70), ("draining", 70)])
def test_exit_0_counts_only_when_the_child_said_that_it_closed(puppet: Puppet, last_words: str, code: int) -> None:
    puppet.says(last_words)
    puppet.process.status = 0
    puppet.child.reap()

    assert puppet.child.exit_code() == code


def test_what_a_child_is_at_is_known_while_it_starts(puppet: Puppet) -> None:
    os.pwrite(puppet.words.fileno(), b", while importing HANDLER=m:f", 0)
    before = puppet.child.at

    puppet.says("waiting")

    assert (before, puppet.child.at) == (", while importing HANDLER=m:f", "")


def test_exit_0_of_a_child_that_never_said_a_word_is_no_end_in_order(puppet: Puppet) -> None:
    """Its hook may have called `os._exit(0)`: it would be started again at once, for ever, and nobody would hear of it."""
    puppet.process.status = 0
    puppet.child.reap()

    assert puppet.child.exit_code() == 70


@pytest.mark.parametrize(
    ("left", "tasks", "how"),
    [
        (b", while starting the hook m.database", (TASK,), "exit 3, while starting the hook m.database"),
        (b"", (TASK, TASK), "exit 3, and at its last heartbeat ran orders[5] offset 4711 and 1 more"),
        (b"", (), "exit 3"),
    ],
)
def test_how_a_child_has_ended_is_told_with_what_it_was_at(
    puppet: Puppet, left: bytes, tasks: Sequence[TaskReport], how: str
) -> None:
    puppet.says("consuming", tasks=tasks)
    os.pwrite(puppet.words.fileno(), left, 0)
    puppet.ends(3)
    puppet.child.reap()

    assert puppet.child.how == how


def test_a_death_by_signal_is_what_it_is(puppet: Puppet) -> None:
    puppet.says("consuming")
    puppet.process.status = -signal.SIGKILL
    puppet.child.reap()

    assert puppet.child.exit_code() == -signal.SIGKILL


def test_the_stacks_that_a_child_has_left_are_told_when_it_is_reaped(puppet: Puppet, caplog: pytest.LogCaptureFixture) -> None:
    os.write(puppet.words.fileno(), b"Fatal Python error: Aborted\n")
    puppet.ends(-6)

    assert puppet.child.reap()

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert vars(record)["stack"] == "Fatal Python error: Aborted"


def test_what_has_happened_to_a_child_is_told_with_its_heartbeats_the_last_one_too(puppet: Puppet) -> None:
    puppet.writes("consuming", events=[{"event": "assigned"}, {"event": "breaker-opened"}])
    first = puppet.child.hear(51.0, WorkOfAll())
    puppet.writes("closed", events=[{"event": "forced-end"}])
    puppet.line.close()
    puppet.ends(0)

    assert [each["event"] for each in first] == ["assigned", "breaker-opened"]
    assert puppet.child.hear(52.0, WorkOfAll()) == [{"event": "forced-end"}]
