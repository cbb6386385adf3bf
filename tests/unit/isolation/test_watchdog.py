from __future__ import annotations

from typing import Optional

import pytest

from kafka_worker.isolation.watchdog import Watchdog


def watched(watchdog: Watchdog, until: float, *, heard: bool, since: float = 0.0) -> None:
    """Looked at each tenth of a second."""
    for tick in range(1, round((until - since) * 10) + 1):
        watchdog.check(since + tick / 10, heard=heard)


@pytest.mark.parametrize(
    ("kill_after", "seconds", "reason"), [(2.0, 1.9, None), (2.0, 2.0, "killed after 2.0 s"), (None, 9000.0, None)]
)
def test_a_task_is_killed_when_its_time_is_over(kill_after: Optional[float], seconds: float, reason: Optional[str]) -> None:
    watchdog = Watchdog(kill_after, 30.0, 0.0)

    watched(watchdog, seconds, heard=True)

    assert watchdog.reason == reason


def test_a_process_is_asked_twice_a_second_and_killed_when_it_stays_silent() -> None:
    watchdog = Watchdog(None, 2.0, 0.0)
    asked = sum(watchdog.check(tick / 10, heard=tick <= 10) for tick in range(1, 31))
    before = watchdog.reason

    watchdog.check(3.1, heard=False)

    assert (asked, before, watchdog.reason) == (6, None, "silent for 2.1 s")


def test_who_was_asleep_himself_kills_nobody_when_he_wakes() -> None:
    watchdog = Watchdog(60.0, 2.0, 0.0)
    watched(watchdog, 1.0, heard=True)

    watchdog.check(5000.0, heard=False)

    assert watchdog.reason is None


def test_a_task_ages_only_while_its_process_runs_and_one_that_is_stopped_for_too_long_is_still_killed() -> None:
    watchdog = Watchdog(5.0, 3.0, 0.0)
    watched(watchdog, 4.0, heard=True)
    stopped = [watchdog.check(4.0 + tick / 10, heard=False, stopped=True) and watchdog.reason for tick in range(1, 29)]
    watched(watchdog, 7.6, heard=True, since=6.8)
    awake = watchdog.reason
    for tick in range(1, 32):
        watchdog.check(7.6 + tick / 10, heard=False, stopped=True)

    assert (set(stopped) - {False}, awake, watchdog.reason) == ({None}, None, "silent for 3.1 s")
