"""Something of a partition can't be read: nothing behind it is taken, it is tried again, and what can be read is done once."""

from __future__ import annotations

from typing import Any, List

import pytest

from kafka_worker.ownership import reading
from kafka_worker.shared.exit_codes import ExitCode
from tests.unit.fakes import Message, ScriptedGroup, Step
from tests.unit.loops import OURS, Bench, assign, deliver, stop, until


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One that tries again when the test says so."""
    monkeypatch.setattr(reading, "UNREADABLE_SECONDS", 3600.0)
    return Bench(monkeypatch)


def unreadable(offset: int, error: str = "_BAD_MSG") -> Step:
    def step(group: ScriptedGroup) -> List[Message]:
        group.listener.on_unreadable(OURS, offset, error, "it is damaged")
        return []

    return step


def end(offset: int) -> Step:
    return lambda group: group.listener.on_end(OURS, offset) or []  # type: ignore[func-returns-value]


def held(bench: Bench, said: List[Any]) -> Step:
    """Note what is told of the partition."""

    def step(_group: ScriptedGroup) -> List[Message]:
        said.append([each.held for each in bench.loop.report.partitions])
        return []

    return step


def test_what_comes_behind_what_can_not_be_read_is_dropped_never_committed_and_done_when_it_can_be_read(
    bench: Bench,
) -> None:
    said: List[Any] = []

    def try_again(_group: ScriptedGroup) -> List[Message]:
        (partition,) = bench.loop._ownership.assignment
        partition.flow.try_at = 0.0
        return []

    code = bench.play(
        assign(), deliver(0, 1, 2), unreadable(3), deliver(6, 7), end(8), until(lambda: bench.done >= {0, 1, 2}),
        held(bench, said), try_again, held(bench, said), deliver(3, 4, 5, 6), held(bench, said),
        until(lambda: bench.done >= {3, 4, 5, 6}), stop(),
    )  # fmt: skip

    assert code is ExitCode.OK
    assert sorted(bench.calls) == [0, 1, 2, 3, 4, 5, 6]
    assert bench.group.rewound == [3]
    assert "offset 3 can't be read: it is damaged" in said[0][0]
    assert said[1] == said[0], "while it is tried again it is told all the same"
    assert said[2] == [""]
    assert bench.committed == 7


def test_what_stays_unreadable_holds_the_commit_before_it(bench: Bench) -> None:
    code = bench.play(
        assign(), deliver(0), unreadable(1), deliver(5, 6), unreadable(1), end(7), deliver(0), unreadable(33_554_433),
        until(lambda: 0 in bench.done), stop(),
    )  # fmt: skip

    assert code is ExitCode.OK
    assert bench.calls == [0]
    assert bench.committed == 1


def test_where_to_begin_is_the_operators_to_say_and_not_tried(bench: Bench) -> None:
    said: List[Any] = []

    bench.play(assign(), unreadable(-1, "_AUTO_OFFSET_RESET"), held(bench, said), held(bench, said), deliver(5), stop())

    assert bench.group.rewound == []
    assert "the group has no offset there" in said[1][0]
    assert (bench.calls, bench.committed) == ([], -1)
