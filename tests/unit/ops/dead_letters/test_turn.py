"""Whose turn it is, by what commands have said in the dead-letter topic."""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Tuple, cast

import pytest

from kafka_worker.ops.dead_letters import turn
from kafka_worker.ops.dead_letters.cluster import Stored
from kafka_worker.ops.dead_letters.letter import DeadLetterRecord
from kafka_worker.ops.dead_letters.plan import Outgoing
from kafka_worker.ops.dead_letters.turn import Turn
from tests.support.eventually import eventually
from tests.unit.ops.dead_letters.letters import DLQ

SLOW_SECONDS = 0.005


class Topic:
    """One partition that has all of it at once."""

    def __init__(self) -> None:
        self.words: List[str] = []
        self.problem = ""
        self.time = 0  # milliseconds, by the broker's clock
        self.saying, self.done = threading.Event(), threading.Event()
        self._records: List[DeadLetterRecord] = []

    def say(self, record: Outgoing) -> None:
        self.saying.set()
        self.done.wait(SLOW_SECONDS)  # between the decision to say it and its place in the topic
        self._add(record)

    def _add(self, record: Outgoing) -> None:
        self._records.append(DeadLetterRecord(DLQ, 0, len(self._records), self.time, *record[2:]))
        self.words.append(record.headers[0][1].decode().partition(" as ")[0])

    def store(self, records: List[Outgoing]) -> List[Stored]:
        if self.problem:
            return [Stored(self.problem)]
        self._add(*records)
        if self.words[-1] == "done":
            self.done.set()
        return [Stored("", 0, len(self._records) - 1)]

    def recent(self, _topic: str, _partition: int, since: int, behind: int) -> Tuple[int, int]:
        return next((each.offset for each in self._records if each.timestamp >= since), behind), behind

    def read(self, _topic: str, ranges: Dict[int, Tuple[int, int]]) -> List[DeadLetterRecord]:
        return self._records[slice(*ranges[0])]


def test_it_is_said_again_and_again_that_one_is_at_work_until_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while of silence another begins; and what comes behind the last word would keep him waiting."""
    monkeypatch.setattr(turn, "SAY_SECONDS", 0.001)
    topic = Topic()
    ours = Turn(cast("Any", topic), DLQ, 0, "anna@host")

    assert ours.begin() == ""
    eventually(lambda: len(topic.words) >= 4, 5, "it is said")
    topic.saying.clear()
    assert topic.saying.wait(5)
    ours.end()
    eventually(lambda: not ours._thread.is_alive(), 5, "nothing more is said")

    assert set(topic.words[:-1]) == {"at work"}
    assert topic.words[-1] == "done"


def test_who_is_refused_says_that_he_is_done_and_who_could_say_nothing_does_not() -> None:
    topic = Topic()
    first, second, mute = (Turn(cast("Any", topic), DLQ, 0, by) for by in ("anna", "bob", "carol"))
    assert first.begin() == ""

    assert "by anna" in second.begin()
    second.end()
    topic.problem = "no right to write"
    assert "could not be said: no right to write" in mute.begin()
    topic.problem = ""
    mute.end()
    first.end()

    assert topic.words == ["at work", "at work", "done", "done"]


def test_where_brokers_write_the_times_it_does_not_matter_what_time_it_is_here() -> None:
    topic = Topic()
    first, second, third = (Turn(cast("Any", topic), DLQ, 0, by) for by in ("anna", "bob", "carol"))
    assert first.begin() == ""
    topic.time = int(1000 * turn.SILENT_SECONDS) - 1
    assert "by anna" in second.begin()
    second.end()
    topic.time += 1

    assert third.begin() == "", "anna has been silent for too long"

    first.end()
    third.end()
