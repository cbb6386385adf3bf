"""How commands show things to a person."""

from __future__ import annotations

from typing import Optional

import pytest

from kafka_worker.ops.tables import key_of


@pytest.mark.parametrize(("key", "shown"), [(None, "-"), ("", '""'), ("customer-9", "customer-9")])
def test_a_key_that_is_empty_is_not_shown_as_none(key: Optional[str], shown: str) -> None:
    assert key_of(key) == shown
