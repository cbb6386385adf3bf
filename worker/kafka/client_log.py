"""What Kafka's clients log, passed on to our log. And four things that the consumer's tells nowhere else: that what it should
read is gone, that its session was over though it has no partition to lose, how many partitions a topic has, and which topic a
name stands for by now. The client fetches by a topic's id, so it says that it switches to another topic of that name before it
can have anything of it, and its log comes by the same queue as its messages. Consumer thread only.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Callable, Dict, Mapping, Set

from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared import logs
from kafka_worker.shared.ipc.snapshot import TopicPartition

AGAIN_SECONDS = 30.0  # between two lines of a kind
CONTEXT = "metadata"  # of the client's `debug`: a few lines each time that it asks what topics there are
CLOSED = "log.connection.close"  # all that the client says of a port that wants TLS when it does not speak it
_CLOSED_LATER = re.compile(r": Disconnected.* in state UP")
_UNANSWERED = "in state APIVERSION_QUERY"  # the first that a broker is asked
_PERHAPS = "Does it want another KAFKA_CLIENT_SECURITY_PROTOCOL, or is it no Kafka?"
_CHANGED = re.compile(r"Topic (\S+) changed id from \S+ to (\S+)")
_GONE = re.compile(r"(\S+) \[(\d+)\]: offset reset \(at offset (\d+)")
_LED = re.compile(r"Topic (\S+) \[(\d+)\] Leader -?\d+ Epoch (-?\d+)")
#: Told before we join; leaders only of what is assigned.
_SIZE = re.compile(r"Topic (\S+) with (\d+) partitions(?:$|: Broker: Unknown topic)")
_NUMBER = re.compile(r"-\d+]")  # of "[vm-0#producer-2]": which of all clients that this process has made
_OF_PARTITION = re.compile(r"\S+ \[\d+]: ")  # how a text of the Kafka client begins that is of one


class NotAgain(logging.Filter):
    """Clients log each refused connection, twenty times a second while their only broker is away: here, one line of a kind
    (what happened, to which client, at which broker or with which partition) in a while. A client that replaces another counts
    as the same.

    (`metadata.recovery.strategy=none` would silence it too, but then a client that is once told of no brokers, as by one that
    was just thawed, has none for ever: measured.)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        super().__init__()
        self._clock = clock
        self._next: Dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is logged; debugging always is."""
        kind, _, text = record.getMessage().partition("]: ")
        of_partition = _OF_PARTITION.match(text)
        kind = _NUMBER.sub("]", kind) + (of_partition.group() if of_partition else "")
        now = self._clock()
        if record.levelno > logging.DEBUG and now < self._next.get(kind, now):
            return False
        self._next[kind] = now + AGAIN_SECONDS
        return True


client_log = logs.logger("librdkafka")
client_log.addFilter(NotAgain(time.monotonic))


class ClientLog:
    """The log of one client."""

    def __init__(self, listener: RebalanceListener, tell: Callable[..., None]) -> None:
        """`tell` calls a method of the listener, with what it is to know, and does not raise."""
        self._listener = listener
        self._tell = tell
        self._wanted = self._closed_wanted = False
        self._ids: Dict[str, Set[str]] = {}  # all ids that each has had: a broker may be behind, and tell a former one
        self._anew: Set[str] = set()
        self._epochs: Dict[TopicPartition, int] = {}  # the highest that was told
        self.session_over = False  # the group may have taken us for dead since the last assignment
        self.sizes: Dict[str, int] = {}  # how many partitions each topic has, as far as was told

    def added(self, properties: Mapping[str, object]) -> Dict[str, object]:
        """These properties, of a client that logs here."""
        wanted = properties.get("debug")
        self._wanted = wanted is not None
        self._closed_wanted = str(properties.get(CLOSED)).lower() == "true"
        return {**properties, "debug": ",".join(map(str, filter(None, [wanted, CONTEXT]))), CLOSED: True, "logger": self}

    def log(self, level: int, form: str, facility: str, client: str, text: str) -> None:
        """Called by the client, as a method of a logger."""
        if _UNANSWERED in text:
            level, text = max(level, logging.WARNING), f"{text}. {_PERHAPS}"
        elif _CLOSED_LATER.search(text) and not self._closed_wanted:
            return  # an idle connection that a broker closes is not worth a line
        if level > logging.DEBUG or self._wanted:
            client_log.log(level, form, facility, client, text)
        if facility == "METADATA":
            self._hear(text)
        elif facility == "SESSTMOUT":
            self.session_over = True
        elif facility == "OFFSET":
            gone = _GONE.search(text)
            if gone:
                self._tell(self._listener.on_gone, (gone[1], int(gone[2])), int(gone[3]))

    def _hear(self, text: str) -> None:
        changed, led, size = _CHANGED.search(text), _LED.search(text), _SIZE.search(text)
        if changed:
            topic, topic_id = changed.groups()
            known = self._ids.setdefault(topic, set())
            if not known:
                known.add(topic_id)
                self._tell(self._listener.on_topic, topic, topic_id)
            elif topic_id not in known:
                known.add(topic_id)
                self._anew.add(topic)
                self._tell(self._listener.on_made_anew, topic, topic_id)
        elif led:
            name, epoch = (led[1], int(led[2])), int(led[3])
            if epoch >= self._epochs.setdefault(name, epoch):
                self._epochs[name] = epoch
            elif led[1] in self._anew:
                self._tell(self._listener.on_outlived, name)
        elif size:
            self.sizes[size[1]] = max(self.sizes.get(size[1], 0), int(size[2]))
