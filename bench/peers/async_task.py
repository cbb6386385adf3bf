"""The task in an event loop. A file of its own: whose tasks are no coroutines would import asyncio for nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Dict

from bench.peers.task import NOTHING, Task


class AsyncTask(Task):
    """What is to be done with a decoded message."""

    async def work_async(self, message: Dict[str, Any]) -> None:
        """As `work` does it in a thread."""
        if self.spec == NOTHING:
            self.work(message)
            return
        number = message["id"]
        seconds = self.begin(number)
        if seconds:
            await asyncio.sleep(seconds)
        self.end(number)
