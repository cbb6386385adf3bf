"""The handler of this service in the bench: the task of all sides."""

from __future__ import annotations

from typing import Any, Dict

from bench.peers.task import Task

TASK = Task.from_environment()


def work(message: Dict[str, Any]) -> None:
    """What a peer's program calls, too."""
    TASK.work(message)
