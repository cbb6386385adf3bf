"""The words of `explain`, `stacks` and `events`."""

from __future__ import annotations

from typing import List, Optional

import pytest

from kafka_worker.shared.configuration import command_line
from kafka_worker.shared.configuration.words.place import EventsRequest, Place


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("orders", Place("orders")),
        ("orders/3", Place("orders", 3)),
        ("a.b-c_d/0/120", Place("a.b-c_d", 0, 120)),
    ],
)
def test_explain_takes_a_topic_a_partition_or_a_message(word: str, place: Place) -> None:
    arguments = command_line.parse(["explain", word, "--json"])

    assert (arguments.command, arguments.place, arguments.faults, str(place)) == ("explain", place, [], word)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["orders[3]"], Place("orders", 3)),
        (["orders[3]@120"], Place("orders", 3, 120)),
        (["orders[3]", "offset", "120"], Place("orders", 3, 120)),
    ],
)
def test_a_place_may_be_typed_as_logs_and_lists_write_it(words: List[str], place: Place) -> None:
    assert command_line.parse(["explain", *words]).place == place


@pytest.mark.parametrize(
    "words",
    [
        [], ["orders", "returns"], ["orders/"], ["orders/x"], ["/3"], ["orders/3/4/5"], ["orders/-1"], ["orders/3/"],
        ["orders[3"], ["orders[3]/1"], ["orders[-1]"], ["orders/\u0663"],
    ],
)  # fmt: skip
def test_what_explain_can_not_mean_is_told_with_what_it_wants(words: List[str]) -> None:
    (fault,) = command_line.parse(["explain", *words]).faults

    assert "explain wants one TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET, as orders/3/120." in fault


@pytest.mark.parametrize(("words", "slot"), [([], None), (["0"], 0), (["12"], 12)])
def test_stacks_takes_a_slot_or_nothing(words: List[str], slot: Optional[int]) -> None:
    arguments = command_line.parse(["stacks", *words])

    assert (arguments.command, arguments.slot, arguments.faults) == ("stacks", slot, [])


@pytest.mark.parametrize("words", [["x"], ["1", "2"], ["-1"]])
def test_what_stacks_can_not_mean_is_told(words: List[str]) -> None:
    assert command_line.parse(["stacks", *words]).faults


@pytest.mark.parametrize(
    ("words", "wanted", "wrong"),
    [
        (["events"], EventsRequest(), ""),
        (["events", "-n", "20", "--follow", "--json"], EventsRequest(20, True), ""),
        (["events", "-n", "all"], EventsRequest(), "-n = 'all': wanted: a whole number from 0 to 9999"),
        (["events", "orders"], EventsRequest(), "orders (the command line) is not a command"),
        (["status", "-n", "20"], EventsRequest(), "-n (the command line) goes with events only"),
        (["--follow"], EventsRequest(), "--follow (the command line) goes with events only"),
    ],
)
def test_events_takes_how_many_and_whether_to_go_on(words: List[str], wanted: EventsRequest, wrong: str) -> None:
    arguments = command_line.parse(words)

    assert arguments.events == wanted
    assert wrong in "".join(arguments.faults)
    assert bool(wrong) == bool(arguments.faults)
