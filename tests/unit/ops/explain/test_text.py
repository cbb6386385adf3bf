"""A paragraph says what a commit waits for, where that is, and what lets go of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional

import pytest

from kafka_worker.ops.explain import text
from kafka_worker.ops.explain.cases import Case, cases, owned
from kafka_worker.ops.explain.words import LET_GO, SAID, let_go
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.snapshot import HeadReport, OrderReport, PartitionReport, Waits, as_json
from tests.unit.reports import PARTITION, child, slot, snapshot

HEAD = HeadReport(120, Waits.RUNNING, 340.0, "customer-9", 1.5, 2, running=339.0, thread="handler-2")
STUCK = PARTITION._replace(
    committed=120, watermark=120, in_flight=402, queued=401, done_beyond=878, lag=1280, lag_seconds=341.0, head=HEAD
)
CALLS = [["/srv/app/tasks.py", 88, "charge", "pay()"], ["/usr/lib/python3/ssl.py", 1166, "read", "x"]]
TASK = {
    "topic": "orders",
    "partition": 5,
    "offset": 120,
    "attempt": 2,
    "thread": "handler-2",
    "seconds": 339.0,
    "calls": CALLS,
}


def case(**changes: Any) -> Case:
    return Case(slot(3), STUCK, **changes)


def test_one_paragraph_tells_all() -> None:
    assert text.paragraph(case(answer={"tasks": [{**TASK, "offset": 121}, TASK]})).splitlines() == [
        "orders/5 (slot 3, pid 1003): committed 120, for 5m40s: offset 120 is running",
        "  120: is running for 5m39s, attempt 2, key customer-9, in handler-2: tasks.py:88 charge > ssl.py:1166 read",
        "  behind it: 878 done (they do not run again), 401 queued for a thread",
        "  lag 1280, 5m41s",
        "  let go: " + LET_GO[Waits.RUNNING][0].format(pid=1003, place=""),
        "  or: " + LET_GO[Waits.RUNNING][1],
        "  or: park orders/5/120 --reason TEXT: it becomes a dead letter, and its call goes on in vain",
    ]


def test_who_does_not_answer_is_told_of_as_far_as_it_is_known_and_how_old_that_is() -> None:
    told = text.paragraph(replace(case(answer={"error": "process 1003 has not answered"}), slot=slot(3, heartbeat_age=9.0)))

    assert "  120: is running for 5m39s" in told
    assert "  as of 9.0s ago: its process says nothing since" in told


@pytest.mark.parametrize("waits", Waits)
def test_each_reason_has_words_for_what_it_is_and_for_what_lets_go_of_it(waits: Waits) -> None:
    head = HeadReport(120, waits, 12.0, why="so it is")

    told = text.paragraph(Case(slot(3), STUCK._replace(head=head)))

    assert f"offset 120 {SAID[waits]}" in told
    assert "\n    so it is\n" in told
    assert "  let go: " + let_go(head, alone=False)[0].format(pid=1003, place="") in told


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, "its end. If it hangs: kill -ABRT 1003 (prints"),
        ({"running": 0.3}, "its end: it runs since a moment. If the lag grows: more THREADS"),
        ({"running": 0.3, "followers": 9}, "finer keys, or ORDERING=none where order does not matter: 9 messages"),
        ({"followers": 9}, "its end. If it hangs"),
        ({"waits": Waits.QUEUED}, "the end of what runs"),
        ({"waits": Waits.QUEUED, "why": "MAX_MESSAGES_PER_SECOND"}, "time, or more of the setting that is named above"),
        ({"waits": Waits.BREAKER, "why": "the circuit breaker of payments is open"}, "whatever its handler depends on"),
        (
            {"waits": Waits.BREAKER, "why": "the circuit breaker of dead letters is open"},
            "the end of what makes most messages",
        ),
    ],
)
def test_what_is_told_first_is_what_helps(changes: Dict[str, Any], first: str) -> None:
    told = Case(slot(3), STUCK._replace(head=HEAD._replace(**changes))).let_go

    assert told[0].startswith(first)


def test_of_a_call_in_a_process_of_its_own_just_that_one_is_to_be_ended() -> None:
    told = case(answer={"tasks": [{**TASK, "task_process": 77}]}).let_go

    assert told[0].startswith("its end. If it hangs: kill -ABRT 77 (its task process")


def test_finer_keys_are_no_cure_where_something_else_is_wrong() -> None:
    told = Case(slot(3), STUCK._replace(head=HeadReport(120, Waits.BREAKER, 12.0, followers=9))).let_go

    assert "finer keys" not in str(told)


def test_a_message_that_is_asked_about_is_told_beside_the_one_that_all_wait_for() -> None:
    behind = HeadReport(150, Waits.BEHIND_ITS_KEY, 0.0)

    told = text.paragraph(case(offset=150, answer={"sought": as_json(behind)}))
    done = text.paragraph(case(offset=150, answer={"sought": None}))
    unknown = text.paragraph(case(offset=150, answer={"error": "it has not answered"}))

    assert told.splitlines()[:2] == [
        "orders/5 (slot 3, pid 1003): committed 120, for 5m40s: offset 120 is running", "  150: is queued behind its key",
    ]  # fmt: skip
    assert "  150: done" in done
    assert "  150: not known, as its process does not say" in unknown


def test_a_message_that_is_not_there_yet_waits_for_nothing() -> None:
    told = text.paragraph(case(offset=220, answer={"sought": as_json(HeadReport(220, Waits.PAUSED, 0.0))}))

    assert "  220: is not there yet, the partition ends at 220" in told
    assert "let go" not in told


def test_the_first_is_not_counted_among_those_behind_it() -> None:
    queued = STUCK._replace(head=HeadReport(120, Waits.QUEUED, 1.0), in_flight=5, queued=3, done_beyond=0)

    assert "  behind it: 2 queued for a thread, 2 more in flight\n" in text.paragraph(Case(slot(3), queued))


def test_what_a_breaker_keeps_in_its_queue_is_not_counted_behind_itself() -> None:
    kept = STUCK._replace(head=HeadReport(120, Waits.BREAKER, 1.0), in_flight=5, queued=5, done_beyond=0)

    assert "  behind it: 4 queued for a thread\n" in text.paragraph(Case(slot(3), kept))


def test_beside_a_message_that_is_asked_about_it_is_said_behind_which_the_others_are() -> None:
    told = text.paragraph(case(offset=150, answer={"sought": as_json(HeadReport(150, Waits.QUEUED, 0.0))}))

    assert "  behind 120: 878 done" in told


def test_an_order_to_park_is_told_of_its_message_and_of_the_partition() -> None:
    order = OrderReport("orders", 5, 150, "hangs", "ops@host", 7.0, -1.0)
    service = snapshot(slot(3, child=child(partitions=[STUCK])))._replace(orders=[order, order._replace(partition=4)])

    def told(offset: Optional[int]) -> bool:
        (found,) = cases(service, Place("orders", 5, offset))
        return "  to be parked: orders/5/150, by ops@host for 7.0s: hangs" in text.paragraph(found)

    assert [told(offset) for offset in (None, 150, 120)] == [True, True, False]


def test_of_a_topic_that_is_missing_it_is_said_that_it_is_and_of_others_it_is_not() -> None:
    service = snapshot(slot(3, child=child(partitions=[STUCK], missing_topics=["orders", "returns"])))

    (found,) = cases(service, Place("orders", 5))

    assert [problem.partition(":")[0] for problem in found.problems] == ["there is no topic orders"]


def test_of_a_topic_the_partitions_are_told_of_which_something_waits_and_of_the_others_the_number() -> None:
    rest = PARTITION._replace(
        head=None, committed=220, watermark=220, end=220, lag=0, in_flight=0, queued=0, done_beyond=0, paused=False
    )
    at_rest = [Case(slot(3), rest._replace(partition=number)) for number in range(9)]

    told = text.paragraphs([*at_rest, case(), Case(slot(3), rest._replace(partition=10, stalled="it stands"))])
    quiet = text.paragraphs(at_rest)

    assert [line.split(" (")[0] for line in told.splitlines() if line[:1] not in ("", " ")] == [
        "orders/5", "orders/10", "9 more partitions of orders: nothing there waits",
    ]  # fmt: skip
    assert [line.split(" (")[0] for line in quiet.splitlines() if line[:1] not in ("", " ")] == [
        "orders/0", "orders/1", "orders/2", "6 more partitions of orders: nothing there waits",
    ]  # fmt: skip


@pytest.mark.parametrize("first", [STUCK, STUCK._replace(partition=0, head=None, committed=220, watermark=220, lag=0)])
def test_what_is_wrong_with_the_process_of_partitions_that_are_only_counted_is_told_once(first: PartitionReport) -> None:
    rest = PARTITION._replace(head=None, committed=220, watermark=220, lag=0)
    silent = [Case(slot(4), rest._replace(partition=number), ["slot 4: no heartbeat for 300.0 s"]) for number in (7, 8)]
    held = [Case(slot(3), each, ["slot 3: it is held"]) for each in [first, *[rest._replace(partition=9)] * 3]]

    lines = text.paragraphs([*held, *silent]).splitlines()

    assert lines.count("  slot 3: it is held") == (1 if first is STUCK else text.MOST_AT_REST)
    assert lines.count("  slot 4: no heartbeat for 300.0 s") == 1
    assert lines[-2:] == [
        f"{5 if first is STUCK else 3} more partitions of orders: nothing there waits", "  slot 4: no heartbeat for 300.0 s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (Place("orders", 3), "its processes here have these partitions of it: 5"),
        (Place("returns"), "its processes here have partitions of: orders"),
    ],
)
def test_of_a_partition_that_is_elsewhere_it_is_told_what_is_here(place: Place, told: str) -> None:
    assert owned(snapshot(slot(3, child=child(partitions=[STUCK]))), place) == told


def test_a_slow_key_is_known_by_how_many_wait_for_it() -> None:
    slow = STUCK._replace(head=HEAD._replace(followers=399), queued=1)

    told = text.paragraph(Case(slot(3), slow))

    assert (
        "  behind it: 878 done (they do not run again), 1 queued for a thread, 399 wait for it, to keep the order, 1 more"
        in told
    )
    assert "or: finer keys, or ORDERING=none where order does not matter: 399 messages wait for this one" in told


def test_a_partition_that_is_well_is_told_so() -> None:
    well = STUCK._replace(
        head=None, committed=220, watermark=220, lag=0, lag_seconds=0.0, in_flight=0, queued=0, done_beyond=0
    )

    assert text.paragraph(Case(slot(3), well)).splitlines() == [
        "orders/5 (slot 3, pid 1003): nothing of it waits; committed 220", "  lag 0, 0.0s",
    ]  # fmt: skip


def test_what_is_done_and_not_committed_and_what_is_stalled_is_told_with_what_is_known() -> None:
    owed = STUCK._replace(head=None, watermark=220, stalled="what is done up to offset 220 is not committed")

    told = text.paragraph(Case(slot(3), owed, problems=["slot 3: no broker answers"]))

    assert told.startswith("orders/5 (slot 3, pid 1003): all is done; committed 120, of 220")
    assert "  slot 3: no broker answers" in told
    assert "  stalled: what is done up to offset 220 is not committed" in told


def test_a_long_stack_keeps_both_its_ends() -> None:
    calls = [[f"/x/{number}.py", number, "f", ""] for number in range(20)]

    assert text.path_of(calls) == "0.py:0 f > 1.py:1 f > 2.py:2 f > ... > 17.py:17 f > 18.py:18 f > 19.py:19 f"
