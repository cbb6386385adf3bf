"""The client, its broker and the handlers are simulated, second by second: see `Machine`."""

from __future__ import annotations

from collections import deque
from typing import List

import pytest

from kafka_worker.kafka.incoming.backpressure import OVERHEAD
from kafka_worker.kafka.incoming.prefetch import (
    AMPLE_SECONDS,
    EMPTY_SECONDS,
    FULL_SECONDS,
    LEFT_SECONDS,
    MUCH,
    PLENTY,
    SCARCE,
    SCARCE_SECONDS,
    give_back,
)
from kafka_worker.shared.system import memory
from tests.unit.fakes import TOPIC, Message, some_settings
from tests.unit.kafka.incoming.machine import Machine


def longest(moments: List[float]) -> float:
    """Between one and the next."""
    return max(after - before for before, after in zip(moments, moments[1:]))


@pytest.mark.parametrize(
    ("seconds", "partitions", "max_in_flight", "size"),
    [(0.001, 2, 1000, 177), (0.005, 4, 16, 177), (0.02, 8, 1000, 177), (0.1, 4, 16, 2_000), (0.1, 3, 1000, 60_000)],
)
def test_with_a_backlog_no_thread_is_idle_next_to_nothing_is_fetched_twice_and_the_client_is_heard_in_time(
    seconds: float, partitions: int, max_in_flight: int, size: int
) -> None:
    machine = Machine(partitions, threads=8, max_in_flight=max_in_flight, size=size)
    machine.seconds = seconds
    machine.run(2 * EMPTY_SECONDS)  # it begins
    began, busy = machine.now, machine.busy

    machine.run(min(3.0, max(0.4, 150 * seconds)))

    assert machine.busy - busy >= 0.97 * 8 * (machine.now - began)
    assert machine.thrown_away <= 0.1 * machine.delivered
    assert longest([*machine.heard_at, machine.now]) < LEFT_SECONDS + 0.1
    assert longest([*machine.emptied_at, machine.now]) < AMPLE_SECONDS + 0.1
    assert sum(partition.tracker.in_flight for partition in machine.assignment) <= max_in_flight
    assert machine.in_hand * (size + OVERHEAD) < 1.5 * memory.MOST_PREFETCH_BYTES


@pytest.mark.parametrize(
    ("size", "max_in_flight", "slow", "others", "rest", "seconds"),
    [
        (177, 1500, 0.0, 0.005, 0.03, 9.0),
        (100_000, 1500, 0.0, 0.02, 0.03, 5.0),
        (20_000, 100, 0.3, 0.02, 0.03, 6.0),
        (20_000, 100, 0.3, 0.005, 0.2, 5.0),  # 0.6 where nobody looks whether threads have something to do
    ],
    ids=["half of it has one key", "large ones, half of them have one key", "its tasks are slow", "and those of others quick"],
)
def test_a_partition_that_goes_at_its_own_pace_takes_neither_the_threads_nor_the_memory_of_others(
    size: int, max_in_flight: int, slow: float, others: float, rest: float, seconds: float
) -> None:
    machine = Machine(4, threads=16, max_in_flight=max_in_flight, size=size)
    machine.seconds, machine.step = others, 0.001
    machine.lanes[0] = deque()
    machine.slow = {0: slow} if slow else {}
    machine.run(2 * EMPTY_SECONDS)
    began, idle, most = machine.now, 0.0, 0
    while machine.now < seconds:
        before = machine.now
        machine.turn()
        idle += (16 - len(machine.running())) * (machine.now - before)
        most = max(most, machine.in_hand)

    assert idle <= rest * 16 * (machine.now - began)
    assert most * (size + OVERHEAD) < 1.5 * memory.MOST_PREFETCH_BYTES
    assert machine.thrown_away < 0.1 * machine.delivered < 0.11 * sum(map(machine.position, range(4)))


def test_nothing_is_paused_or_fetched_twice_while_room_comes_back_quickly() -> None:
    machine = Machine(1, threads=8, max_in_flight=1000)
    machine.seconds = 0.0001

    machine.run(0.1)

    assert (machine.paused, machine.thrown_away) == ([], 0)
    assert machine.delivered > 2000


def test_what_is_paused_was_taken_out_of_the_client_before_and_is_fetched_again_in_time() -> None:
    machine = Machine(1, threads=1, max_in_flight=20)
    machine.step = 0.002
    while not machine.paused:
        machine.turn()
    waiting = machine.in_hand
    while machine.paused:
        machine.turn()

    assert machine.thrown_away == 0
    assert waiting > MUCH * PLENTY
    assert 0.9 * SCARCE < machine.in_hand <= SCARCE


