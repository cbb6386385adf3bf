"""What operators order is checked, kept, told to each process, and ends when it is over, done or taken back."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from typing import Any, Dict, List

import pytest

from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.orders import LONGEST_REASON, MOST, as_rows
from kafka_worker.shared.ipc.snapshot import ParkedReport
from kafka_worker.supervision.callers.order_requests import PARK_SECONDS
from tests.unit import reports
from tests.unit.supervision.callers.ordering import ALL, MESSAGE, ORDERS, THREE, Bench


def test_a_pause_is_told_to_each_process_once_and_is_there_after_a_restart(bench: Bench) -> None:
    answer = bench.order("pause", THREE)
    heard = bench.heard() + bench.heard()
    standing = bench.standing.orders
    bench.start()

    assert answer == {"here": 1, "former": [], "problem": ""}
    assert heard == [as_rows(standing)]
    assert bench.standing.orders == standing
    (order,) = standing
    assert (order.place, order.reason, order.until) == (Place("orders", 5), "why", None)
    assert order.by == f"{pwd.getpwuid(os.getuid()).pw_name}@host-a"


def test_a_pause_ends_when_its_time_is_over_wherever_the_service_was_then(bench: Bench) -> None:
    bench.order("pause", ALL, seconds=1800)
    bench.now += 1799.0
    bench.heard()
    left = [(report.seconds, report.left) for report in bench.standing.reports()]
    bench.start()
    bench.now += 1.0
    bench.heard()

    assert left == [(1799.0, 1.0)]
    assert bench.standing.orders == ()


@pytest.mark.parametrize(("command", "place", "left"), [("pause", ORDERS, 50.0), ("park", MESSAGE, -1.0)])
def test_of_two_orders_about_the_same_the_newer_one_counts_and_says_whose_it_stands_in_place_of(
    bench: Bench, caplog: pytest.LogCaptureFixture, command: str, place: Dict[str, Any], left: float
) -> None:
    bench.order(command, place, "first", seconds=60 if left > 0 else None)
    bench.now += 10.0
    bench.order(command, place, "second")
    bench.now += PARK_SECONDS
    answer = bench.later() or {}

    assert [(order.reason, order.until) for order in bench.standing.orders] == [("second", None)]
    ((reason, seconds, rest),) = [(each["reason"], each["seconds"], each["left"]) for each in answer["former"]]
    assert (reason, seconds, rest) == ("first", 10.0, left)
    assert caplog.messages[-1].endswith(f": second (in place of: first ({answer['former'][0]['by']}))")


@pytest.mark.parametrize(
    ("place", "left"),
    [(THREE, ["orders", "everything", "orders/5/120"]), (ORDERS, ["everything", "orders/5/120"]), (ALL, ["orders/5/120"])],
)
def test_to_resume_ends_what_was_paused_there_and_below_and_says_what_still_pauses_it(
    bench: Bench, place: Dict[str, Any], left: List[str]
) -> None:
    for paused in (THREE, ORDERS, ALL):
        bench.order("pause", paused)
    bench.order("park", MESSAGE)

    answer = bench.order("resume", place)

    assert bench.places == left
    assert answer
    assert (answer["still"], answer["named"]) == (left[:-1], ["orders/5/120"])
    assert [each["reason"] for each in answer["former"]] == ["why"] * len(answer["ended"])


@pytest.mark.parametrize("place", [THREE, ORDERS, ALL])
def test_what_is_to_be_parked_stays_so_when_all_may_go_on_and_who_wants_that_back_is_told_how(
    bench: Bench, place: Dict[str, Any]
) -> None:
    bench.order("park", MESSAGE)

    assert (bench.order("resume", place) or {})["error"].endswith("orders/5/120. To take one back: resume orders/5/120")
    assert bench.places == ["orders/5/120"]


@pytest.mark.parametrize(("command", "place"), [("pause", THREE), ("park", MESSAGE)])
def test_an_order_about_a_topic_that_the_service_has_no_more_can_be_taken_back(
    bench: Bench, command: str, place: Dict[str, Any]
) -> None:
    bench.order(command, place)
    bench.settings = replace(bench.settings, topics=("others",))
    bench.start()
    bench.puppet.says("consuming", partitions=[], orders_known=9)

    bench.order("resume", place)

    assert bench.places == []
    assert (bench.order("resume", place) or {})["error"].startswith("orders is none of the topics of this service: others")


TOO_LATE = "orders/5/120 can't be let off any more: its dead letter is on its way, or stored"
TAKEN_BACK = {"ended": ["orders/5/120"], "still": [], "named": [], "former": None, "problem": ""}
SENT = [ParkedReport("orders", 5, 120, "sent")]


def take_back(bench: Bench) -> List[Any]:
    """What is said of it before the process has heard, and when it has heard, of that."""
    bench.order("park", MESSAGE)
    bench.heard()
    early = [bench.order("resume", MESSAGE)]
    bench.puppet.says("consuming", partitions=[reports.PARTITION], orders_known=2)
    early.append(bench.later())
    bench.heard()
    return [*early, bench.later()]


def test_a_message_that_is_not_parked_yet_can_be_let_off(bench: Bench) -> None:
    early = take_back(bench)
    bench.puppet.says("consuming", partitions=[reports.PARTITION], orders_known=3)

    assert early == [None, None, None], "its process may be about to park it"
    assert {**(bench.later() or {}), "former": None} == {**TAKEN_BACK, "silent": []}
    assert bench.places == []


def test_who_takes_a_park_back_too_late_is_told_so_also_when_the_process_has_begun_meanwhile(bench: Bench) -> None:
    early = take_back(bench)
    bench.puppet.says("consuming", partitions=[reports.PARTITION], orders_known=3, parked=SENT)
    late = bench.later()
    bench.order("park", MESSAGE)
    known, listed = bench.order("resume", MESSAGE), bench.standing.reports()

    assert early == [None, None, None]
    assert [str((answer or {})["error"]).startswith(TOO_LATE) for answer in (late, known)] == [True, True]
    assert (bench.places, [each.sent for each in listed]) == (["orders/5/120"], [True])


def test_who_takes_a_park_back_is_told_which_process_does_not_say_whether_it_has_begun(bench: Bench) -> None:
    take_back(bench)
    bench.now += PARK_SECONDS

    assert {**(bench.later() or {}), "former": None} == {**TAKEN_BACK, "silent": [3]}


REFUSED = [
    ("pause", {"topic": "ordres"}, "why", "ordres is none of the topics of this service: orders, orders.retry.30s"),
    ("pause", MESSAGE, "why", "orders/5/120 is a message: pause wants a topic, a partition, or everything"),
    ("pause", ORDERS, "", "wanted as its reason: one line of 1 to 200"),
    ("pause", ORDERS, None, "wanted as its reason: one line of 1 to 200"),
    ("pause", ORDERS, "x" * (LONGEST_REASON + 1), "wanted as its reason: one line of 1 to 200"),
    ("pause", ORDERS, "a\nb", "wanted as its reason: one line of 1 to 200"),
    ("pause", {}, "why", "not an order"),
    ("pause", {"topic": "orders", "partition": "5"}, "why", "not an order"),
    ("resume", ORDERS, "", "no order here is about orders"),
    ("park", ORDERS, "why", "orders is no message: park wants TOPIC/PARTITION/OFFSET"),
    ("park", {**MESSAGE, "partition": 6}, "why", "no process on this host has orders/6. Who has it, of all hosts: lag"),
    ("park", {**MESSAGE, "offset": 99}, "why", "orders/5/99 is done already"),
    ("park", {**MESSAGE, "offset": 220}, "why", "orders/5/220 is not there yet: the partition ends at 220"),
]


@pytest.mark.parametrize(("command", "place", "reason", "why"), REFUSED)
def test_what_can_not_be_ordered_is_refused_with_its_reason_and_changes_nothing(
    bench: Bench, command: str, place: Dict[str, Any], reason: Any, why: str
) -> None:
    answer = bench.order(command, place, reason)

    assert answer
    assert answer["error"].startswith(why)
    assert bench.places == []


@pytest.mark.parametrize("seconds", ["soon", float("nan"), float("inf"), 10**400, [1]])
def test_a_time_that_is_none_is_refused(bench: Bench, seconds: Any) -> None:
    assert "error" in (bench.order("pause", ORDERS, seconds=seconds) or {})


def test_a_partition_that_is_paused_with_its_topic_is_not_resumed_alone(bench: Bench) -> None:
    bench.order("pause", ORDERS)

    assert bench.order("resume", THREE) == {"error": "orders/5 is paused with orders"}


def test_a_retry_topic_is_paused_and_resumed_with_its_topic(bench: Bench) -> None:
    retries = {"topic": "orders.retry.30s"}
    bench.order("pause", ORDERS)
    alone = bench.order("resume", retries)
    bench.order("pause", retries)
    bench.order("resume", ORDERS)

    assert alone == {"error": "orders.retry.30s is paused with orders"}
    assert bench.places == []


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("orders", ""),
        ("others", "others is none of the topics of this service: bills, ^ord.*"),
        ("^ord.*", "^ord.* is a pattern; wanted: the name of a topic"),
    ],
)
def test_what_a_pattern_fits_is_paused_by_its_name(bench: Bench, topic: str, why: str) -> None:
    bench.settings = replace(bench.settings, topics=("bills", "^ord.*"), retry_topics=())
    bench.start()

    assert (bench.order("pause", {"topic": topic}) or {}).get("error", "") == why


def test_there_is_an_end_to_orders(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.file, "write", lambda _: None)
    for number in range(MOST):
        bench.order("pause", {"topic": "orders", "partition": number})

    assert "error" in (bench.order("pause", ALL) or {})
    assert len((bench.order("pause", THREE) or {})["former"]) == 1


@pytest.mark.parametrize("outcome", ["parked", "done"])
def test_who_has_a_message_parked_is_told_when_a_process_has_done_it_and_the_order_is_over(bench: Bench, outcome: str) -> None:
    early = bench.order("park", MESSAGE)
    bench.puppet.says("consuming", partitions=[reports.PARTITION], parked=[ParkedReport("orders", 5, 120, outcome)])
    bench.heard()

    assert early is None
    assert bench.later() == {"outcome": outcome, "former": [], "problem": ""}
    assert bench.places == []


def test_who_has_a_message_parked_that_can_not_be_yet_is_told_so_after_a_while(bench: Bench) -> None:
    bench.order("park", MESSAGE)
    bench.now += PARK_SECONDS

    assert bench.later() == {"outcome": "", "former": [], "problem": ""}
    assert bench.places == ["orders/5/120"]
