from __future__ import annotations

from typing import Optional

import pytest

from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import Replaced
from kafka_worker.supervision.slots.restart_policy import RestartPolicy, SlotRecord

SESSION = 45.0


def policy(limit: int = 100, random: float = 0.5) -> RestartPolicy:
    """With `random` at 0.5 a back-off is exactly its middle."""
    return RestartPolicy(limit, 120.0, SESSION, lambda: random)


@pytest.mark.parametrize(
    ("status", "failures_before", "lived", "delay"),
    [
        (ExitCode.OK, 0, 1.0, 0.0),
        (ExitCode.OK, 9, 1.0, 0.0),
        (ExitCode.FAULT, 0, 1.0, 0.0),
        (ExitCode.FAULT, 1, 1.0, 0.0),
        (ExitCode.FAULT, 2, 1.0, 0.1),
        (ExitCode.FAULT, 3, 1.0, 0.2),
        (ExitCode.FAULT, 6, 1.0, 1.6),
        (ExitCode.FAULT, 99, 1.0, 10.0),
        (ExitCode.FAULT, 5000, 1.0, 10.0),
        (ExitCode.FAULT, 99, 60.0, 0.0),
        (ExitCode.GAVE_UP, 2, 1.0, 0.1),
        (-9, 2, 1.0, 0.1),
        (1, 2, 1.0, 0.1),
        (ExitCode.FENCED, 0, 1.0, SESSION),
        (ExitCode.NOT_AUTHORISED, 0, 1.0, 60.0),
        (ExitCode.CONFIGURATION, 0, 3600.0, None),
    ],
)
def test_the_delay_follows_from_the_exit_the_failures_before_and_the_time_it_lived(
    status: int, failures_before: int, lived: float, delay: Optional[float]
) -> None:
    record = SlotRecord(failures=failures_before)

    assert policy().delay(record, status, lived, now=1000.0) == delay
    assert record.restarts == 1


@pytest.mark.parametrize(("random", "delay"), [(0.0, 7.5), (1.0, 12.5)])
def test_a_backoff_spreads_by_a_quarter_to_both_sides(random: float, delay: float) -> None:
    assert policy(random=random).delay(SlotRecord(failures=99), 70, 1.0, 0.0) == delay


def test_more_restarts_than_the_limit_within_the_window_mean_giving_up() -> None:
    limited = policy(limit=3)
    delays = [limited.delay(SlotRecord(), 70, 1.0, now=float(second)) for second in range(4)]

    assert delays == [0.0, 0.0, 0.0, None]


def test_restarts_that_the_window_has_left_behind_do_not_count() -> None:
    limited = policy(limit=3)
    delays = [limited.delay(SlotRecord(), 70, 1.0, now) for now in (0.0, 1.0, 2.0, 120.0, 121.0, 121.5)]

    assert delays == [0.0, 0.0, 0.0, 0.0, 0.0, None]


def test_children_that_were_asked_to_go_do_not_count_towards_the_limit() -> None:
    limited = policy(limit=1)
    for _ in range(5):
        limited.delay(SlotRecord(), ExitCode.OK, 1.0, 0.0)

    assert limited.delay(SlotRecord(), 70, 1.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("status", "hung", "out_of_memory", "reason"),
    [
        (ExitCode.OK, False, False, Replaced.STOPPED),
        (ExitCode.OK, True, False, Replaced.HUNG),  # a call hangs, and all else ended in order
        (ExitCode.FAULT, False, True, Replaced.CRASH),
        (ExitCode.GAVE_UP, False, False, Replaced.HUNG),
        (ExitCode.FENCED, False, False, Replaced.FENCED),
        (ExitCode.NOT_AUTHORISED, False, False, Replaced.UNAUTHORISED),
        (42, False, False, Replaced.CRASH),
        (-9, False, False, Replaced.CRASH),
        (-9, False, True, Replaced.OOM),
        (-9, True, True, Replaced.HUNG),
        (-6, True, False, Replaced.HUNG),
        (-11, False, True, Replaced.CRASH),
    ],
)
def test_each_end_of_a_process_is_counted_by_its_reason(
    status: int, hung: bool, out_of_memory: bool, reason: Replaced
) -> None:
    record = SlotRecord()

    record.count(status, hung=hung, out_of_memory=out_of_memory)

    assert record.reasons == {reason: 1}
