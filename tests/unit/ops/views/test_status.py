from __future__ import annotations

import json
from pathlib import Path
from typing import List

import pytest

from kafka_worker.ops.views import status
from kafka_worker.shared.ipc import health
from kafka_worker.shared.ipc.snapshot import (
    HeadReport,
    OrderReport,
    Replaced,
    SlotReport,
    Snapshot,
    Stage,
    Waits,
    as_json,
    from_json,
)
from tests.unit.reports import BREAKER, HELD, PARTITION, TASK, child, slot, snapshot


def problems(state: str, *slots: SlotReport) -> List[str]:
    return [condition.text for condition in health.conditions(state, slots)]


def test_a_service_at_work_has_no_problem() -> None:
    assert problems("running", slot(0), slot(1)) == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (slot(pid=0, restart_in=2.04, last_exit="exit 70 (fault)", child=None),
         "slot 0: no process, next start in 2.0 s (last: exit 70 (fault))"),
        (slot(failures=4, last_exit="killed by SIGSEGV", last_why=", at m"),
         "slot 0: 4 processes died one after the other, none was well for a minute (last: killed by SIGSEGV, at m)"),
        (slot(outgrown_within=99.6),
         "slot 0: each process outgrows its share of MEMORY_LIMIT, the last within 100 s: recycled ever more seldom"),
        (slot(state="starting", child=None), "slot 0: process 1000 is starting"),
        (slot(state="starting", at=", while importing HANDLER=m:f"),
         "slot 0: process 1000 is starting, while importing HANDLER=m:f"),
        (slot(state="aborting"), "slot 0: process 1000 is aborting"),
        (slot(heartbeat_age=7.0), "slot 0: no heartbeat for 7.0 s"),
        (slot(child=child(trouble="no task process can be had")), "slot 0: no task process can be had"),
        (slot(child=child(poll_age=9.0)), "slot 0: its poll loop has not turned for 9.0 s"),
        (slot(child=child(broker_away=True)), "slot 0: no broker answers"),
        (slot(child=child(stage=Stage.WAITING, joined=False)), "slot 0: not in the group yet"),
        (slot(child=child(stage=Stage.WAITING, seat_holder="process 7")),
         "slot 0: waits for the slot's former process, process 7, to end"),
        (slot(child=child(stage=Stage.WAITING, trouble="its slot can't be locked: no room")),
         "slot 0: its slot can't be locked: no room"),
        (slot(child=child(joined=False)), "slot 0: not in the group yet"),
        (slot(child=child(unsettled=40.4)),
         "slot 0: a rebalance of the group has not ended for 40 s: it waits for some member"),
        (slot(child=child(oversized=True, rss=250_000_000)),
         "slot 0: uses more than its share of MEMORY_LIMIT right after its start: 250 MB"),
        (slot(child=child(dead_letters_waiting=2)), "slot 0: 2 dead letters can't be stored"),
        (slot(child=child(breakers=[BREAKER, BREAKER._replace(state="closed")])),
         "slot 0: circuit breaker of payments is open for 12.0 s (share 0.95 of 40 calls failed), next probe in 3.0 s"),
        (slot(child=child(breakers=[BREAKER._replace(seconds_in_state=1.5, seconds_unwell=7200.0)])),
         ("slot 0: circuit breaker of payments is open for 1.5 s, and was last closed 120 minutes ago (share 0.95 of 40 calls "
          "failed), next probe in 3.0 s")),
        (slot(child=child(breakers=[BREAKER._replace(state="half-open", probe_in=-1.0, last_error="OSError")])),
         "slot 0: circuit breaker of payments is half-open for 12.0 s (share 0.95 of 40 calls failed, the last by OSError)"),
        (slot(child=child(partitions=[HELD, PARTITION])), "slot 0: orders[7] is held: no room"),
        (slot(child=child(partitions=[HELD, HELD._replace(partition=8)])), "slot 0: orders[7] and 1 more are held: no room"),
        (slot(child=child(partitions=[PARTITION._replace(stalled="nothing is delivered")])),
         "slot 0: orders[5] is stalled: nothing is delivered"),
    ],
)  # fmt: skip
def test_each_condition_is_one_problem_of_its_slot(broken: SlotReport, problem: str) -> None:
    assert problems("running", broken, slot(1)) == [problem]


