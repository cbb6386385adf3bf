"""The real service on an embedded broker, for an end-to-end test: the command as an operator starts it, with its processes, on
librdkafka's mock cluster (see `ops.first_run.embedded_broker`, also for what that is not)."""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
from typing import Any, Callable, Dict, List, Optional, Set, Union

from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.ops.first_run.embedded_broker import EmbeddedBroker
from kafka_worker.ops.first_run.service import STOP_SECONDS, Service, without_settings
from kafka_worker.shared.foreign.answers import Headers, Send
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.testing.given import environment, importable, settings_of, variables
from kafka_worker.testing.results import Sent

PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.02
SHOWN_LINES = 100  # of the log, when a test fails

#: What differs from the service's own defaults: one process, and no wait that a test need not have. The embedded broker knows
#: no static members, so one that dies is missed only when its session is over.
USUAL: Dict[str, Any] = {
    "processes": 1, "threads": 2, "membership": "dynamic", "commit_interval_seconds": 0.05, "retry_backoff_seconds": 0.05,
    "drain_seconds": 5, "kafka_consumer_fetch_wait_max_ms": 20, "kafka_consumer_session_timeout_ms": 6000,
    "kafka_consumer_heartbeat_interval_ms": 500,
}  # fmt: skip


class TestService:
    """A service, with a broker of its own, for the time of a `with`."""

    __test__ = False  # for pytest, which takes classes of such names for tests

    def __init__(
        self, handler: Union[str, Callable[..., Any], None] = None, *, patience: float = PATIENCE_SECONDS, **settings: Any
    ) -> None:
        """`handler`: "module:function", importable where the test is, or such a function itself; `settings` as those of a
        `TestWorker`; `patience`: the longest that anything is waited for. Raises ConfigurationError, and TypeError for a
        setting that there is not and a function that can't be imported."""
        if handler is not None:
            settings["handler"] = handler if isinstance(handler, str) else importable(handler)
        self._given = {**USUAL, **settings}
        self.settings = settings_of(self._given)
        self._patience = patience
        self._things = contextlib.ExitStack()
        self._address = ""
        self._sent: Dict[TopicPartition, int] = {}  # the highest offset
        self._lines: List[str] = []
        self._runs = False
        self._service: Service
        self._producer: Producer

    def __enter__(self) -> TestService:  # noqa: PYI034 (typing.Self needs Python 3.11)
        """Start broker and service. Nobody waits until that is in its group: what is sent is handled when it is."""
        named = {topic: 1 for topic in self.settings.topics if not topic.startswith("^")}
        with self._things:
            broker = EmbeddedBroker(named, join_delay_ms=0 if self.settings.processes == 1 else 1000)
            self._things.callback(broker.close)
            self._address = broker.address
            folder = self._things.enter_context(tempfile.TemporaryDirectory(prefix="svc-"))
            self._service = Service([], self._environment(folder), os.getcwd(), "testing.command")
            self._runs = True
            self._things.callback(self._stop)
            self._producer = Producer({"bootstrap.servers": self._address, "linger.ms": 0})
            self._things.callback(delattr, self, "_producer")  # before its broker goes, of which it would complain
            self._things = self._things.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop in order, and leave nothing."""
        self._things.close()

    def send(
        self,
        value: Any,
        *,
        key: Union[str, bytes, None] = None,
        headers: Optional[Headers] = None,
        topic: Optional[str] = None,
    ) -> None:
        """Produce a message, with what `TestWorker.run` takes, and wait until the broker has it. The topics that the service
        names have one partition each. Raises AssertionError where the broker does not take it."""
        given = value if isinstance(value, Send) else Send(topic or self.settings.topics[0], value, key, headers)
        refused: List[object] = []

        def stored(problem: object, message: Any) -> None:
            refused.extend([problem] if problem else [])
            place = message.topic(), message.partition()
            self._sent[place] = max(self._sent.get(place, -1), message.offset() or 0)

        self._producer.produce(given.topic, given.value, given.key, headers=list(given.headers), on_delivery=stored)
        if self._producer.flush(self._patience) or refused:
            raise AssertionError(f"the broker does not take a message to {given.topic}: {refused or 'no answer'}")

    def wait_done(self) -> None:
        """Until the offsets of all that was sent are committed: each was done, or became a dead letter."""
        self._until(lambda: all(self._committed(place) > offset for place, offset in self._sent.items()), "all is done")

    def received(self, topic: str, count: int = 1) -> List[Sent]:
        """All that is in this topic, as soon as it is so many at least: results, or dead letters in `<topic>.dlq`."""
        found: List[Sent] = []
        at_end: Set[int] = set()
        consumer = Consumer(
            {"bootstrap.servers": self._address, "group.id": "test", "fetch.wait.max.ms": 20, "enable.partition.eof": True}
        )
        partitions: Set[int] = set()
        try:

            def all_is_here() -> bool:
                if not partitions:  # the topic is made by the first message
                    partitions.update(consumer.list_topics(topic, timeout=self._patience).topics[topic].partitions)
                    consumer.assign([ClientPartition(topic, number, 0) for number in partitions])
                message: Any = consumer.poll(LOOK_SECONDS)
                if message is not None and message.error() is None:
                    found.append(Sent(topic, message.value(), message.key(), message.headers()))
                    at_end.discard(message.partition())
                elif message is not None and message.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    at_end.add(message.partition())
                return len(found) >= count and at_end.issuperset(partitions)

            self._until(all_is_here, f"{count} messages in {topic}")
        finally:
            consumer.close()
        return found

    def status(self) -> List[Dict[str, Any]]:
        """The slots of the service, as `supervisor.py status --json` tells them."""
        return self._service.slots()

    @property
    def log(self) -> str:
        """Everything that the service has written so far, also after its end."""
        if self._runs:
            self._read()
        return "\n".join(self._lines)

    def _read(self) -> None:
        while not self._service.ended and select.select([self._service], [], [], 0)[0]:
            self._lines += self._service.read_lines()

    def _stop(self) -> None:
        """In order, and with the log until its end."""
        self._service.stop()
        deadline = Deadline(STOP_SECONDS)
        while self._service.running and not self._service.ended and not deadline.expired():
            select.select([self._service], [], [], LOOK_SECONDS)
            self._read()
        self._read()
        self._runs = False
        self._service.close()

    def _committed(self, place: TopicPartition) -> int:
        partitions = [each for slot in self.status() if slot["child"] for each in slot["child"]["partitions"]]
        return max([each["committed"] for each in partitions if (each["topic"], each["partition"]) == place], default=-1)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = Deadline(self._patience)
        while not condition():
            log = self.log
            if self._service.ended or deadline.expired():
                why = "the service has ended" if self._service.ended else f"not within {self._patience:g} s"
                raise AssertionError("\n".join([f"{what}: {why}; its log:", *log.splitlines()[-SHOWN_LINES:]]))
            select.select([self._service], [], [], LOOK_SECONDS)

    def _environment(self, folder: str) -> Dict[str, str]:
        """The test's, without its settings of a service."""
        ours = {"KAFKA_BOOTSTRAP_SERVERS": self._address, "KAFKA_GROUP_ID": "test", "RUNTIME_DIRECTORY": folder}
        return {**without_settings(environment()), **ours, **variables(self._given)}
