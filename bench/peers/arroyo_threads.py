"""sentry-arroyo: a `StreamProcessor` with `RunTaskInThreads` and `CommitOffsets`, once per second."""

from __future__ import annotations

import signal
from typing import Any, Mapping

import orjson
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.commit import ONCE_PER_SECOND
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, ProcessingStrategyFactory, RunTaskInThreads
from arroyo.types import Topic

from bench.peers.settings import BOOTSTRAP, GROUP, THREADS, TOPIC
from bench.peers.task import Task

PENDING = 1000  # futures: what its users take, and as much as our own default


class Factory(ProcessingStrategyFactory[KafkaPayload]):  # type: ignore[misc]
    """Made anew at each assignment."""

    def __init__(self) -> None:
        self._task = Task.from_environment()

    def create_with_partitions(self, commit: Any, _partitions: Mapping[Any, int]) -> Any:
        return RunTaskInThreads(
            processing_function=self._work,
            concurrency=THREADS,
            max_pending_futures=PENDING,
            next_step=CommitOffsets(commit),
        )

    def _work(self, message: Any) -> None:
        self._task.work(orjson.loads(message.payload.value))


def main() -> None:
    configuration = build_kafka_consumer_configuration(
        {}, bootstrap_servers=[BOOTSTRAP], group_id=GROUP, auto_offset_reset="earliest"
    )
    processor = StreamProcessor(
        consumer=KafkaConsumer(configuration), topic=Topic(TOPIC), processor_factory=Factory(), commit_policy=ONCE_PER_SECOND
    )
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    processor.run()


if __name__ == "__main__":
    main()
