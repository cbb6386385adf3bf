"""Which partition it is of which one process after the other dies is found out, and nothing of it is lost."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, cast

import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.probation import (
    DEATHS,
    LONG_ENOUGH_SECONDS,
    QUIET_SECONDS,
    SILENT_SECONDS,
    YOUNG_SECONDS,
    Probation,
)
from kafka_worker.recovery.suspects import FETCHED
from kafka_worker.recovery.suspects_file import SuspectsFile
from tests.unit.fakes import TOPIC

MAX_DEATHS = 2


class Host:
    """What outlives the processes of one slot."""

    def __init__(self) -> None:
        self.suspects = SuspectsFile(None)
        self.deaths = 0

    def process(self) -> Life:
        return Life(self)


class Life:
    """One process, with four partitions."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.now = 1000.0
        self.probation = Probation(cast("Journal", host), host.suspects, MAX_DEATHS, self.now)
        self.partitions: List[Partition] = []

    def assigned(self, committed: Optional[Dict[int, int]] = None) -> List[int]:
        """Four partitions are; the numbers of those that are not fetched."""
        self.partitions = [Partition(TOPIC, number) for number in range(4)]
        for partition in self.partitions:
            partition.stored.found((committed or {}).get(partition.number, 0), "", UNKNOWN)
        return [partition.number for partition in self.probation.receive(self.partitions)]

    def fetched(self) -> List[int]:
        """Those that may be fetched now."""
        return [partition.number for partition in self.partitions if not partition.flow.held]

    def turns(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """It works for so long, or until something holds."""
        end = self.now + seconds
        while self.now < end and not until():
            self.now += 0.1
            self.probation.turn(self.now)
            for partition in self.partitions:  # as back-pressure does
                partition.flow.paused = bool(partition.flow.held)

    def reads_to_the_end(self, number: int, *offsets: int) -> None:
        """The client delivers these, and then there is no more."""
        for offset in offsets:
            segment, _ = self.partitions[number].tracker.take(offset)
            segment.complete(offset)
        self.partitions[number].at_end(max([0, *(offset + 1 for offset in offsets)]))

    def dies(self) -> Life:
        """And the next one."""
        self.host.deaths += 1
        return self.host.process()


@pytest.fixture
def third() -> Life:
    """The process after the third death."""
    life = Host().process()
    for _ in range(DEATHS):
        assert not life.probation.on
        assert life.assigned() == []
        life = life.dies()
    return life


def tries(life: Life, number: int) -> None:
    """All before this one are read to their end; this one is fetched."""
    for before in range(number):
        life.turns(60, until=lambda: life.fetched() == [before])  # noqa: B023 (it is called at once)
        life.reads_to_the_end(before)
    life.turns(60, until=lambda: life.fetched() == [number])


def test_at_first_nothing_is_fetched_and_then_one_at_a_time(third: Life) -> None:
    assert third.assigned() == [0, 1, 2, 3]
    third.turns(QUIET_SECONDS - 0.2)
    at_first = third.fetched()
    seen: List[Any] = []
    for number in range(4):
        third.turns(60, until=lambda: third.fetched() not in ([], *seen))
        seen.append(third.fetched())
        third.reads_to_the_end(number)
    third.turns(1)

    assert at_first == []
    assert seen == [[0], [1], [2], [3]]
    assert not third.probation.on
    assert not third.probation.careful
    assert third.fetched() == [0, 1, 2, 3]
    assert third.host.suspects.read() == {}


def test_who_dies_before_anything_is_fetched_has_not_died_of_a_partition(third: Life) -> None:
    third.assigned()
    third.turns(QUIET_SECONDS - 0.2)

    assert third.host.suspects.read() == {}


def test_the_partition_at_which_two_processes_died_is_held_at_that_place_once_what_lies_before_is_read(third: Life) -> None:
    life = third
    for _ in range(MAX_DEATHS):
        life.assigned()
        tries(life, 2)
        segment, _ = life.partitions[2].tracker.take(0)
        life.turns(0.3)
        life = life.dies()
    life.assigned()
    tries(life, 2)
    before = life.probation.arrived()

    segment, _ = life.partitions[2].tracker.take(0)
    segment.complete(0)
    life.turns(0.1)
    after = life.probation.arrived()

    assert before == {}
    assert after == {life.partitions[2]: 1}
    assert (TOPIC, 2, 1) in life.host.suspects.read(), "whoever comes next knows it too"
    life.partitions[2].flow.unreadable("deadly", 1, life.now)
    tries(life, 3)
    life.reads_to_the_end(3)
    life.turns(1)
    assert not life.probation.on
    assert life.probation.careful, "what lies before is not committed yet"
    life.partitions[2].stored.found(1, "", UNKNOWN)
    life.turns(1)
    assert not life.probation.careful


def found_at(host: Host, offset: int) -> None:
    for _ in range(MAX_DEATHS):
        host.suspects.blame([(TOPIC, 2, offset)], FETCHED)


def test_any_process_of_the_host_holds_it_from_the_start_and_fetches_the_others_as_usual() -> None:
    life = Host().process()
    found_at(life.host, 7)

    assert life.assigned({2: 7}) == [2]
    assert life.probation.arrived() == {life.partitions[2]: 7}
    assert not life.probation.careful


def test_whoever_has_not_read_so_far_joins_with_care_first() -> None:
    life = Host().process()
    found_at(life.host, 7)

    assert life.assigned({2: 5}) == [0, 1, 2, 3]
    life.turns(1)
    assert life.probation.careful, "until it has joined so"
    for partition in life.partitions:
        partition.closing.forget()
    assert life.assigned({2: 5}) == []
    life.turns(1)
    assert life.probation.careful
    assert life.probation.arrived() == {}


def test_what_was_stepped_over_is_forgotten() -> None:
    life = Host().process()
    found_at(life.host, 7)

    assert life.assigned({2: 8}) == []
    assert life.host.suspects.read() == {}


def test_one_that_is_silent_is_given_up_after_a_while(third: Life) -> None:
    third.assigned()
    tries(third, 0)
    third.turns(SILENT_SECONDS - 1)
    still = third.fetched()
    third.turns(2 + SILENT_SECONDS, until=lambda: third.fetched() == [1])

    assert still == [0]
    assert third.fetched() == [1]


def test_one_of_which_there_is_much_is_paused_and_watched_a_while_before_the_next_is_fetched(third: Life) -> None:
    """The client may be unpacking yet what it was sent before."""
    third.assigned()
    tries(third, 0)
    for offset in range(int(LONG_ENOUGH_SECONDS)):
        third.partitions[0].tracker.take(offset)
        third.turns(1)
    third.turns(1)

    assert third.fetched() == []
    assert list(third.host.suspects.read()) == [(TOPIC, 0, int(LONG_ENOUGH_SECONDS))]
    third.turns(SILENT_SECONDS + 1)
    assert third.fetched() == [1]


def test_a_stop_leaves_no_trace_of_what_was_just_tried(third: Life) -> None:
    third.assigned()
    tries(third, 1)

    third.probation.stop()

    assert third.host.suspects.read() == {}
    assert third.fetched() == [0, 1, 2, 3]


def test_who_lives_for_long_enough_owes_nothing_to_those_before() -> None:
    host = Host()
    host.deaths = DEATHS - 1
    life = host.process()
    life.turns(YOUNG_SECONDS - 1)
    before = host.deaths
    life.turns(2)

    assert (before, host.deaths) == (DEATHS - 1, 0)
