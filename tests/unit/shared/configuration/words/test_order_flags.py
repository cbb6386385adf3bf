"""The words of `pause`, `resume`, `pauses` and `park`: what they mean, and what is said of wrong ones."""

from __future__ import annotations

from typing import List

import pytest

from kafka_worker.shared.configuration import command_line
from kafka_worker.shared.configuration.words.order_flags import OrderRequest
from kafka_worker.shared.configuration.words.place import Place


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (["pause", "orders", "--reason", "why"], OrderRequest(Place("orders"), "why")),
        (["pause", "orders/3", "--reason", "why", "--for", "30m"], OrderRequest(Place("orders", 3), "why", 1800)),
        (["--reason=why", "pause", "--all"], OrderRequest(Place(""), "why")),
        (["resume", "orders/3"], OrderRequest(Place("orders", 3))),
        (["resume", "orders/3/120"], OrderRequest(Place("orders", 3, 120))),
        (["resume", "--all"], OrderRequest(Place(""))),
        (["pauses", "--json"], OrderRequest(Place(""))),
        (["park", "orders/3/120", "--reason", "why"], OrderRequest(Place("orders", 3, 120), "why")),
    ],
)
def test_what_is_meant(words: List[str], request_: OrderRequest) -> None:
    arguments = command_line.parse(words)

    assert (arguments.order, arguments.faults) == (request_, [])


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("pause --reason why", "pause wants one TOPIC or TOPIC/PARTITION, as orders/3, or --all"),
        ("pause orders --all --reason why", "pause wants one TOPIC or TOPIC/PARTITION, as orders/3, or --all"),
        ("pause orders/3/120 --reason why", "pause wants one TOPIC or TOPIC/PARTITION, as orders/3, or --all"),
        ("pause orders returns --reason why", "pause wants one TOPIC or TOPIC/PARTITION, as orders/3, or --all"),
        ("pause orders", "pause wants --reason TEXT"),
        (
            "pause orders --reason " + "x" * 201,
            "--reason = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxx …143 characters… xxx",
        ),
        ("pause orders --reason two\nlines", "--reason = 'two\\nlines' (the command line): wanted: one line of 1 to 200"),
        ("park orders/3/120 --reason \udcff", "--reason = '\\udcff' (the command line): wanted: one line of 1 to 200"),
        ("pause orders --reason why --for ever", "--for = 'ever' (the command line): wanted: how long"),
        ("pause orders --reason why --for 0s", "--for = '0s' (the command line): wanted: how long"),
        ("resume orders --reason why", "--reason (the command line) goes with pause and park only"),
        ("park orders/3 --reason why", "park wants one TOPIC/PARTITION/OFFSET"),
        ("park --all --reason why", "--all (the command line) goes with dead-letters, pause, resume only"),
        ("park orders/3/120", "park wants --reason TEXT"),
        ("park orders/3/120 --reason why --for 1h", "--for (the command line) goes with pause only"),
        ("pauses orders", "orders (the command line): pauses lists all there are"),
        ("status --reason why", "--reason (the command line) goes with pause and park only"),
        (
            "pause orders --reason why --json",
            "--json (the command line) goes with status, lag, check, explain, stacks, events, pauses, dead-letters only",
        ),
    ],
)
def test_what_is_wrong_is_said(words: str, fault: str) -> None:
    first = command_line.parse(words.split(" ")).faults[0]

    assert first.startswith(fault)
