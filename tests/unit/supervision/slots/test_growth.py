from __future__ import annotations

from typing import List

import pytest

from kafka_worker.shared.events import Event
from kafka_worker.supervision.slots import growth
from kafka_worker.supervision.slots.growth import LONGEST_PAUSE_SECONDS, OFTEN, PAUSE_SECONDS, SOON_SECONDS
from kafka_worker.supervision.slots.recycling import RecyclingSchedule
from kafka_worker.supervision.slots.slot import Slot
from tests.unit.fakes import some_settings
from tests.unit.supervision.puppet import Puppet

MEGABYTE = 1_000_000
SETTINGS = some_settings(processes=2, memory_limit="400M")  # 180 MiB each; recycled at 160 MB


class Leak:
    """A slot whose processes outgrow their share, beside another, on a clock of our own."""

    def __init__(self, *, beside: int = 50) -> None:
        self.schedule = RecyclingSchedule(SETTINGS)
        self.now = 1000.0
        self.puppets: List[Puppet] = []
        self.slots = {0: Slot(0, 0.0), 1: Slot(1, 0.0)}
        self.fill(1, beside)

    def fill(self, number: int, megabytes: int, wish: str = "") -> None:
        puppet = Puppet(100 + len(self.puppets))
        self.puppets.append(puppet)
        puppet.child.started_at = self.now
        self.slots[number].child = puppet.child
        self.grow(number, megabytes, wish)

    def grow(self, number: int, megabytes: int, wish: str) -> None:
        child = self.slots[number].child
        puppet = next(each for each in self.puppets if each.child is child)
        puppet.says("consuming", pid=puppet.child.pid, rss=megabytes * MEGABYTE, renew=wish)

    def recycled_after(self, seconds: float) -> float:
        """A new process that is too large after so many seconds: how long it lives until it is recycled."""
        self.fill(0, 40)
        began = self.now
        self.now += seconds
        self.schedule.due(self.slots, self.now)
        self.grow(0, 170, "RSS 170 MB above its share of 160 MB")
        while self.schedule.due(self.slots, self.now) is None:
            self.now += 10.0
        return self.now - began

    def close(self) -> None:
        for puppet in self.puppets:
            puppet.close()


@pytest.mark.parametrize(
    ("seconds", "beside", "pauses"),
    [
        pytest.param(100.0, 50, [PAUSE_SECONDS * 2**n for n in range(6)] + [LONGEST_PAUSE_SECONDS] * 2, id="soon, with room"),
        pytest.param(100.0, 200, [0.0] * 8, id="soon, and the others leave none"),
        pytest.param(SOON_SECONDS, 50, [0.0] * 8, id="late"),
    ],
)
def test_processes_that_outgrow_their_share_one_after_the_other_are_recycled_ever_more_seldom_while_there_is_room(
    seconds: float, beside: int, pauses: List[float]
) -> None:
    leak = Leak(beside=beside)

    lived = [leak.recycled_after(seconds) for _ in range(OFTEN + len(pauses))]

    assert lived == [seconds] * OFTEN + [max(seconds, pause) for pause in pauses]
    leak.close()


def test_that_is_told_once_and_is_a_condition_until_one_does_not(caplog: pytest.LogCaptureFixture) -> None:
    leak = Leak()
    for _ in range(OFTEN + 2):
        leak.recycled_after(100.0)
    told = [record.getMessage() for record in caplog.records if vars(record).get("event") == Event.OVERSIZED.value]
    during = leak.slots[0].report(leak.now, 0.0).outgrown_within
    leak.fill(0, 40)
    leak.now += growth.SOON_SECONDS
    leak.schedule.due(leak.slots, leak.now)

    (text,) = told
    assert text == (
        "slot 0: 3 processes, one after the other, have outgrown their share of MEMORY_LIMIT (160 MB), the last within 100 s: "
        "recycled ever more seldom from now on, while all together have room"
    )
    assert (during, leak.slots[0].report(leak.now, 0.0).outgrown_within) == (100.0, -1.0)
    leak.close()