def test_each_reason_for_which_partitions_stand_still_is_told_once_and_of_many_the_number() -> None:
    held = [HELD._replace(partition=number, held=f"reason {number // 2}") for number in range(20)]

    found = problems("running", slot(child=child(partitions=held)))

    assert found[0] == "slot 0: orders[0] and 1 more are held: reason 0"
    assert found[4:] == [
        "slot 0: orders[8] and 1 more are held: reason 4", "slot 0: 10 more are held, for other reasons (status --json)",
    ]  # fmt: skip
    (last,) = problems("running", slot(child=child(partitions=held[:11])))[5:]
    assert last == "slot 0: 1 more is held, for other reasons (status --json)"


def test_a_process_whose_successor_waits_already_may_stop() -> None:
    replaced = slot(state="stopping", successor_pid=7)

    assert problems("running", replaced) == []
    assert problems("running", replaced._replace(successor_pid=0)) == ["slot 0: process 1000 is stopping"]


def test_a_roll_that_goes_well_is_no_problem_while_a_seat_changes_hands() -> None:
    waits, sits_down = (child(stage=Stage.WAITING, joined=False, seat_holder=holder) for holder in ("process 7", ""))

    assert problems("rolling", slot(child=waits), slot(1, child=sits_down)) == []
    assert len(problems("running", slot(child=waits), slot(1, child=sits_down))) == 2
    assert len(problems("rolling", slot(child=child(joined=False)))) == 1


def test_a_process_of_which_an_operator_wanted_one_less_may_finish_what_it_runs() -> None:
    assert problems("running", slot(), slot(1, state="stopping", retiring=True)) == []
    assert len(problems("running", slot(1, state="aborting", retiring=True))) == 1


def test_a_slot_whose_process_has_ended_in_a_stop_waits_for_no_next_one() -> None:
    assert problems("stopping", slot(pid=0, restart_in=0.0)) == ["the supervisor is stopping"]


@pytest.mark.parametrize("state", ["starting", "stopping"])
def test_a_supervisor_that_does_not_run_its_service_is_a_problem(state: str) -> None:
    assert problems(state, slot()) == [f"the supervisor is {state}"]


def test_a_log_that_nobody_reads_is_a_problem_until_it_is_told_there() -> None:
    found = health.conditions("running", [slot(child=child(log_dropped=9, log_untold=7)), slot(child=child(log_dropped=9))], 1)

    assert [(each.kind, each.slot, each.text.partition(": ")[2]) for each in found] == [
        ("log", None, "nobody reads its log, or what handlers print: 1 line missing"),
        ("log", 0, "nobody reads its log, or what handlers print: 7 lines missing"),
    ]


def test_a_topic_that_is_missing_is_one_problem_of_the_service_whoever_says_so() -> None:
    found = health.conditions(
        "running", [slot(child=child(missing_topics=["b"])), slot(child=child(missing_topics=["b", "a"]))]
    )

    assert [(each.kind, each.slot, each.text.partition(":")[0]) for each in found] == [
        ("topic-missing", None, "there is no topic a"),
        ("topic-missing", None, "there is no topic b"),
    ]


def test_several_problems_are_all_told() -> None:
    broken = slot(heartbeat_age=7.0, child=child(broker_away=True, joined=False))

    assert len(problems("starting", broken, slot(1, pid=0))) == 5


