"""Task processes for tests, and messages for them."""

from __future__ import annotations

import json
from typing import Any, Optional

from kafka_worker.isolation.task_process import TaskProcess
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Attempt
from tests.unit.fakes import TOPIC, Message, some_settings

HANDLER = "tests.support.task_handlers:handle"


class Runner(TaskProcess):
    """Runs one of the handlers of `task_handlers` by its name."""

    def __init__(self, handler: str = HANDLER, **changes: Any) -> None:
        super().__init__(some_settings(handler=handler, **changes), 3, "handler-1")
        self.partition = Partition(TOPIC, 7)

    def call(self, name: str, argument: Any = None, kill_after: Optional[float] = None) -> Any:
        return self.message(Message(41, b"key", json.dumps([name, argument]).encode(), 7), kill_after)

    def message(self, message: Message, kill_after: Optional[float] = None) -> Any:
        return self.run(message, self.partition, Attempt(2, 0.0), kill_after)
