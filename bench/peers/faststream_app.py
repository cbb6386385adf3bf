"""FastStream over aiokafka: `faststream run … --workers N`, acknowledged after the handler, so many consumers at once in each
process (it refuses concurrency within a partition where messages are to be done at least once)."""

from __future__ import annotations

import logging
from typing import Any, Dict

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from bench.peers.async_task import AsyncTask
from bench.peers.settings import BOOTSTRAP, CONSUMERS, GROUP, TOPIC
from bench.peers.task import NOTHING

task = AsyncTask.from_environment()
broker = KafkaBroker(BOOTSTRAP, logger=None)
app = FastStream(broker, logger=logging.getLogger("faststream"))


@broker.subscriber(  # type: ignore[untyped-decorator]
    TOPIC,
    group_id=GROUP,
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.ACK,
    max_workers=CONSUMERS,  # each is a member of the group
)
async def handle(message: Dict[str, Any]) -> None:
    if task.spec == NOTHING:
        task.work(message)
    else:
        await task.work_async(message)
