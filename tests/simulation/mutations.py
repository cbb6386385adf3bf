"""Faults that the code had, put back: each must be found, or the simulation proves nothing."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Dict, Iterable, Iterator, List, Tuple, cast
from unittest.mock import patch

from kafka_worker.draining.ongoing import Ongoing
from kafka_worker.kafka.incoming.rewinds import Rewinds
from kafka_worker.kafka.outgoing.transactions import Transactions
from kafka_worker.loop import REST_POLL_SECONDS, ConsumerLoop
from kafka_worker.outcomes import decisions
from kafka_worker.partitions import stored
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.commits import Commits
from kafka_worker.partitions.stored import Names
from kafka_worker.partitions.tracker import OPEN, RUNNING, Segment
from kafka_worker.process import ChildProcess
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.offset_map import decode
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.shared.ipc.snapshot import Stage
from tests.simulation.oracle import TopicPartition
from tests.simulation.parts import MOVING, WEIGHTS, Seat

_restore, _release, _due, _at_rest = Recovery.restore, Journal.release, Commits.due, ConsumerLoop._turn_at_rest
_numbers = [itertools.count()]


def _by_nothing(self: Recovery, partition: Partition, offset: int, metadata: Any, *home: Any) -> bool:
    if decode(metadata) is None:
        partition.stored.names = Names("nothing!", partition.stored.names.own)
    return _restore(self, partition, offset, metadata, *home)


def _kept_as_it_was(self: Journal, index: int) -> None:
    if index not in self._not_reused:
        _release(self, index)


def _opened(self: Recovery, *arguments: Any, **options: Any) -> None:
    name = f"f{next(_numbers[0]):07}"  # others begin with 0
    stored.new_name = lambda: name  # for all assignments of this process
    _init(self, *arguments, **options)


_init = Recovery.__init__


def _two_looks(self: Segment) -> int:
    behind = self.start + self.taken
    place = self.flags.find(b"%c" % OPEN, self.start, behind)
    running = self.flags.find(b"%c" % RUNNING, self.start, place if place >= 0 else behind)
    lowest = running if running >= 0 else place
    return lowest - self.shift if lowest >= 0 else -1


def _seat_first(self: ChildProcess) -> None:
    self._seat.take()
    self._stage.move(Stage.CONSUMING)
    self._pool.start()
    code = self._loop.consume_messages()
    cast("Seat", self._seat).release()
    self._code = code


def _never_while_deaf(self: Commits, now: float, *, deaf: bool = False) -> bool:
    return not deaf and _due(self, now)


def _not_at_rest(self: ConsumerLoop) -> None:
    self._ownership.committer._commits._next = float("inf")
    _at_rest(self)


def _by_position(self: Partition, position: int) -> int:
    watermark = self.tracker.watermark()
    return watermark if self.tracker.in_flight else max(position, watermark)


def _stays_at_its_end(_self: Partition, _offset: int) -> None:
    """What was told of its end holds, whatever is given back."""


def _the_newest(self: Rewinds, name: TopicPartition, offset: int, *, when_resumed: bool) -> None:
    if not when_resumed:
        self.places.pop(name, None)
    _add(self, name, offset, when_resumed=when_resumed)


_add = Rewinds.add


def _knows_none(_self: Ongoing, _partitions: Iterable[Partition]) -> None:
    """Whatever runs of them."""


def _delivers_nothing_at_rest(self: ConsumerLoop) -> None:
    self._duties()
    self._consumer.fetch(100, REST_POLL_SECONDS)
    self._ownership.pause_unwanted()


WEIGHTS[_two_looks.__code__] = MOVING

#: By what was wrong: what takes the place of what.
MUTATIONS: Dict[str, List[Tuple[Any, str, Any]]] = {
    "nothing committed proves what was noted": [(Recovery, "restore", _by_nothing)],
    "a record with a task that still runs stays valid": [
        (Recovery, "__init__", _opened),
        (Journal, "release", _kept_as_it_was),
    ],
    "two looks at a flag that moves": [(Segment, "first_open", _two_looks)],
    "the seat is free before the end is noted": [(ChildProcess, "_consume", _seat_first)],
    "the position is committed while something is in hand": [(Partition, "target", _by_position)],
    "no commit in a revocation": [(Commits, "due", _never_while_deaf)],
    "no commit in a drain": [(ConsumerLoop, "_turn_at_rest", _not_at_rest)],
    "what is given back leaves the end reached": [(Partition, "comes_again", _stays_at_its_end)],
    "a place that is tried again takes that of what is given back": [(Rewinds, "add", _the_newest)],
    "a call that goes on is not known": [(Ongoing, "receive", _knows_none)],
    "a transaction begins while another is under way": [(Transactions, "free", property(lambda _: True))],
    "what comes while partitions rest is not delivered": [(ConsumerLoop, "_turn_at_rest", _delivers_nothing_at_rest)],
    "a failure of a closed partition counts": [(decisions, "VERDICTS", BaseException)],
}


@contextlib.contextmanager
def put_back(name: str) -> Iterator[None]:
    """The fault is there until the end of the block."""
    _numbers[0] = itertools.count()  # so that a seed means the same each time
    with contextlib.ExitStack() as stack:
        for owner, attribute, value in MUTATIONS[name]:
            stack.enter_context(patch.object(owner, attribute, value))
        yield
