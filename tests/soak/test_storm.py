"""The storm of tests/broker, for as long as was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

import pytest

from tests.support.storm import weather

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine


@pytest.mark.timeout(400)
def test_a_storm_of_two_minutes(admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]) -> None:
    print(weather(120.0, admin, topic(partitions=8), group, engine))
