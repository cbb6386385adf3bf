"""What unit tests put in the place of Kafka."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple

from confluent_kafka import OFFSET_BEGINNING

from kafka_worker.kafka.brokers import Brokers
from kafka_worker.kafka.ends import End
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.kafka.tokens import SigningIn
from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.partitions.task import Task
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

TOPIC = "topic"


class Message:
    """Answers like a message of the client."""

    def __init__(self, offset: int, key: Optional[bytes] = None, value: Optional[bytes] = b"{}", partition: int = 0) -> None:
        self._offset, self._key, self._value, self._partition = offset, key, value, partition
        self.given_headers: Optional[List[Tuple[str, Optional[bytes]]]] = None
        self.broken = False  # whether the name of a header is not UTF-8, which the client does not survive twice
        self.given_timestamp = (1, 1500)

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> Optional[bytes]:
        return self._key

    def value(self) -> Optional[bytes]:
        return self._value

    def headers(self) -> Optional[List[Tuple[str, Optional[bytes]]]]:
        if self.broken:
            raise SystemError
        return self.given_headers

    def set_headers(self, headers: List[Tuple[str, Optional[bytes]]]) -> None:
        self.given_headers, self.broken = headers, False

    def timestamp(self) -> Tuple[int, int]:
        return self.given_timestamp

    def error(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self._value or b"")


def in_lane(task: Task) -> bool:
    """Put a task that was just taken at the end of its lane, as `intake` does; whether it may run now."""
    offset, _segment, _message, name, _attempt, partition = task
    former = partition.lanes.last.get(name, -1)
    partition.lanes.last[name] = offset
    return not partition.lanes.waits(task, former)


def some_settings(**changes: Any) -> Settings:
    values: Dict[str, Any] = {
        "bootstrap_servers": "nowhere:1", "group_id": "group", "processes": 1, "threads": 2, "threads_max": 2,
        "restart_limit": 10, "runtime_directory": "/nowhere", "state_directory": "/nowhere", "topics": (TOPIC,),
    }  # fmt: skip
    return Settings(**{**values, **changes})


#: One step of a script: the messages of a fetch, or None to come again because it is not time yet.
Step = Callable[["ScriptedGroup"], Optional[List[Message]]]


class Ids:
    """In the place of `TopicIds`: `home` is what every topic is that is not `missing`. An answer is of the time of its
    question."""

    def __init__(self) -> None:
        self.home = UNKNOWN
        self.missing: Set[str] = set()
        self._is_open = False
        self.asked: Dict[str, Home] = {}

    def ask(self, topics: Iterable[str]) -> None:
        names = set(topics)
        self.asked, self._is_open = dict.fromkeys(names - self.missing, self.home), bool(names)

    def answer(self, _patience: float = 0.0) -> Optional[Dict[str, Home]]:
        asked, self.asked = self.asked, {}
        is_open, self._is_open = self._is_open, False
        return asked if is_open else None


class Ends:
    """In the place of `Ends`: what the test says."""

    def __init__(self) -> None:
        self.known: Dict[TopicPartition, End] = {}
        self.seldom: List[TopicPartition] = []
        self.unanswered = False

    def of(self, _: Iterable[TopicPartition], _now: float, seldom: Iterable[TopicPartition] = ()) -> Dict[TopicPartition, End]:
        self.seldom = list(seldom)
        return self.known


class ScriptedGroup:
    """In the place of `GroupConsumer`: each fetch plays the next step. Commits are acknowledged by the next fetch."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self._patience = Deadline(10.0)
        self._unanswered: List[List[Tuple[str, int, int]]] = []
        self.listener: RebalanceListener
        self.stop: Callable[[Any], None]  # the loop of this group
        self.joined = True
        self.away = False
        self.losses = 0
        self.emptied = True
        self.begins_at: Callable[[TopicPartition, int], int] = lambda _name, committed: max(committed, OFFSET_BEGINNING)
        self.signing_in = SigningIn(None, time.monotonic)
        self.brokers = Brokers(time.monotonic)
        self.lost = False
        self.ending: Optional[ExitCode] = None
        self.ids = Ids()
        self.ends = Ends()
        self.unsettled_at: Optional[float] = None
        self.accepts = True  # whether a commit can be sent
        self.leaves = True  # whether the group hears that it does
        self.deafness = 0  # how often nobody would hear it
        self.distance = 0.0  # seconds that an answer takes
        self.commits: List[Tuple[str, int, int]] = []
        self.deeds: List[str] = []
        self.rewound: List[int] = []  # the offsets
        self.paused: List[TopicPartition] = []  # each time anew
        self.held: Dict[TopicPartition, Tuple[int, Optional[str]]] = {}  # offset and metadata that the broker has, if any

    def __call__(self, _properties: object, _topics: object, listener: RebalanceListener, _clock: object) -> ScriptedGroup:
        self.listener = listener
        self.ending, self.lost = None, False
        return self

    def fetch(self, _most: int, _timeout: float) -> List[Message]:
        assert not self._patience.expired(), "the script does not come to its end"
        for offsets in self._unanswered:
            self.listener.on_committed(offsets)
        self._unanswered = []
        messages = self._steps[0](self) if self._steps else None
        if messages is None:
            time.sleep(0.001)  # like the client, which waits without the GIL: a loop that spins starves the handlers
            return []
        del self._steps[:1]
        return messages

    def committed(self, names: List[TopicPartition], _timeout: float) -> Dict[TopicPartition, Tuple[int, Optional[str]]]:
        return {name: self.held.get(name, (-1001, None)) for name in names}

    def commit(self, offsets: List[Tuple[str, int, int, str]]) -> bool:
        if self.accepts:
            places = [(topic, partition, offset) for topic, partition, offset, _ in offsets]
            self.commits += places
            self._unanswered.append(places)
        return self.accepts

    def group_metadata(self) -> str:
        return "member"

    def commit_failed(self, error: Any, _place: str) -> None:
        self.deeds.append(error.name())

    def positions(self, _names: List[TopicPartition]) -> Dict[TopicPartition, int]:
        return {}

    def rewind(self, name: TopicPartition, offset: int = OFFSET_BEGINNING, *, when_resumed: bool = False) -> None:
        self.deeds.append("rewind")
        self.rewound.append(offset)

    def end(self, _name: TopicPartition) -> int:
        return -1

    def pause_from_the_start(self, names: List[TopicPartition]) -> None:
        self.paused += names

    def pause(self, names: List[TopicPartition]) -> None:
        self.deeds.append("pause")
        self.paused += names

    def resume(self, names: List[TopicPartition]) -> None:
        self.deeds.append("resume")

    def is_heard(self, seconds: float) -> bool:
        self.deafness -= 1
        return self.deafness < 0 and seconds >= self.distance

    def leave(self, _deadline: Deadline) -> bool:
        self.deeds.append("leave")
        return self.leaves

    def close(self) -> None:
        self.deeds.append("close")
