"""How far a group is, from what Kafka says of it."""

from __future__ import annotations

from typing import List, Optional

import pytest

from kafka_worker.ops.lag.rows import Member, Offsets, Row, first_undone, oldest, rows, total, uneven

T = "orders"
OFFSETS = Offsets(
    committed={(T, 0): 5, (T, 1): -1, (T, 2): 2, (T, 3): 7},
    beginnings={(T, 0): 0, (T, 1): 10, (T, 2): 4, (T, 3): 0},
    ends={(T, 0): 9, (T, 1): 12, (T, 2): 6},
)


@pytest.mark.parametrize(("reset", "first"), [("earliest", 10), ("latest", 12), ("largest", 12)])
def test_a_group_goes_on_where_it_has_committed_else_where_it_is_sent_and_never_at_what_is_gone(
    reset: str, first: int
) -> None:
    assert first_undone(OFFSETS, reset) == {(T, 0): 5, (T, 1): first, (T, 2): 4, (T, 3): 7}


def test_a_row_says_what_is_known_and_that_something_is_not() -> None:
    undone = first_undone(OFFSETS, "earliest")
    produced = {(T, 0): 940.0, (T, 1): None, (T, 2): 1005.0}

    found = rows(OFFSETS, undone, produced, [Member("host-1", "", "10.0.0.7", ((T, 0),))], now=1000.0)

    assert [row.lag for row in found] == [4, 2, 2, -1]
    assert [row.lag_seconds for row in found] == [60.0, 0.0, 0.0, -1]  # a producer's clock may be ahead
    assert [row.end for row in found] == [9, 12, 6, -1]
    assert [row.gone for row in found] == [0, 0, 2, 0]
    assert [row.member for row in found] == ["host-1", "", "", ""]
    assert total(found) == 8
    assert oldest(found) == 60.0


@pytest.mark.parametrize(
    ("lags", "most"),
    [([900, 10, 20, 0], 0), ([10, 900, -1], 1), ([250, 260, 240], None), ([90, 1, 1], None), ([900, 10], None), ([], None)],
)
def test_a_partition_that_has_most_of_the_lag_is_found_where_there_are_others_and_much_to_do(
    lags: List[int], most: Optional[int]
) -> None:
    found = uneven([Row(T, number, 0, lag, lag, 0.0, "", "") for number, lag in enumerate(lags)])

    assert (found.partition if found else None) == most