def test_each_kind_of_condition_and_each_reason_of_a_restart_is_in_the_documentation() -> None:
    text = (Path(__file__).resolve().parents[4] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")

    assert [kind.value for kind in (*health.Kind, *Replaced) if f"`{kind.value}`" not in text] == []


def test_a_condition_has_a_kind_that_stays_and_says_whose_it_is() -> None:
    shown = as_json(snapshot(slot(1, child=child(broker_away=True)), state="stopping"))

    assert shown["conditions"] == [
        {"kind": "supervisor", "slot": None, "text": "the supervisor is stopping"},
        {"kind": "no-broker", "slot": 1, "text": "slot 1: no broker answers"},
    ]
    assert shown["problems"] == [condition["text"] for condition in shown["conditions"]]


def test_a_snapshot_is_the_same_after_its_way_over_the_socket_and_of_an_older_or_a_younger_service_what_is_known() -> None:
    ours = snapshot(
        slot(0, child=child(tasks=(TASK,), breakers=(BREAKER,), partitions=(PARTITION._replace(head=STUCK),))),
        slot(1, child=None, last_exit="exit 70"),
    )
    sent = json.loads(json.dumps(as_json(ours)))
    older = {name: value for name, value in sent.items() if name != "conditions"}

    assert from_json(Snapshot, sent) == ours
    assert from_json(Snapshot, {**older, "tomorrow": 1}) == ours._replace(conditions=())


def test_the_text_names_a_stuck_task_in_full_in_one_line() -> None:
    shown = status.text(snapshot(slot(0), slot(1, child=child(tasks=[TASK]))))

    (line,) = [line for line in shown.splitlines() if "4711" in line]
    assert line.split() == ["12m34s", "orders[5]", "offset", "4711", "customer-9", "2", "1", "1001", "handler-3"]


def test_the_text_shows_the_ten_longest_tasks_the_longest_first() -> None:
    tasks = [TASK._replace(offset=5000 + age, seconds=float(age)) for age in range(15)]
    shown = status.text(snapshot(slot(0, child=child(tasks=tasks))))

    rows = [line.split() for line in shown.splitlines() if "] offset 50" in line]
    assert [int(row[3]) for row in rows] == list(range(5014, 5004, -1))


def test_the_text_shows_calls_of_which_nothing_counts_any_more_last_with_the_reason() -> None:
    tasks = [TASK._replace(offset=1, seconds=9.0, void="parked"), TASK._replace(offset=2, seconds=1.0)]
    shown = status.text(snapshot(slot(0, child=child(tasks=tasks))))

    rows = [line for line in shown.splitlines() if "] offset " in line]
    assert ["offset 2  " in rows[0], "offset 1 (parked)" in rows[1]] == [True, True]


def test_a_lag_that_is_not_known_is_no_lag_of_none() -> None:
    held = HELD._replace(lag=-1, lag_seconds=-1.0, head=HeadReport(-1, Waits.HELD, seconds=9.0))
    other = child(partitions=[PARTITION._replace(partition=6)])
    service = snapshot(slot(0, child=child(partitions=[PARTITION, held])), slot(1, child=other))
    shown = status.text(service)

    assert f"lag {2 * PARTITION.lag} (not known of 1 partition)," in shown
    assert "lag not known: offset not known is held" in shown
    assert f", lag {2 * PARTITION.lag}+?, in flight " in health.one_line(service)
    assert [f" {PARTITION.lag}+? " in line for line in shown.splitlines() if line[:2] in ("0 ", "1 ")] == [True, False]


def test_a_healthy_text_says_so_first_and_where_it_runs() -> None:
    first, *rest = status.text(snapshot(slot())).splitlines()

    assert first == "HEALTHY  running, up 1h02m, group workers on host-a, topics orders, returns"
    assert "problem" not in "".join(rest)
    assert rest[-1] == "no task runs now"


def test_a_degraded_text_says_so_first_and_then_each_problem() -> None:
    lines = status.text(snapshot(slot(child=child(broker_away=True, joined=False)))).splitlines()

    assert lines[0].startswith("DEGRADED  running")
    assert lines[3:5] == ["  problem: slot 0: no broker answers", "  problem: slot 0: not in the group yet"]


def test_suspects_are_told_of_while_there_are_any() -> None:
    assert "suspects 2: " in status.text(snapshot(slot(child=child(suspects=2)), slot(1)))
    assert "suspects" not in status.text(snapshot(slot()))


def test_the_text_of_a_service_that_has_just_started_is_no_error() -> None:
    shown = status.text(snapshot(slot(state="starting", child=None), slot(1, pid=0, child=None), state="starting"))

    assert "starting" in shown


def test_a_rate_limit_stands_beside_the_rate_with_the_share_of_a_process() -> None:
    """Five of six processes without a partition, and the sixth with a sixth of the limit: lag grows, and threads are free."""
    limited = status.text(snapshot(slot(), most_per_second=40.0, most_of_a_process=40.0 / 6))

    assert "(2.5 per second, MAX_MESSAGES_PER_SECOND 40: 6.67 a process)" in limited
    assert "MAX_MESSAGES_PER_SECOND" not in status.text(snapshot(slot()))


def test_the_text_shows_threads_memory_and_who_is_to_be_recycled() -> None:
    shown = snapshot(slot(child=child(threads=17, rss=123_456_789, renew="3600 s old")), threads_max=32)

    lines = status.text(shown).splitlines()

    assert lines[1].startswith("1 process x 4 to 32 threads,")
    assert "  to be recycled: slot 0: 3600 s old" in lines
    (row,) = [line.split() for line in lines if line.startswith("0 ")]
    assert (row[4], row[5]) == ("17", "123")


def test_the_text_says_how_busy_it_is_and_why_processes_were_replaced() -> None:
    leaking = slot(restart_reasons={"recycled": 3, "oom": 1, "rolled": 2}, recycled_for="RSS 150 MB above its share of 98 MB")

    told = status.text(snapshot(leaking, slot(1, restart_reasons={"rolled": 2}), utilization=0.984))

    assert ", busy 98%\n" in told
    assert told.count("replaced:") == 1
    assert "\n  replaced: slot 0: 3 recycled (the last: RSS 150 MB above its share of 98 MB), 1 oom\n" in told


def test_of_many_partitions_those_that_are_marked_are_listed_and_how_many_there_are() -> None:
    many = [PARTITION._replace(partition=number, paused=False, held="why" if number == 900 else "") for number in range(1000)]

    (line,) = [
        line for line in status.text(snapshot(slot(0, child=child(partitions=many)))).splitlines() if "consuming" in line
    ]

    assert line.endswith("orders[14] orders[900](held) and 984 more")
    assert len(line) < 400


def test_paused_and_held_partitions_are_marked() -> None:
    paused = PARTITION._replace(partition=6, paused=True)
    ordered = paused._replace(partition=8, pause="the bank is away (ops@host)")
    shown = status.text(snapshot(slot(child=child(partitions=[paused, HELD, PARTITION, ordered]))))

    assert "orders[5] orders[6](paused) orders[7](held) orders[8](paused by an operator)" in shown


def test_what_operators_have_ordered_is_told_with_by_whom_since_when_how_long_and_why() -> None:
    pause = OrderReport("orders", 8, None, "the bank is away", "ops@host", 720.0, 1080.0)
    shown = status.text(snapshot(slot(), orders=[pause, pause._replace(offset=120, left=-1.0)])).splitlines()

    assert "  paused: orders/8, by ops@host for 12m00s, 18m00s left: the bank is away" in shown
    assert "  to be parked: orders/8/120, by ops@host for 12m00s: the bank is away" in shown
    assert shown[0].startswith("HEALTHY")


def test_one_line_says_how_it_is_and_the_first_problem() -> None:
    lines: List[str] = [
        health.one_line(snapshot(*slots)) for slots in ([slot()], [slot(), slot(1, pid=0, state="backoff", child=None)])
    ]

    assert lines[0] == "running: 1/1 processes, 1 partition, lag 120, in flight 3, restarts 2"
    assert lines[1].startswith("running: 1/2 processes, 1 partition, lag 120, in flight 3, restarts 2; degraded: slot 1:")


STUCK = HeadReport(120, Waits.RUNNING, 340.0, "k", 1.5, 2, running=340.0, thread="handler-2")


def test_the_partition_that_is_furthest_behind_has_a_line_with_what_it_waits_for() -> None:
    stuck = PARTITION._replace(head=STUCK._replace(followers=7), lag_seconds=341.0)
    less = PARTITION._replace(partition=6, head=STUCK._replace(offset=7), lag_seconds=20.0)

    shown = status.text(snapshot(slot(0, child=child(partitions=[less])), slot(2, child=child(partitions=[stuck, less]))))

    (line,) = [line for line in shown.splitlines() if "behind" in line]
    where, _, what = line.partition(": offset ")
    assert where == "  furthest behind: orders[5], lag 120, 5m41s"
    assert what == "120 is running for 5m40s (attempt 2, slot 2, pid 1002, handler-2); 7 wait for it, to keep the order"


def test_what_is_only_on_its_way_has_no_such_line() -> None:
    soon = PARTITION._replace(head=STUCK._replace(seconds=0.5), lag_seconds=0.7)

    assert "behind" not in status.text(snapshot(slot(child=child(partitions=[soon, PARTITION]))))
