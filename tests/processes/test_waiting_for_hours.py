"""Messages that wait for hours hold the commit back, and nothing else: what is done behind them is not run again after a
death, as far as the two memories reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

from tests.support.bulk import BLOCK, QUICK, WAIT
from tests.support.eventually import eventually
from tests.support.hours import Hours

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

pytestmark = pytest.mark.processes

SECONDS = 60.0
MANY, EVERY = 70_000, 16  # messages, and which of them wait: more gaps than run lengths fit, more offsets than a bitmap
RUNNING = 50
BEHIND = 40_000


@pytest.fixture
def hours(admin: Admin, topic: Callable[..., str], group: str, tmp_path: Path, service: Callable[..., Service]) -> Hours:
    return Hours(admin, topic(partitions=1), group, str(tmp_path), service)


def test_with_more_gaps_than_the_map_holds_a_death_runs_again_what_ran_and_on_another_host_the_far_end_too(
    hours: Hours, record_property: Callable[..., None]
) -> None:
    kinds = [WAIT if offset % EVERY == 0 else QUICK for offset in range(MANY)]
    running = set(range(1, EVERY * RUNNING, EVERY))
    for offset in running:
        kinds[offset] = BLOCK
    waiting = set(range(0, MANY, EVERY))
    hours.send(kinds)
    hours.start()
    eventually(lambda: len(hours.bulk.since().started) == MANY, SECONDS, "all are started, and thousands in flight")
    eventually(lambda: len(hours.bulk.since().ended) == MANY - len(waiting) - RUNNING, SECONDS, "all others are done")
    hours.wait_committed(set(hours.bulk.since().ended))

    mark = hours.bulk.mark()
    hours.kill_process()
    hours.bulk.open_gate()
    eventually(lambda: len(hours.bulk.since(mark).ended) == RUNNING, SECONDS, "what was running is done")
    eventually(lambda: len(hours.bulk.since(mark).started) >= RUNNING + len(waiting), SECONDS, "what waited waits again")
    assert sorted(hours.bulk.since(mark).started) == sorted(waiting | running)

    done = set(hours.bulk.since().ended)
    forgotten = done - hours.wait_committed(done)
    mark = hours.bulk.mark()
    hours.kill_host()
    hours.start()
    expected = sorted(waiting | forgotten)
    eventually(lambda: len(hours.bulk.since(mark).started) >= len(expected), SECONDS, "the far end is done again")
    assert sorted(hours.bulk.since(mark).started) == expected
    assert min(forgotten) > MANY * 3 // 4
    record_property("forgotten by the map", len(forgotten))
    print(f"{len(waiting)} waited, {RUNNING} ran; on another host {len(forgotten)} of {len(done)} ran again")


def test_a_message_that_waits_for_hours_holds_up_nobody_and_is_alone_in_running_again(hours: Hours) -> None:
    hours.send([WAIT])
    hours.start()
    hours.send([QUICK] * BEHIND)
    eventually(lambda: len(hours.bulk.since().ended) == BEHIND, SECONDS, "all behind it are done")
    hours.wait_committed(set(range(1, BEHIND + 1)))

    mark = hours.bulk.mark()
    hours.kill_process()
    hours.send([QUICK] * 100)
    eventually(lambda: len(hours.bulk.since(mark).ended) == 100, SECONDS, "the next ones are done")

    assert sorted(hours.bulk.since(mark).started) == [0, *range(BEHIND + 1, BEHIND + 101)]
    hours.wait_committed(set(range(1, BEHIND + 101)))
