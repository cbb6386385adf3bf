"""The handler of this service in the bench: the task of all sides."""

from __future__ import annotations

from bench.peers.task import Task

work = Task.from_environment().work  # what a peer's program calls, too
