"""What `pause`, `resume`, `pauses` and `park` say of what the service has answered."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from kafka_worker.ops import asking, orders
from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.snapshot import OrderReport, as_json
from tests.unit import reports

PAUSE = OrderReport("orders", None, None, "the bank is\x1b[2J away", "ops@host", 720.0, 1080.0)


class Service:
    def __init__(self) -> None:
        self.answer: Dict[str, Any] = {}
        self.asked: List[Dict[str, Any]] = []
        self.snapshot = reports.snapshot(reports.slot(), orders=[PAUSE])

    def ask(self, _path: str, request: Dict[str, Any]) -> Dict[str, Any]:
        self.asked.append(request)
        return self.answer


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(asking, "find", lambda _: asking.RunningService("control", as_json(made.snapshot)))
    monkeypatch.setattr(control, "ask", made.ask)
    return made


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = orders.run(load(words, {"KAFKA_GROUP_ID": "workers"}, "no.env"))
    told = capsys.readouterr()
    return f"{code}: {told.out}{told.err}"


PARK = ["park", "orders/5/120", "--reason", "why"]
FORMER = "\nUntil now:\n  paused: orders, by ops@host for 12m00s, 18m00s left: the bank is\\x1b[2J away\n"
SAID = [
    (
        ["pause", "orders", "--reason", "why", "--for", "30m"],
        {"here": 3},
        "0: orders is paused for 30m00s, on this host only",
    ),
    (["pause", "--all", "--reason", "why"], {"here": 0}, "No process here has any of it now"),
    (["pause", "--all", "--reason", "why"], {"here": 3}, "To let it go on: resume --all"),
    (["pause", "orders", "--reason", "why"], {"here": 3, "problem": "the disk is full"}, "the disk is full"),
    (["resume", "orders"], {"ended": ["orders", "orders/5"], "still": ["everything"]}, "orders, orders/5: paused no more"),
    (["resume", "orders"], {"ended": ["orders"], "still": ["everything"]}, "But so is still: everything"),
    (["resume", "--all"], {"ended": ["orders"], "named": ["orders/5/120"]}, "Still to be parked: orders/5/120. To take one"),
    (["pause", "orders", "--reason", "why"], {"here": 3, "former": [PAUSE._asdict()]}, FORMER),
    (["resume", "orders"], {"ended": ["orders"], "former": [PAUSE._asdict()]}, FORMER),
    (PARK, {"outcome": "", "former": [PAUSE._asdict()]}, FORMER),
    (["resume", "orders/5/120"], {"ended": ["orders/5/120"], "still": []}, "0: orders/5/120 is not to be parked any more"),
    (
        ["resume", "orders/5/120"],
        {"ended": ["orders/5/120"], "silent": [3, 4]},
        "But slot 3, 4 has not answered: if it had begun",
    ),
    (["resume", "orders/5/120"], {"error": "orders/5/120 can't be let off any more"}, "1: orders/5/120 can't be let off"),
    (PARK, {"outcome": "parked"}, "0: orders/5/120 is parked: it is a dead letter now"),
    (PARK, {"outcome": "done"}, "1: orders/5/120 had come to its end before"),
    (PARK, {"outcome": ""}, "0: orders/5/120 is kept by name"),
    (PARK, {"error": "orders/5/120 is done\x1b[2J already"}, "1: orders/5/120 is done\\x1b[2J already"),
]


@pytest.mark.parametrize(("words", "answer", "told"), SAID)
def test_what_was_done_is_told_with_what_takes_it_back(
    service: Service, capsys: pytest.CaptureFixture[str], words: List[str], answer: Dict[str, Any], told: str
) -> None:
    service.answer = answer

    assert told in said(capsys, *words)
    assert service.asked[0]["command"] == words[0]


def test_what_is_in_force_is_listed_and_terminals_are_safe(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    listed, as_data = said(capsys, "pauses"), said(capsys, "pauses", "--json")
    service.snapshot = reports.snapshot(reports.slot())

    assert listed.splitlines()[1].split("  ") == [
        "orders", "paused", "ops@host", "12m00s", "18m00s", "the bank is\\x1b[2J away",
    ]  # fmt: skip
    assert '"left": 1080.0' in as_data
    assert said(capsys, "pauses") == "0: Nothing is paused or to be parked on this host\n"


def test_who_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(_: object) -> asking.RunningService:
        raise control.NotRunningError("no supervisor answers")

    monkeypatch.setattr(asking, "find", nobody)

    assert said(capsys, *PARK) == "2: Not running: no supervisor answers\n"
