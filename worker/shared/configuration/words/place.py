"""The words of `explain`, `stacks` and `events`: which messages, which slot, and how many events are meant. Pure."""

from __future__ import annotations

import re
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.configuration.words.flags import Flag

_PLACE = re.compile(r"(?P<topic>[^/\s[\]]+)(?:/(?P<partition>\d{1,9})(?:/(?P<offset>\d{1,18}))?)?", re.ASCII)
#: As the log, status and lists write it.
_SHOWN = re.compile(r"(?P<topic>[^/\s[\]]+)\[(?P<partition>\d{1,9})\](?:(?:@| offset )(?P<offset>\d{1,18}))?", re.ASCII)
_SLOT = re.compile(r"\d{1,6}", re.ASCII)
_COUNT = re.compile(r"\d{1,4}", re.ASCII)


class Place(NamedTuple):
    """A topic, one of its partitions, or one of its messages; with an empty topic, everything."""

    topic: str
    partition: Optional[int] = None
    offset: Optional[int] = None

    def __str__(self) -> str:
        """As one types it."""
        return "/".join(str(each) for each in self if each is not None) or "everything"


def place(words: Sequence[str]) -> Tuple[Optional[Place], str]:
    """What the words after `explain` mean, and what is wrong with them."""
    text = " ".join(words)
    found = _PLACE.fullmatch(text) or _SHOWN.fullmatch(text)
    if found is None:
        return None, "explain wants one TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET, as orders/3/120."
    partition, offset = found["partition"], found["offset"]
    return Place(found["topic"], None if partition is None else int(partition), None if offset is None else int(offset)), ""


def slot(words: Sequence[str]) -> Tuple[Optional[int], str]:
    """What the words after `stacks` mean (None: all slots), and what is wrong with them."""
    if not words:
        return None, ""
    if len(words) == 1 and _SLOT.fullmatch(words[0]):
        return int(words[0]), ""
    return None, "stacks wants the number of one slot, or nothing for all."


class EventsRequest(NamedTuple):
    """What `events` is to list."""

    newest: int = 0  # so many; 0: all that are kept
    follow: bool = False  # and what comes


ALL_EVENTS = EventsRequest()
EVENTS_FLAGS = (
    Flag("-n", "N", "only the last N", ("events",)),
    Flag("--follow", "", "go on with each new one, until Ctrl-C", ("events",)),
)


def events(flags: Mapping[str, object]) -> Tuple[EventsRequest, List[str]]:
    """What the flags of `events` mean, and what is wrong with them."""
    newest = str(flags.get("flag_n", "0"))
    if not _COUNT.fullmatch(newest):
        return EventsRequest(), [f"-n = {newest!r}: wanted: a whole number from 0 to 9999"]
    return EventsRequest(int(newest), bool(flags.get("flag_follow"))), []
