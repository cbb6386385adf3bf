"""Members join and leave without an end: nothing is lost, and no commit is wrong at any moment. `make soak` does it for two
minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from tests.support.storm import weather

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine


def test_in_a_storm_of_members_nothing_is_lost_and_no_commit_is_wrong(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    print(weather(10.0, admin, topic(partitions=8), group, engine))