def test_with_seconds_of_work_in_hand_the_client_is_left_alone_longer_and_nothing_is_paused_or_fetched_twice() -> None:
    machine = Machine(16, threads=16, max_in_flight=1000)
    machine.run(1.0)
    machine.thrown_away = most = 0
    for _ in range(40):
        machine.run(0.1)
        most = max(most, machine.in_hand)

    assert most < 5 * SCARCE_SECONDS * 16 / machine.seconds
    assert (machine.paused, machine.thrown_away) == ([], 0)
    assert LEFT_SECONDS - 0.1 < longest(machine.emptied_at[1:]) < AMPLE_SECONDS + 0.1


def test_what_is_in_hand_goes_back_with_what_comes_behind_it() -> None:
    machine = Machine(1, threads=1)
    partition = machine.partition(0)
    partition.flow.keep([Message(offset, partition=0, value=b"") for offset in range(100, 110)])

    give_back(machine, partition, 110)  # type: ignore[arg-type]

    assert machine.position(0) == 100
    assert partition.flow.waiting == 0


@pytest.mark.parametrize("since", [True, False], ids=["assigned since", "paused before"])
def test_what_is_given_back_is_paused_and_comes_again_though_nothing_of_it_was_in_flight(*, since: bool) -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(3, threads=8, max_in_flight=16, memory_limit=limit, size=20_000)
    stuck = machine.partition(0)
    stuck.flow.refused("it can't be stored", again=False)  # nothing of it starts
    for number in (1, 2):
        machine.pause([(TOPIC, number)])
        machine.partition(number).flow.pause()
    stuck.flow.keep([Message(offset, partition=0, value=bytes(20_000)) for offset in range(300)])
    machine.prefetch._full = True
    if not since:
        machine.pause([(TOPIC, 0)])
        stuck.flow.pause()
    machine.turn()
    stuck.flow.refused_no_more()
    machine.run(1.5)

    assert machine.given_back == [0]
    assert stuck.tracker.watermark() > 300
    assert all(machine.partition(number).tracker.watermark() > 100 for number in (1, 2))


def test_what_fills_the_memory_and_does_not_move_is_given_back_for_others_until_something_of_it_has_ended() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(8, threads=64, max_in_flight=64, memory_limit=limit, size=20_000)
    machine.step = 0.001
    machine.slow = dict.fromkeys(range(6), 3600.0)
    for number in range(6, 8):
        machine.partition(number).flow.pause()
        machine.pause([(TOPIC, number)])
    machine.run(2.1 * FULL_SECONDS)
    of_others = [machine.partition(number).tracker.watermark() for number in (6, 7)]
    machine.run(FULL_SECONDS)
    of_others_later = [machine.partition(number).tracker.watermark() for number in (6, 7)]
    given_back = set(machine.given_back)
    again = machine.partition(min(given_back))
    rested, times = again.flow.waiting, machine.given_back.count(again.number)
    for _ in range(rested // 2 + 1):
        machine.end_one(again)
        machine.run(0.1)
    machine.run(1.0)

    assert given_back < set(range(6))
    assert times == 1
    assert rested < again.flow.waiting
    assert all(later > earlier + 1000 for earlier, later in zip(of_others, of_others_later))


def test_what_fills_the_memory_when_all_partitions_are_paused_is_given_back_for_the_one_that_has_nothing() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(8, threads=64, max_in_flight=64, memory_limit=limit, size=2000)
    machine.step = 0.005
    machine.slow = dict.fromkeys(range(7), 3600.0)
    machine.run(3 * FULL_SECONDS)

    assert machine.partition(7).tracker.watermark() > 2000  # else it has 200, and never more


def test_small_messages_fill_the_memory_by_what_they_cost_beside_their_values() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(2, threads=8, memory_limit=limit, size=100)
    stuck = machine.partition(0)
    stuck.flow.refused("it can't be stored", again=False)  # nothing of it starts
    stuck.flow.keep([Message(offset, partition=0, value=bytes(100)) for offset in range(5000)])
    machine.pause([(TOPIC, 0)])
    stuck.flow.pause()
    machine.turn()

    assert machine.given_back == [0]


def test_what_fills_the_memory_goes_back_where_threads_have_nothing_to_do_though_something_moves() -> None:
    machine = Machine(2, threads=8, memory_limit=str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES), size=20_000)
    stuck = machine.partition(0)
    stuck.flow.refused("it can't be stored", again=False)
    stuck.flow.keep([Message(offset, partition=0, value=bytes(20_000)) for offset in range(300)])
    for partition in machine.assignment:
        machine.pause([(TOPIC, partition.number)])
        partition.flow.pause()
    machine.prefetch._full, machine.prefetch._moved_at = True, machine.now
    machine.turn()

    assert machine.given_back == [0]


