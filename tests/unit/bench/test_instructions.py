from __future__ import annotations

import pytest

from bench.instructions import ORDERINGS, VERSION, counted, recorded

TOLERANCE = 0.05


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_message_takes_no_more_instructions_than_recorded(ordering: str) -> None:
    # Fewer are news, too: record them, so that they do not creep back. `python -m bench.instructions --record`
    expected = recorded()[VERSION][ordering]

    assert counted(ordering) == pytest.approx(expected, rel=TOLERANCE)
