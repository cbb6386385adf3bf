"""Orders of operators: which of them pauses what, and what a file of them, or a process, is believed to say."""

from __future__ import annotations

import json
from typing import Any, List, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.orders import (
    LARGEST,
    LONGEST_REASON,
    MOST,
    Order,
    Pauses,
    as_rows,
    decoded,
    encoded,
    of_rows,
)

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
NUMBERS = st.integers(0, LARGEST)
PLACES = st.one_of(
    *(
        st.tuples(*parts).map(lambda parts: Place(*parts))
        for parts in ([st.just("")], [NAMES], [NAMES, NUMBERS], [NAMES, NUMBERS, NUMBERS])
    )
)
TIMES = st.floats(0, 4e9)
ORDERS = st.tuples(PLACES, NAMES, NAMES, TIMES, st.one_of(st.none(), TIMES)).map(lambda parts: Order(*parts))
ROW = ["orders", 3, 120, "why", "ops@host", 1.0, None]


def order(*place: Any) -> Order:
    return Order(Place(*place), "why", "ops@host", 1.0)


@given(st.lists(ORDERS, max_size=10))
@settings(max_examples=20)
def test_orders_are_the_same_after_their_way_through_a_file_and_to_a_process(orders: List[Order]) -> None:
    assert decoded(encoded(orders)) == tuple(orders)
    assert of_rows(json.loads(json.dumps(as_rows(orders)))) == tuple(orders)


def row(place: int, value: Any) -> List[Any]:
    return [*ROW[:place], value, *ROW[place + 1 :]]


@pytest.mark.parametrize(
    "rows",
    [
        None, {}, [1], [ROW[:-1]], [[*ROW, 1]], [ROW] * (MOST + 1),
        [row(0, 7)], [row(0, "")], [row(0, "x" * 250)], [row(0, "a\nb")], [row(1, None)], [row(1, -1)], [row(1, True)],
        [row(2, LARGEST + 1)], [row(2, "120")], [row(3, "")], [row(3, " ")], [row(3, "a\x1b[31m")],
        [row(3, "x" * (LONGEST_REASON + 1))], [row(4, None)], [row(5, None)], [row(5, float("nan"))], [row(5, 10**400)],
        [row(6, float("inf"))], [row(6, "soon")],
    ],
)  # fmt: skip
def test_what_is_no_order_is_not_believed(rows: Any) -> None:
    assert of_rows([ROW])
    with pytest.raises(ValueError, match="not a"):
        of_rows(rows)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{}", '{"version": 2, "orders": []}', '{"version": 1}', "[" * 100_000, '{"version": 1, "orders": 7}'],
)
def test_a_file_that_is_not_ours_is_not_believed(text: str) -> None:
    assert decoded('{"version": 1, "orders": []}') == ()
    with pytest.raises(ValueError):
        decoded(text)


@pytest.mark.parametrize(
    ("places", "narrowest"),
    [
        ([], None),
        ([("orders", 2), ("invoices",), ("orders", 3, 120)], None),
        ([("",), ("orders",), ("orders", 3)], ("orders", 3)),
        ([("",), ("orders",)], ("orders",)),
        ([("",)], ("",)),
    ],
)
def test_a_partition_is_paused_by_itself_with_its_topic_or_with_everything(
    places: List[Any], narrowest: Optional[Any]
) -> None:
    found = Pauses(order(*place) for place in places).of("orders", 3)

    assert (found.place if found else None) == (Place(*narrowest) if narrowest else None)


def test_who_pauses_a_topic_means_its_retry_topics_too_and_no_partition_of_them_by_number() -> None:
    assert Pauses([order("orders")]).of("orders.retry.30s", 3, "orders")
    assert not Pauses([order("orders", 3)]).of("orders.retry.30s", 3, "orders")
