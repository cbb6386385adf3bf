"""The witnesses of the process tests: an oracle that could not see a fault would make every one of them worthless."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, List

import pytest

from tests.support import handlers
from tests.support.eventually import eventually
from tests.support.ledger import Entry, Ledger
from tests.support.messages import Sent, message, messages
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

SENT = [message("a", "k", 0), message("b", "k", 1), message("c", "other", 0)]


class Told(Ledger):
    """A ledger whose entries the test gives: "start a 1.0" is the task a, started at 1.0 s, by process 1."""

    def __init__(self, *events: str, pid: int = 1) -> None:
        """Keys and partitions are those of SENT; the partition of key k is 0, of other 1."""
        super().__init__("")
        keys = {each.id: each.key for each in SENT}
        for event, name, at in (line.split() for line in events):
            key = keys[name]
            self._entries.append(Entry(event, name, key, int(key != "k"), 0, 1, pid, "thread", float(at)))

    def entries(self) -> List[Entry]:
        return self._entries


def test_what_never_ended_is_missing() -> None:
    oracle = Oracle(Told("start a 1", "end a 2", "start b 3"), SENT)

    assert oracle.missing() == ["b", "c"]


def test_what_ended_twice_was_run_twice_and_what_was_cut_off_was_only_started_twice() -> None:
    oracle = Oracle(Told("start a 1", "end a 2", "start a 3", "end a 4", "start b 5", "start b 6", "end b 7"), SENT)

    assert oracle.run_twice() == ["a"]
    assert oracle.started_twice() == ["a", "b"]


@pytest.mark.parametrize(
    ("events", "violations"),
    [
        pytest.param(["start a 1", "end a 2", "start b 3", "end b 4"], 0, id="in order"),
        pytest.param(["start b 1", "end b 2", "start a 3", "end a 4"], 1, id="the second before the first"),
        pytest.param(["start a 1", "start b 2", "end a 3", "end b 4"], 1, id="both at once"),
        pytest.param(["start a 1", "start c 2", "end c 3", "end a 4"], 0, id="another key at once"),
        pytest.param(["start a 1", "end a 2", "start b 3", "end b 4", "start a 5", "end a 6"], 0, id="the first run again"),
    ],
)
def test_order_is_judged_per_key(events: List[str], violations: int) -> None:
    oracle = Oracle(Told(*events), SENT)

    assert len(oracle.order_violations_per_key()) == violations


def test_the_gap_is_the_longest_silence_of_any_partition() -> None:
    oracle = Oracle(Told("start a 1", "start c 2", "start b 4"), SENT)

    assert oracle.gap([0], since=0) == 3
    assert oracle.gap([0, 1], since=0, until=9) == 7
    assert oracle.gap([2], since=0, until=9) == 9
    assert oracle.first_after(0, 1.5) == 4
    assert oracle.first_after(1, 2.5) is None


def test_the_ledger_reads_what_handlers_wrote_also_while_they_write(tmp_path: Path) -> None:
    reader, writer = Ledger(str(tmp_path / "ledger")), Ledger(str(tmp_path / "ledger"))

    assert reader.done() == []
    writer.write("start", "a", "k", partition=3, offset=7, attempt=2)
    assert [(entry.id, entry.key, entry.partition, entry.offset) for entry in reader.running()] == [("a", "k", 3, 7)]
    writer.write("end", "a", "k", partition=3, offset=7, attempt=2)
    with open(writer.path, "a") as file:
        file.write('{"event":"sta')  # half a line

    assert reader.done() == ["a"]
    assert reader.running() == []
    assert {entry.pid for entry in reader.entries()} == {os.getpid()}


def test_a_handler_told_to_fail_once_fails_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    payload = {"id": "a", "trouble": "raise", "times": 1}

    with pytest.raises(handlers.TroubleError):
        handlers.plain(payload)
    handlers.plain(payload)

    events = [entry.event for entry in Ledger(str(tmp_path / "ledger")).entries()]
    assert events == ["start", "fail", "start", "end"]


def test_messages_are_numbered_per_key_and_the_same_for_the_same_seed() -> None:
    sent = messages(50, keys=3)

    assert sent == messages(50, keys=3)
    assert sent != messages(50, keys=3, seed=2)
    assert len({each.id for each in sent}) == 50
    assert all(each.sequence == _earlier_of_its_key(sent, each) for each in sent)
    assert json.loads(sent[0].row[1] or b"")["id"] == sent[0].id


def _earlier_of_its_key(sent: List[Sent], this: Sent) -> int:
    return sum(each.key == this.key for each in sent[: sent.index(this)])


def test_a_condition_that_never_holds_fails_with_its_name_and_last_value() -> None:
    with pytest.raises(AssertionError, match=r"not within 0.03 s: pigs fly \(last seen: \[\]\)"):
        eventually(list, 0.03, "pigs fly")
