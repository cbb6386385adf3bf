"""From delivered messages to tasks: takes their offsets into the tracker and puts them into their lanes. Pure; consumer thread
only. Written for a whole batch at a time, because this is half of what a message costs.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import LanesOf
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.tracker import Segment
from kafka_worker.shared.topic_settings import PATTERN


def by_partition(topics: Sequence[str]) -> Callable[[List[Any]], Callable[[Any], Any]]:
    """Gives the key by which a batch is split into runs of one partition, for these topics and patterns."""
    if len(topics) == 1 and not topics[0].startswith(PATTERN):
        return lambda batch: type(batch[0]).partition
    return lambda _batch: lambda message: (message.topic(), message.partition())


def runs(batch: List[Any], key_of: Callable[[List[Any]], Callable[[Any], Any]]) -> Iterator[List[Any]]:
    """What was fetched, in runs of one partition whose offsets ascend. Offsets go back where the topic was made anew or
    somebody moved the group, and the client may deliver what came before and after that in one batch."""
    for _, messages in itertools.groupby(batch, key_of(batch)) if batch else ():
        run = list(messages)
        if run[-1].offset() - run[0].offset() == len(run) - 1:
            yield run
        else:
            yield from _ascending(run)


def _ascending(run: List[Any]) -> Iterator[List[Any]]:
    """Usually one run, with holes in it."""
    offsets = [message.offset() for message in run]
    cuts = [place for place in range(1, len(run)) if offsets[place] <= offsets[place - 1]]
    return (run[first:behind] for first, behind in zip([0, *cuts], [*cuts, len(run)]))


def tasks(partition: Partition, batch: List[Any], lanes_of: Optional[LanesOf]) -> List[Task]:
    """Put a batch of one partition in flight. Returns the tasks that may run now; the others wait in their lanes."""
    return _free(partition, batch) if lanes_of is None else _in_lanes(partition, batch, lanes_of)


def _in_lanes(partition: Partition, batch: List[Any], lanes_of: LanesOf) -> List[Task]:
    """Take the messages in order, each at the end of its lane."""
    tasks: List[Task] = []
    lanes, add, watermark = partition.lanes, tasks.append, max(0, partition.tracker.watermark())
    last, former_of = lanes.last, lanes.last.get
    for first, segment, messages in _pieces(partition, batch):
        for offset, message, name in zip(itertools.count(first), messages, lanes_of(messages)):
            task = (offset, segment, message, name, 1, partition)
            former = former_of(name, -1)
            last[name] = offset
            if former < watermark or name is None or not lanes.waits(task, former):
                add(task)
    lanes.sweep(watermark)
    return tasks


def _free(partition: Partition, batch: List[Any]) -> List[Task]:
    """The messages as tasks without a lane, built without a Python instruction a message."""
    tasks: List[Task] = []
    repeat = itertools.repeat
    for offset, segment, messages in _pieces(partition, batch):
        tasks.extend(zip(itertools.count(offset), repeat(segment), messages, repeat(None), repeat(1), repeat(partition)))
    return tasks


def _pieces(partition: Partition, batch: List[Any]) -> Iterator[Tuple[int, Segment, List[Any]]]:
    """(first offset, segment, messages), in as few pieces as possible. Offsets are usually consecutive; holes make this
    slower."""
    first = batch[0].offset()
    if partition.stored.done_before:
        yield from _not_done_before(partition, batch)
        return
    if batch[-1].offset() - first != len(batch) - 1:
        for message in batch:
            segment, _ = partition.tracker.take(message.offset())
            yield message.offset(), segment, [message]
        return
    done = 0
    while done < len(batch):
        segment, fitting = partition.tracker.take(first + done, len(batch) - done)
        yield first + done, segment, batch[done : done + fitting]
        done += fitting


def _not_done_before(partition: Partition, batch: List[Any]) -> Iterator[Tuple[int, Segment, List[Any]]]:
    """The messages of a partition of which something beyond the committed offset was done before: that is taken, and completed
    at once."""
    for message in batch:
        offset = message.offset()
        segment, _ = partition.tracker.take(offset)
        if partition.stored.skips(offset):
            segment.complete(offset)
        else:
            yield offset, segment, [message]
