"""One snapshot, one computation."""

from __future__ import annotations

from kafka_worker.shared.ipc.snapshot import WorkCount
from kafka_worker.shared.ipc.sums import each_partition_once, totals, utilization
from tests.unit.reports import HELD, PARTITION, child, slot


def test_a_partition_that_two_processes_tell_of_is_the_ones_whose_commit_is_higher() -> None:
    old, new = (child(partitions=[HELD._replace(committed=committed), PARTITION]) for committed in (140, 150))
    moved = PARTITION._replace(partition=6)

    told = each_partition_once(
        [slot(0, child=new), slot(1, pid=0, child=new), slot(2, child=old._replace(partitions=[HELD, moved]))]
    )

    found = [
        [(each.partition, each.committed) for each in each_slot.child.partitions] for each_slot in told if each_slot.child
    ]
    assert found == [[(7, 150), (5, 100)], [(7, 150), (5, 100)], [(6, 100)]]


def test_totals_are_of_the_processes_that_are_there_and_of_the_work_of_all_that_were() -> None:
    unknown = PARTITION._replace(partition=6, lag=-1)
    late = PARTITION._replace(partition=8, lag_seconds=341.0)
    work = [
        WorkCount("tasks", "orders", "done", 15),
        WorkCount("tasks", "returns", "done", 5),
        WorkCount("tasks", "orders", "dropped", 7),
        WorkCount("attempts_failed", "orders", "ValueError", 2),
        WorkCount("attempts_failed", "orders", "other", 1),
        WorkCount("tasks", "orders", "dead_letter", 4),
        WorkCount("tasks", "orders", "parked", 1),
    ]

    had = child(partitions=[PARTITION, PARTITION._replace(partition=9), PARTITION._replace(partition=10)])
    dead = slot(1, pid=0, state="backoff", restart_in=2.0, child=had)

    sums = totals([slot(0), dead, slot(2, child=child(partitions=[late, unknown]))], work)

    assert (sums.done, sums.failed, sums.dead_letters) == (20, 3, 5), "what is parked is a dead letter, too"
    assert (sums.lag, sums.lag_unknown) == (240, 3), "what only a dead process had is not known"
    assert (sums.lag_seconds, sums.in_flight, sums.partitions, sums.running) == (341.0, 9, 3, 2)


def test_how_much_of_what_could_run_does_is_known_of_all_processes_that_say_it() -> None:
    half, idle = child(busy=2.0, capacity=4), child(busy=0.0, capacity=4)

    assert utilization([slot(0, child=half), slot(1, child=idle), slot(2, pid=0, child=half)]) == 0.25
    assert utilization([slot(0, child=child()), slot(1, child=None)]) == -1.0
