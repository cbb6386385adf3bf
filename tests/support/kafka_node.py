"""One broker: configured and formatted once, then started, stopped, killed and frozen as a test likes."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Mapping, Optional

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support import kafka_jars
from tests.support.eventually import eventually
from tests.support.processes import stands_still

if TYPE_CHECKING:
    from pathlib import Path

READY_SECONDS = 60.0  # 4 s on an idle machine, ten times that on a busy one
STOP_SECONDS = 60.0  # SIGTERM takes 0.5 s on an idle machine, and a broker of three waits for the others
FREEZE_SECONDS = 10.0

LOG4J = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


class PortTakenError(RuntimeError):
    """Somebody was quicker: the cluster needs other ports."""


class Node:
    """A broker that is its own controller. Its data outlives its process."""

    def __init__(self, folder: Path, properties: Mapping[str, str], cluster_id: str) -> None:
        """Write the configuration and format the storage; nothing runs yet."""
        folder.mkdir(parents=True)
        self.folder = folder
        self._number = int(properties["node.id"])
        self.address = properties["advertised.listeners"].split(",")[0].split("//")[1]  # host:port
        self._process: Optional[subprocess.Popen[bytes]] = None
        lines = {**properties, "log.dirs": str(folder / "data")}
        self._properties = folder / "server.properties"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        (folder / "log4j.properties").write_text(LOG4J)
        self._logging = f"-Dlog4j.configuration=file:{folder / 'log4j.properties'}"
        formatter = kafka_jars.java(
            "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties),
            options=[*kafka_jars.QUICK, self._logging],
        )  # fmt: skip
        with open(folder / "output", "wb") as output:
            if subprocess.run(formatter, stdout=output, stderr=output, check=False).returncode:
                raise RuntimeError(f"Kafka's storage was not formatted:\n{self.output()}")

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process, "this broker was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Frozen counts as running."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> float:
        """Start it, on the data it left if it ran before; seconds until it answered."""
        began = time.monotonic()
        self.launch()
        self.wait_ready()
        return time.monotonic() - began

    def launch(self) -> None:
        """Start the process; it is ready some seconds later.

        The kernel kills it when the thread that launched it ends: no broker outlives a killed test run.
        """
        assert not self.running, "this broker runs already"
        broker = kafka_jars.java(
            "kafka.Kafka", str(self._properties),
            options=[*kafka_jars.QUICK, "-Xms96m", "-Xmx384m", self._logging],
        )  # fmt: skip
        with open(self.folder / "output", "wb") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *broker],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops its brokers
            )

    def output(self) -> str:
        """What the process has written, the end of it."""
        return (self.folder / "output").read_text(errors="replace")[-5000:]

    def wait_ready(self, brokers: int = 1) -> None:
        """Until the listener accepts, and a request is answered by a broker that counts itself in, and so many in all: clients
        forget those of which they are not told, and what they have asked them."""
        eventually(self._accepts, READY_SECONDS, f"the broker at {self.address} listens")
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        eventually(lambda: self._answers(client, brokers), READY_SECONDS, f"the broker at {self.address} answers")

    def _accepts(self) -> bool:
        self._check()
        host, port = self.address.rsplit(":", 1)
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
            return True
        return False

    def _answers(self, client: AdminClient, brokers: int) -> bool:
        self._check()
        try:
            found = client.list_topics(timeout=2.0).brokers
            return self._number in found and len(found) >= brokers
        except KafkaException:  # not yet
            return False

    def _check(self) -> None:
        """Raise when the process has ended by itself: PortTakenError where other ports would help."""
        if self.running:
            return
        output = self.output()
        if "Address already in use" in output:
            raise PortTakenError(output)
        raise RuntimeError(f"the Kafka broker ended while it started:\n{output}")

    def stop(self) -> None:
        """In order, as an operator would: it hands over and closes its files."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """At once, as a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, from when this returns: its threads stop one after the other."""
        self._signal(signal.SIGSTOP)
        eventually(lambda: stands_still(self.pid), FREEZE_SECONDS, "each thread of the broker stands still")

    def thaw(self) -> None:
        """Go on where it was frozen."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process, "this broker was not started"
        self._process.send_signal(number)

    def _end(self, number: int) -> None:
        self._signal(number)
        assert self._process
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
