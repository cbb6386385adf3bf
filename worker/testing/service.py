"""The real service on an embedded broker, for an end-to-end test: the command as an operator starts it, with its processes, on
librdkafka's mock cluster (see `ops.first_run.embedded_broker`, also for what that is not)."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tempfile
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from confluent_kafka import Consumer, Producer, TopicPartition

from kafka_worker import start
from kafka_worker.ops.first_run.embedded_broker import EmbeddedBroker
from kafka_worker.ops.first_run.service import Service, without_settings
from kafka_worker.shared.foreign.answers import Headers, Send
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.testing.given import settings_of, variables
from kafka_worker.testing.results import Sent

PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.02
SHOWN_LINES = 100  # of the log, when a test fails

#: What differs from the service's own defaults: one process, and no wait that a test need not have. The embedded broker knows
#: no static members.
USUAL: Dict[str, Any] = {
    "processes": 1, "threads": 2, "membership": "dynamic", "commit_interval_seconds": 0.05, "retry_backoff_seconds": 0.05,
    "drain_seconds": 5, "kafka_consumer_fetch_wait_max_ms": 20,
}  # fmt: skip


class TestService:
    """A service, with a broker of its own, for the time of a `with`."""

    __test__ = False  # for pytest, which takes classes of such names for tests

    def __init__(self, handler: Optional[str] = None, *, patience: float = PATIENCE_SECONDS, **settings: Any) -> None:
        """`handler`: "module:function", importable where the test is; `settings` as those of a `TestWorker`; `patience`: the
        longest that anything is waited for. Raises ConfigurationError."""
        self._given = {**USUAL, **({"handler": handler} if handler else {}), **settings}
        self.settings = settings_of(self._given)
        self._patience = patience
        self._things = contextlib.ExitStack()
        self._address = ""
        self._sent: Dict[Tuple[str, int], int] = {}  # the highest offset, by topic and partition
        self._lines: List[str] = []
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
            self._service = Service([], self._environment(folder), folder)
            self._things.callback(self._service.close)
            self._producer = Producer({"bootstrap.servers": self._address, "linger.ms": 0})
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
        """Produce a message, with what `TestWorker.run` takes, and wait until the broker has it."""
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
        """What is in this topic, as soon as it is so many: results, or dead letters in `<topic>.dlq`."""
        found: List[Sent] = []
        consumer = Consumer({"bootstrap.servers": self._address, "group.id": "test", "fetch.wait.max.ms": 20})
        try:
            partitions = consumer.list_topics(topic, timeout=self._patience).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])

            def enough() -> bool:
                message = consumer.poll(LOOK_SECONDS)
                if message is not None and message.error() is None:
                    found.append(Sent(topic, message.value(), message.key(), message.headers()))
                return len(found) >= count

            self._until(enough, f"{count} messages in {topic}")
        finally:
            consumer.close()
        return found

    def status(self) -> List[Dict[str, Any]]:
        """The slots of the service, as `supervisor.py status --json` tells them."""
        return self._service.slots()

    @property
    def log(self) -> str:
        """Everything that the service has written so far."""
        while not self._service.ended and select.select([self._service], [], [], 0)[0]:
            self._lines += self._service.read_lines()
        return "\n".join(self._lines)

    def _committed(self, place: Tuple[str, int]) -> int:
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
        """Python's variables and the user's, none of his settings, and where the test finds its modules."""
        ours = {"KAFKA_BOOTSTRAP_SERVERS": self._address, "KAFKA_GROUP_ID": "test", "RUNTIME_DIRECTORY": folder}
        installed = (os.path.realpath(sys.prefix) + os.sep, os.path.realpath(sys.base_prefix) + os.sep)
        path = [os.path.abspath(each) for each in sys.path if not os.path.realpath(each or ".").startswith(installed)]
        return {
            **without_settings(start.ENVIRONMENT), **ours, **variables(self._given), "PYTHONPATH": os.pathsep.join(path),
        }  # fmt: skip
