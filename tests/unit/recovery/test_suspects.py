from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.partitions.task import TaskId
from kafka_worker.recovery.suspects import (
    LONGEST_HOW,
    REMEMBERED_SECONDS,
    Suspects,
    Suspicion,
    blamed,
    decoded,
    encoded,
    remembered,
    without,
)

NOW = 1_700_000_000.0
HERE: TaskId = ("topic", 3, 100)

places = st.tuples(st.text(max_size=5), st.integers(0, 3), st.integers(0, 5))
times = st.floats(NOW - 2 * REMEMBERED_SECONDS, NOW + 10)
suspicions = st.builds(Suspicion, st.integers(1, 5), times, times, st.text(max_size=LONGEST_HOW))
memories = st.dictionaries(places, suspicions, max_size=20)


def test_each_death_counts_and_the_first_time_is_kept() -> None:
    once = blamed({}, [HERE], "killed by SIGSEGV", NOW)
    twice = blamed(once, [HERE, ("topic", 3, 101)], "exit 42", NOW + 5)

    assert once == {HERE: Suspicion(1, NOW, NOW, "killed by SIGSEGV")}
    assert twice[HERE] == Suspicion(2, NOW, NOW + 5, "exit 42")
    assert twice["topic", 3, 101].deaths == 1


def test_what_died_last_three_days_ago_is_forgotten() -> None:
    old, young = Suspicion(1, NOW, NOW - REMEMBERED_SECONDS, ""), Suspicion(1, 0.0, NOW - REMEMBERED_SECONDS + 1, "")

    assert remembered({HERE: old, ("topic", 0, 0): young}, NOW) == {("topic", 0, 0): young}


def test_a_death_after_a_long_peace_is_the_first_one() -> None:
    old = remembered(blamed({}, [HERE], "", NOW), NOW + REMEMBERED_SECONDS)

    assert blamed(old, [HERE], "", NOW + REMEMBERED_SECONDS)[HERE].deaths == 1


def test_of_too_many_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafka_worker.recovery.suspects.MOST", 50)
    crowd: Suspects = {("topic", 0, number): Suspicion(1, NOW, NOW + number, "") for number in range(50)}

    after = blamed(crowd, [HERE], "", NOW + 50)

    assert len(after) == 50
    assert HERE in after
    assert ("topic", 0, 0) not in after


def test_a_long_story_of_a_death_is_shortened() -> None:
    assert len(blamed({}, [HERE], "x" * 10_000, NOW)[HERE].how) == LONGEST_HOW


@given(memories)
def test_as_text_nothing_is_lost(suspects: Suspects) -> None:
    assert decoded(encoded(suspects)) == suspects


@given(memories, st.lists(st.tuples(st.booleans(), places), max_size=20))
def test_the_count_is_that_of_the_deaths_since_it_was_last_forgotten(
    before: Suspects, story: List[Tuple[bool, TaskId]]
) -> None:
    suspects = remembered(before, NOW)
    expected: Dict[TaskId, int] = {place: each.deaths for place, each in suspects.items()}
    for died, place in story:
        suspects = blamed(suspects, [place], "", NOW) if died else without(suspects, [place])
        expected[place] = expected.get(place, 0) + 1 if died else 0

    assert {place: each.deaths for place, each in suspects.items()} == {p: count for p, count in expected.items() if count}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda any_: json.dumps({"version": 1, "suspects": [any_]})))
def test_whatever_stands_there_is_suspects_or_one_kind_of_error(text: str) -> None:
    try:
        suspects = decoded(text)
    except ValueError:
        return
    assert decoded(encoded(suspects)) == suspects


@pytest.mark.parametrize(
    "row",
    [
        ["topic", 3, 100, 1, NOW, NOW], [3, 3, 100, 1, NOW, NOW, ""], ["topic", 3.5, 100, 1, NOW, NOW, ""],
        ["topic", 3, 100, True, NOW, NOW, ""], ["topic", 3, 100, 1, NOW, float("inf"), ""],
        ["topic", 3, 100, 1, NOW, NOW, None],
    ],
)  # fmt: skip
def test_a_row_of_another_form_is_refused(row: List[Any]) -> None:
    with pytest.raises(ValueError):
        decoded(json.dumps({"version": 1, "suspects": [row]}))
