"""A Kafka broker with nothing to install: the mock cluster that librdkafka ships for its own tests, reachable
over TCP, in a process of its own. It is for a first run and for trying things out, and is no Kafka: it keeps
everything in memory, at most 5 MB of a partition; it knows no static members, so a member that dies is missed
only when its session times out; it never wakes a waiting fetch.

Its process is given how long a new group waits for more members, and TOPIC:PARTITIONS for each topic; it prints the
broker's address and serves until its standard input ends, so it ends with whoever started it, however that one ends.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
from typing import IO, Dict, List, Sequence, Tuple, cast

import confluent_kafka.cimpl

from kafka_worker import start
from kafka_worker.shared.exit_codes import ExitCode

# How long a new group waits for more members. The mock's own 3 s would be most of a first run's start; with
# none at all each member that comes would cause a rebalance, and here those wait for a session timeout.
JOIN_DELAY_MS = 1000
SEND_SECONDS = 20.0  # for all messages to be acknowledged
NOWHERE = -1  # the partition of a message that is not acknowledged


class EmbeddedBrokerError(Exception):
    """The embedded broker can't be used; the text says why and what to do instead."""


class MockCluster:
    """One mock broker in this process, driven by functions that the Python client does not offer, but brings
    along in the library inside it.
    """

    def __init__(self, join_delay_ms: int = JOIN_DELAY_MS) -> None:
        """Serve on a free port of the loopback interface. `join_delay_ms`: how long a new group waits for more members.
        Raises EmbeddedBrokerError where the library has none."""
        # A symbol is also looked up in what a library was linked with: no need to find librdkafka's own file.
        self._library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
        try:
            self._declare()
        except AttributeError as problem:
            raise EmbeddedBrokerError(
                f"This confluent_kafka comes without librdkafka's mock cluster ({problem}). Install its "
                f"wheel from PyPI, or set KAFKA_BOOTSTRAP_SERVERS to a Kafka cluster."
            ) from problem
        self._client = self._new_client()
        self._cluster = self._library.rd_kafka_handle_mock_cluster(self._client)
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, join_delay_ms)

    def address(self) -> str:
        """What to set `bootstrap.servers` to."""
        return str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def create_topic(self, name: str, partitions: int) -> None:
        """A topic that nobody creates comes into being when first asked for, with four partitions. Raises
        EmbeddedBrokerError."""
        create = self._library.rd_kafka_mock_topic_create
        # The mock itself would take a topic without partitions.
        if partitions < 1 or create(self._cluster, name.encode(), partitions, 1):
            raise EmbeddedBrokerError(
                f"The embedded broker refuses the topic {name} with {partitions} partitions. "
                f"Write NAME:PARTITIONS, each name once, and at least one partition."
            )

    def close(self) -> None:
        """Cut all connections, forget everything."""
        self._library.rd_kafka_destroy(self._client)

    def _declare(self) -> None:
        """Argument and result types; without them ctypes would cut pointers to 32 bits."""
        pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
        functions = {
            "rd_kafka_conf_new": (pointer, []),
            "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
            "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
            "rd_kafka_destroy": (None, [pointer]),
            "rd_kafka_handle_mock_cluster": (pointer, [pointer]),
            "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
            "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
            "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        }
        for name, (result, arguments) in functions.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def _new_client(self) -> int:
        """The producer that owns the cluster; it never produces."""
        reason = ctypes.create_string_buffer(512)
        properties = self._library.rd_kafka_conf_new()
        for name, value in ((b"test.mock.num.brokers", b"1"), (b"log_level", b"0")):
            self._library.rd_kafka_conf_set(properties, name, value, reason, len(reason))
        client = self._library.rd_kafka_new(0, properties, reason, len(reason))  # 0: a producer
        if not client:
            raise EmbeddedBrokerError(f"librdkafka's mock cluster does not start: {reason.value.decode()}")
        return int(client)


class EmbeddedBroker:
    """A mock cluster in a process of its own, seen from the process that started it."""

    def __init__(self, topics: Dict[str, int], join_delay_ms: int = JOIN_DELAY_MS) -> None:
        """Start it with these topics: number of partitions by name. Raises EmbeddedBrokerError."""
        words = [str(join_delay_ms), *(f"{name}:{count}" for name, count in topics.items())]
        self._process = subprocess.Popen(
            start.command("ops.first_run.embedded_broker", *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal must not take the broker from under the service
        )
        self._pipes = [cast("IO[bytes]", each) for each in (self._process.stdin, self._process.stdout)]
        self.address = self._pipes[1].readline().decode().strip()
        if not self.address:
            self.close()
            raise EmbeddedBrokerError("The embedded broker does not serve; its own words are above.")

    def close(self) -> None:
        """End the process."""
        for pipe in self._pipes:
            pipe.close()
        self._process.wait()


def send(address: str, topic: str, messages: Sequence[Tuple[str, bytes]]) -> List[int]:
    """Produce messages (key, value) and wait until all are acknowledged; the partition of each, in order. Raises
    EmbeddedBrokerError."""
    partitions = [NOWHERE] * len(messages)

    def acknowledged(number: int, error: object, message: confluent_kafka.Message) -> None:
        if error is None:
            partitions[number] = int(message.partition() or 0)

    producer = confluent_kafka.Producer({"bootstrap.servers": address, "acks": "all"})
    for number, (key, value) in enumerate(messages):
        producer.produce(topic, key=key, value=value, on_delivery=functools.partial(acknowledged, number))
    producer.flush(SEND_SECONDS)
    if NOWHERE in partitions:
        raise EmbeddedBrokerError(
            f"{partitions.count(NOWHERE)} of {len(messages)} messages were not acknowledged within "
            f"{SEND_SECONDS:.0f} s. Try again on a machine less busy."
        )
    return partitions


def main() -> int:
    """Serve until standard input ends: a group's delay in milliseconds, then topics, each written as NAME:PARTITIONS."""
    try:
        serve(sys.argv[2:], int(sys.argv[1]))
    except EmbeddedBrokerError as problem:
        sys.exit(str(problem))
    return ExitCode.OK


def serve(topics: Sequence[str], join_delay_ms: int) -> None:
    """Serve these topics until standard input ends. Raises EmbeddedBrokerError."""
    cluster = MockCluster(join_delay_ms)
    for topic in topics:
        name, _, partitions = topic.rpartition(":")
        cluster.create_topic(name, int(partitions) if partitions.isdigit() else 0)
    print(cluster.address(), flush=True)
    sys.stdin.buffer.read()
    cluster.close()
