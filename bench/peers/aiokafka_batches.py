"""aiokafka: `getmany`, a task each behind a semaphore, and a commit when all of the batch are done, as its manual has it for
at-least-once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError

from bench.peers.async_task import AsyncTask
from bench.peers.settings import BOOTSTRAP, GROUP, THREADS, TOPIC
from bench.peers.task import NOTHING

BATCH = 500


async def main() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    task, room = AsyncTask.from_environment(), asyncio.Semaphore(THREADS)
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest"
    )

    async def handle(record: Any) -> None:
        async with room:
            await task.work_async(orjson.loads(record.value))

    await consumer.start()
    while not stopping.is_set():
        batches = await consumer.getmany(timeout_ms=100, max_records=BATCH)
        records = [record for batch in batches.values() for record in batch]
        if records and task.spec == NOTHING:  # nothing to wait for: a loop is the best that one can write
            for record in records:
                task.work(orjson.loads(record.value))
        else:
            await asyncio.gather(*map(handle, records))
        if records:
            with contextlib.suppress(CommitFailedError):  # a rebalance meanwhile: whoever has the partition does it again
                await consumer.commit()
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
