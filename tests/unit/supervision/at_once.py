"""Who does at once what the supervisor has done beside its loop."""

from __future__ import annotations

from typing import Callable

from kafka_worker.supervision.aside import Aside


class AtOnce(Aside):
    """In the thread that asks, so that it is done when it was given."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)

    def do(self, job: Callable[[], object]) -> None:
        job()
