"""What replaying and dropping mean, letter by letter. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Container, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union
from typing import Counter as Counts

from kafka_worker.ops.dead_letters.letter import (
    MOST_REPLAYS,
    DeadLetterRecord,
    Headers,
    Letter,
    MessageId,
    Replay,
    Resolution,
    is_marker,
    resolution_of,
)
from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest, LetterId
from kafka_worker.shared.foreign.headers import REPLAYS

BATCH_LETTERS, BATCH_BYTES = 500, 16_000_000  # stored in one go


class Action(str, Enum):
    """What is done to a letter, in the word of its marker."""

    REPLAYED = "replayed"
    DROPPED = "dropped"


class Outgoing(NamedTuple):
    """A record to be stored."""

    topic: str
    partition: int  # -1: wherever its key leads
    key: Optional[bytes]
    value: Optional[bytes]
    headers: Headers


@dataclass
class Summary:
    """What was done, and what was not and why."""

    action: Action
    dry: bool
    done: int = 0
    failed: int = 0
    skipped: Counts[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """The summary in one line."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.skipped.items()))
        skipped = sum(self.skipped.values())
        why = f" ({reasons})" if skipped else ""
        line = f"{self.action.value} {self.done}, skipped {skipped}{why}, failed {self.failed}"
        return "dry run, nothing was changed: would have " + line if self.dry else line


def reason_to_skip(letter: Letter, resolution: Optional[Resolution], wanted: DeadLetterRequest) -> str:
    """Why a letter that was asked for is left alone; empty: it is not."""
    if resolution is not None and not wanted.again:
        return "resolved already"
    if wanted.action == "replay" and letter.replays >= MOST_REPLAYS and not wanted.again:
        return f"replayed {MOST_REPLAYS} times already"
    return ""


def replayed(letter: Letter, topics: Mapping[str, Sequence[int]]) -> Union[Outgoing, str]:
    """The message as it goes to its topic again, or why it can't. To the very partition where it came from, among those of its
    key: whoever produced it may have other rules for that than our client. With a new timestamp: by its old one, retention
    could take it before it is read."""
    target = letter.origin
    if target != letter.topic:
        return f"it names {target} as its topic, whose dead letters are not kept here"
    if target not in topics:
        return f"topic {target} does not exist, or may not be seen with these rights"
    partition = letter.partition if letter.partition in topics[target] else -1
    headers = [*letter.theirs, (REPLAYS, b"%d" % (letter.replays + 1))]
    return Outgoing(target, partition, letter.record.key, letter.record.value, headers)


def marker(letter: Letter, action: Action, at: str, by: str, to: Optional[MessageId] = None) -> Outgoing:
    """The record that resolves a letter, in the letter's own partition. `to`: where it was replayed to, if that is known."""
    record = letter.record
    replay = None if to is None else Replay(to, letter.replays + 1)
    headers = Resolution(letter.place, action.value, at, by, replay).headers()
    return Outgoing(record.topic, record.partition, record.key, None, headers)


def batches(letters: Iterable[Letter]) -> Iterator[List[Letter]]:
    """In pieces that are stored in one go: neither too many nor too large."""
    batch: List[Letter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter.record.value or b"")
        if len(batch) >= BATCH_LETTERS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def first_open(
    records: Iterable[DeadLetterRecord], resolved: Container[LetterId], ranges: Mapping[int, Tuple[int, int]]
) -> Dict[int, int]:
    """For each partition the offset of the first letter that is not resolved, or of the first marker that says how often the
    message of such a letter was replayed, or the end: what lies below is of no use."""
    lowest = {number: behind for number, (_first, behind) in ranges.items()}
    told: Dict[MessageId, LetterId] = {}  # where a message stands that was replayed: the marker that says so
    sources: Set[MessageId] = set()
    for record in records:
        if is_marker(record):
            resolution = resolution_of(record)
            if resolution is not None and resolution.replay is not None:
                told[resolution.replay.place] = (record.partition, record.offset)
        elif (record.partition, record.offset) not in resolved:
            lowest[record.partition] = min(lowest[record.partition], record.offset)
            sources.add(Letter.of(record, "").source)
    for number, offset in (told[source] for source in sources.intersection(told)):
        lowest[number] = min(lowest[number], offset)
    return lowest
