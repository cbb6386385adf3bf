"""The words of `explain` and `stacks`."""

from __future__ import annotations

from typing import List, Optional

import pytest

from kafka_worker.shared.configuration import command_line
from kafka_worker.shared.configuration.words.place import Place


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
    "words", [[], ["orders", "returns"], ["orders/"], ["orders/x"], ["/3"], ["orders/3/4/5"], ["orders/-1"], ["orders/3/"]]
)
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
