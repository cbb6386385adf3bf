"""A real Apache Kafka for tests: KRaft brokers, each its own controller, on the loopback or a test host."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from tests.support import kafka_jars
from tests.support.kafka_node import Node, PortTakenError
from tests.support.ports import free_ports

PRODUCER_SECONDS = 60.0
PORT_ATTEMPTS = 5


class Cluster:
    """Use it in a `with`, or close it. Nodes are numbered from 1, as Kafka's `node.id`."""

    def __init__(
        self,
        brokers: int = 1,
        folder: Optional[Path] = None,
        properties: Optional[Mapping[str, str]] = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`properties` go to each server.properties. A given `folder` is kept."""
        self._brokers = brokers
        self._host = host
        self._properties = dict(properties or {})
        self._temporary = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="kafka-"))
        self._nodes: List[Node] = []
        self.bootstrap = ""  # host:port of all brokers, once started

    def start(self) -> Cluster:
        """Start all brokers and wait until they answer; on other ports, should somebody take ours first."""
        for attempt in range(PORT_ATTEMPTS):
            if self._started(self._folder / f"attempt-{attempt}"):
                return self
        raise RuntimeError(f"somebody took the brokers' ports {PORT_ATTEMPTS} times")

    def node(self, number: int = 1) -> Node:
        """A broker, to stop, kill, freeze or thaw."""
        return self._nodes[number - 1]

    @property
    def folder(self) -> Path:
        """Of the first node."""
        return self.node().folder

    def mend(self) -> None:
        """All brokers answer again, with what they have stored, whatever was done to them."""
        for node in self._nodes:
            if node.running:
                node.thaw()
            else:
                node.launch()
        for node in self._nodes:
            node.wait_ready()

    def wipe(self) -> None:
        """Another cluster at the same addresses: nothing of what the brokers held is there any more."""
        self._kill_all()
        self._launch(self._folder / uuid.uuid4().hex)

    def close(self) -> None:
        """End all brokers, and remove what they stored unless the folder was given."""
        self._kill_all()
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Cluster:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self if self._nodes else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self, folder: Path) -> bool:
        """False when the ports were taken meanwhile."""
        try:
            self._start(folder)
        except PortTakenError:
            self._kill_all()
            return False
        except BaseException:
            self.close()
            raise
        return True

    def _start(self, folder: Path) -> None:
        ports = free_ports(self._host, 2 * self._brokers)
        self._listeners = [f"{self._host}:{port}" for port in ports[: self._brokers]]
        self._controllers = [f"{self._host}:{port}" for port in ports[self._brokers :]]
        self.bootstrap = ",".join(self._listeners)
        self._launch(folder)

    def _launch(self, folder: Path) -> None:
        # Its first byte is 0, because an id that begins with "-" would be taken for an option.
        cluster_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        self._nodes = [
            Node(folder / str(number), self._configuration(number, self._listeners, self._controllers), cluster_id)
            for number in range(1, self._brokers + 1)
        ]
        for node in self._nodes:  # all at once: none is ready alone
            node.launch()
        for node in self._nodes:
            node.wait_ready(self._brokers)

    def _configuration(self, number: int, listeners: List[str], controllers: List[str]) -> Dict[str, str]:
        listener, controller = listeners[number - 1], controllers[number - 1]
        voters = ",".join(f"{voter}@{address}" for voter, address in enumerate(controllers, 1))
        copies, in_sync = str(self._brokers), str(min(2, self._brokers))
        return {
            "process.roles": "broker,controller",
            "node.id": str(number),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{listener},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{listener}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "5",  # of 50: the first commit of a group comes sooner
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "auto.create.topics.enable": "false",
            "log.cleaner.backoff.ms": "500",  # of 15000: how often it looks for topics to compact
            "group.initial.rebalance.delay.ms": "0",  # of 3000: nobody else is to be waited for
            # Of 45000 and 5000: the pace of groups by the new protocol is the brokers' own.
            "group.consumer.min.session.timeout.ms": "6000",
            "group.consumer.session.timeout.ms": "6000",
            "group.consumer.min.heartbeat.interval.ms": "500",
            "group.consumer.heartbeat.interval.ms": "500",
            # Of 9000 and 2000: a killed broker may register again when its old session is over, after 4.6 s
            # instead of 14. With 1500 it would be 3.2 s, and a busy machine might fence a living broker.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            **self._properties,
        }

    def _kill_all(self) -> None:
        """Their data is thrown away: no need to be polite."""
        for node in self._nodes:
            if node.running:
                node.kill()


class GivenCluster:
    """A broker that is there already, for all pytests of a run, or by TEST_KAFKA_BOOTSTRAP_SERVERS: only to be used."""

    def __init__(self, bootstrap: str, folder: Optional[Path] = None) -> None:
        """`bootstrap`: host:port, several with commas. `folder`: of its node, if that is here."""
        self.bootstrap, self.folder = bootstrap, folder


def stored(folder: Path, topic: str, partition: int) -> Path:
    """The file in which a node keeps the messages of a partition (all of them, as tests send few)."""
    return folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"


def described_group(bootstrap: str, group: str) -> Dict[Tuple[str, int], Tuple[str, str, str]]:
    """What Kafka's own kafka-consumer-groups --describe says: for each partition CURRENT-OFFSET, LOG-END-OFFSET and LAG."""
    said = _tool(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "--bootstrap-server", bootstrap, "--describe", "--group", group,
    )  # fmt: skip
    rows = [line.split() for line in said.splitlines() if line.startswith(group)]
    return {(row[1], int(row[2])): (row[3], row[4], row[5]) for row in rows}


def console_producer(bootstrap: str, topic: str, lines: Iterable[str], *options: str) -> None:
    """Send each line as a message by Kafka's own console producer, as somebody at a terminal would."""
    where = ("--bootstrap-server", bootstrap, "--topic", topic)
    said = _tool("kafka.tools.ConsoleProducer", *where, *options, typed="".join(line + "\n" for line in lines))
    if "ERROR" in said:
        raise RuntimeError(f"the console producer failed:\n{said}")


def _tool(name: str, *words: str, typed: str = "") -> str:
    """What one of Kafka's own commands says."""
    done = subprocess.run(
        kafka_jars.java(name, *words),
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PRODUCER_SECONDS,
        env={"PATH": os.environ["PATH"]},
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed ({done.returncode}):\n{done.stdout}")
    return done.stdout