def test_what_comes_of_a_partition_that_had_nothing_is_seen_soon_though_the_memory_is_full_of_others() -> None:
    machine = Machine(2, threads=8, memory_limit=str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES), size=100)
    machine.seconds, machine.step = 2.0, 0.02
    machine.empty = [1]
    machine.run(1.2 * FULL_SECONDS)
    machine.empty = []
    machine.run(1.0)

    assert machine.partition(1).tracker.next_offset > 0  # else in some minutes


def test_with_little_memory_a_busy_key_of_large_messages_leaves_threads_and_memory_to_others() -> None:
    machine = Machine(
        2, threads=4, max_in_flight=32, memory_limit=str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES), size=100_000
    )
    machine.seconds, machine.step = 0.05, 0.005
    machine.lanes[0] = deque()
    machine.run(0.2)
    busy, began = machine.busy, machine.now
    machine.run(4.0)

    assert machine.busy - busy >= 0.97 * 4 * (machine.now - began)


def test_where_memory_is_full_the_client_is_emptied_before_all_are_paused_and_none_is_where_it_is_soon_used_up() -> None:
    machine = Machine(4, threads=4, max_in_flight=16, size=2000)
    machine.seconds = machine.step = 0.1
    while not machine.paused:
        machine.turn()
    quick = Machine(1, threads=4, memory_limit=str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES), size=2000)
    quick.seconds = 0.001
    quick.run(0.3)
    quick.prefetch._emptied_at = quick.now - FULL_SECONDS
    quick.run(0.1)

    assert machine.thrown_away == 0
    assert machine.prefetch._most < machine.in_hand * (2000 + OVERHEAD) < 1.5 * machine.prefetch._most
    assert quick.paused == []


def test_a_partition_that_comes_to_nothing_leaves_the_others_all_threads_within_a_moment() -> None:
    machine = Machine(4, threads=8, max_in_flight=32)
    machine.slow = {0: 0.0}
    stuck = machine.partition(0)
    stuck.flow.refused("it can't be stored", again=False)
    machine.run(2 * EMPTY_SECONDS)
    busy, began = machine.busy, machine.now

    machine.run(0.5)

    assert machine.paused.count(0) == 1
    assert stuck.tracker.in_flight == 0
    assert machine.busy - busy >= 0.9 * 8 * (machine.now - began)


def test_what_fills_the_memory_may_go_to_another_process_while_the_client_is_emptied() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(2, threads=8, memory_limit=limit, size=20_000)
    machine.partition(0).flow.keep([Message(offset, partition=0, value=bytes(20_000)) for offset in range(300)])
    machine.now = 1.0

    def revoked_at_the_end_of_the_other(_most: int, _timeout: float) -> List[Message]:
        machine.assignment.remove(TOPIC, 0)
        machine.emptied = False  # the end of a partition comes as a message does
        return []

    machine.fetch = revoked_at_the_end_of_the_other  # type: ignore[assignment,method-assign]
    machine.prefetch.turn(machine, machine.assignment, lambda _: None, 0.1)  # type: ignore[arg-type]

    assert machine.given_back == []
    assert list(machine.assignment) == [machine.partition(1)]


def test_no_more_waits_than_memory_allows_and_the_client_is_let_go_on_when_half_of_it_is_used_up() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(32, threads=1, max_in_flight=20, memory_limit=limit, size=1000)
    shares = memory.shares(some_settings(memory_limit=limit))
    assert shares
    bound = shares.prefetch // (1000 + OVERHEAD)
    machine.seconds, machine.step = 0.1, 0.01
    machine.run(0.9 * FULL_SECONDS)
    thrown_away = machine.thrown_away
    machine.run(0.2 * FULL_SECONDS)
    full, fetched = machine.in_hand, [p.flow.waiting for p in machine.assignment if not p.flow.paused]
    for partition in machine.assignment:
        partition.flow.drop()
    machine.turn()

    assert bound * 0.9 < full < bound * 1.7
    assert thrown_away == 0
    assert max(fetched) <= SCARCE / 32
    assert machine.paused == []


def test_tasks_that_take_no_time_do_not_wait_for_a_client_that_has_nothing_while_something_is_in_hand() -> None:
    machine = Machine(16, threads=1, max_in_flight=1500)
    machine.seconds, waited = 0.000002, 0.0
    machine.run(0.05)
    fetch = machine.fetch

    def timed(most: int, timeout: float) -> List[Message]:
        nonlocal waited
        in_hand, began = machine.in_hand, machine.now
        batch = fetch(most, timeout)
        waited += machine.now - began if in_hand and not batch else 0.0
        return batch

    machine.fetch = timed  # type: ignore[method-assign]
    machine.run(0.05)

    assert waited <= 0.02 * 0.05
