"""What all sides do, and how the bench sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.peers.task import NOTHING, Marks, Task, spec_of
from bench.topics import VALUE_BYTES, Shape, numbered

MESSAGES = 21  # no multiple of eight


@pytest.mark.parametrize(
    ("text", "number", "seconds"), [("5", 3, 0.005), ("0", 3, 0.0), ("5+10000@3", 3, 10.0), ("5+10000@3", 4, 0.005)]
)
def test_how_long_a_task_takes(text: str, number: int, seconds: float) -> None:
    assert spec_of(text).seconds(number) == seconds


def test_tasks_of_different_lengths_are_spread_over_them_and_each_time_the_same() -> None:
    times = [spec_of("0-40").seconds(number) for number in range(1000)]

    assert times == [spec_of("0-40").seconds(number) for number in range(1000)]
    assert 0.0 <= min(times) < 0.001
    assert 0.039 < max(times) <= 0.04
    assert sum(times) / len(times) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("task", ["0", NOTHING])
def test_what_one_process_marks_another_sees(task: str, tmp_path: Path) -> None:
    path = str(tmp_path / "marks")
    seen = Marks.create(path, MESSAGES)
    side = Task(task, Marks(path, MESSAGES))

    for number in (0, 20, 20):
        side.work({"id": number})

    assert seen.count() == 2
    assert [number for number in range(MESSAGES) if seen.done[number]] == [0, 20]
    if task != NOTHING:
        assert (seen.begun[20], seen.done[20], bool(seen.ended[20]), seen.ended[19]) == (2, 2, True, 0)


def test_a_number_tells_the_place_of_its_message_and_keys_stay_in_their_partitions() -> None:
    shape = Shape(1000, partitions=4, hot_every=2)
    messages = list(numbered(shape))
    homes = {(key, partition) for partition, key, _ in messages}

    assert [json.loads(value)["id"] for _, _, value in messages] == list(range(1000))
    assert {len(value) for _, _, value in messages} == {VALUE_BYTES}
    assert len(homes) == len({key for key, _ in homes})
    assert sum(key == b"hot" for _, key, _ in messages) == 1000 / 4 / 2
