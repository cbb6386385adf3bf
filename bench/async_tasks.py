"""The handler of this service in the bench that is a coroutine, as the task of asyncio peers is."""

from __future__ import annotations

from typing import Any, Dict

from bench.peers.async_task import AsyncTask

TASK = AsyncTask.from_environment()


async def work(message: Dict[str, Any]) -> None:
    """What a peer's program calls, too."""
    await TASK.work_async(message)
