"""Work that was done, counted over processes that come and go."""

from __future__ import annotations

from typing import Dict, List, Tuple, Union

from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.shared.ipc.snapshot import WorkCount
from kafka_worker.shared.ipc.work import MOST_KINDS, OTHER, Work, WorkOfAll

PLACES = [(topic, kind) for topic in ("orders", "returns") for kind in ("done", "dead_letter")]
PIDS = st.sampled_from([11, 12, 13])
Counts = Dict[Tuple[str, str], float]
Event = Union[int, Tuple[int, List[WorkCount]]]


def counts(of: WorkOfAll) -> Counts:
    return {(each.topic, each.kind): each.count for each in of.counts()}


def reported(numbers: List[int]) -> List[WorkCount]:
    return [WorkCount("tasks", *place, number) for place, number in zip(PLACES, numbers)]


REPORTS = st.lists(st.integers(0, 50), max_size=len(PLACES)).map(reported)


@given(st.lists(st.one_of(PIDS, st.tuples(PIDS, REPORTS))))
def test_sums_never_go_backward_and_are_those_of_all_that_was_told(events: List[Event]) -> None:
    """Whatever the order: a number alone is the end of that process. A report may also say less than the one before."""
    work = WorkOfAll()
    most: Dict[int, Counts] = {}
    ended: List[Counts] = []
    for event in events:
        before = counts(work)
        if isinstance(event, int):
            work.end(event)
            ended.append(most.pop(event, {}))
        else:
            pid, report = event
            work.hear(pid, report)
            mine = most.setdefault(pid, {})
            for each in report:
                mine[each.topic, each.kind] = max(mine.get((each.topic, each.kind), 0), each.count)
        after = counts(work)
        assert all(after[place] >= count for place, count in before.items())

    lives = [*ended, *most.values()]
    sums = {place: sum(life.get(place, 0) for life in lives) for place in PLACES}
    assert counts(work) == {place: total for place, total in sums.items() if total}


@given(st.lists(st.integers(0, 2 * MOST_KINDS)))
def test_kinds_are_bounded_and_what_is_beyond_is_counted_as_other(kinds: List[int]) -> None:
    work = Work()

    for kind in kinds:
        work.add("attempts_failed", "orders", f"Error{kind}")

    told = work.counts()
    assert sum(each.count for each in told) == len(kinds)
    assert len({each.kind for each in told} - {OTHER}) == min(MOST_KINDS, len(set(kinds)))
