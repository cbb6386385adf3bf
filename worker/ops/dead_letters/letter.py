"""What a record of a dead-letter topic says: a letter, or the marker of one that was dealt with. Pure.

Kafka can't take a single record out of a topic. So who replays or drops a letter leaves a marker behind it in the same
partition: a record without a value whose header `dead-letter.resolved` names the letter, what was done, when and by whom. It
lives at least as long as its letter, because retention takes a partition's oldest records first. Anything else says nothing:
a marker in another partition, in front of its letter, or in other words than ours.

How often a message was replayed is what markers say, whose second header, `dead-letter.replayed-to`, names the place that the
message has in its topic since: a letter from that place is of that message. The header `dead-letter.replays`, which goes along
with the message, is no more than a claim: whoever produces messages can write it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest, LetterId, moment
from kafka_worker.shared.foreign.headers import DEAD_LETTER
from kafka_worker.shared.foreign.texts import readable

RESOLVED, REPLAYED_TO = DEAD_LETTER + "resolved", DEAD_LETTER + "replayed-to"
UNKNOWN = "unknown"
MOST_REPLAYS = 3  # of one message, until somebody insists
_LONGEST_NAME = 200  # characters, of who did it
_PLACE = r"(\d{1,10}):(\d{1,19})"
_MARKER = re.compile(_PLACE + rf" (replayed|dropped) at (\S{{1,40}}) by (.{{1,{_LONGEST_NAME}}})", re.DOTALL | re.ASCII)
_REPLAYED_TO = re.compile(_PLACE + r", the (\d{1,9})\. time", re.ASCII)

Headers = List[Tuple[str, Any]]
MessageId = Tuple[int, int]  # partition and offset of a message in the topic whose dead letters these are


class DeadLetterRecord(NamedTuple):
    """One record of a dead-letter topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds since 1970
    key: Optional[bytes]
    value: Optional[bytes]
    headers: Headers


class Replay(NamedTuple):
    """Where a message that was replayed stands now."""

    place: MessageId
    times: int  # that it was replayed, with this one


class Resolution(NamedTuple):
    """What became of a letter."""

    place: LetterId
    action: str  # "replayed" or "dropped"
    at: str
    by: str
    replay: Optional[Replay] = None

    def __str__(self) -> str:
        """What an operator reads: who did what, and when."""
        return f"{self.action} at {self.at} by {self.by[:_LONGEST_NAME]}"

    def headers(self) -> Headers:
        """The headers by which a marker says it."""
        found = [(RESOLVED, "{}:{} {}".format(*self.place, self).encode(errors="replace"))]
        if self.replay is not None:
            found.append((REPLAYED_TO, "{}:{}, the {}. time".format(*self.replay.place, self.replay.times).encode()))
        return found


def is_marker(record: DeadLetterRecord) -> bool:
    """Whether it is no letter. One that can't be read is none either, and resolves nothing."""
    return not record.value and any(name == RESOLVED for name, _ in record.headers)


def resolution_of(record: DeadLetterRecord) -> Optional[Resolution]:
    """What a record resolves, if it is a marker that can be read and stands behind its letter; else None."""
    said = dict(record.headers)
    found = _MARKER.fullmatch(text_of(said.get(RESOLVED))) if is_marker(record) else None
    if found is None or int(found[1]) != record.partition or int(found[2]) >= record.offset:
        return None
    to = _REPLAYED_TO.fullmatch(text_of(said.get(REPLAYED_TO))) if found[3] == "replayed" else None
    replay = Replay((int(to[1]), int(to[2])), int(to[3])) if to else None
    return Resolution((int(found[1]), int(found[2])), found[3], found[4], found[5], replay)


@dataclass
class History:
    """What was done about letters, as the markers say."""

    resolutions: Dict[LetterId, Resolution] = field(default_factory=dict)  # the newest of each letter
    replays: Dict[MessageId, int] = field(default_factory=dict)  # how often the message was replayed that stands there


def history(records: Iterable[DeadLetterRecord]) -> History:
    """What the markers among the records say."""
    found = History()
    for each in map(resolution_of, records):
        if each is not None:
            found.resolutions[each.place] = each
            if each.replay is not None:
                found.replays[each.replay.place] = each.replay.times
    return found


@dataclass(frozen=True)
class Letter:
    """One dead letter. What its headers do not say, because somebody else wrote it, is empty, or -1 for a number."""

    record: DeadLetterRecord
    ours: Dict[str, str]  # headers of the service, without their prefix
    theirs: Headers  # those of the message
    topic: str  # whose dead letters these are
    replays: int = 0  # how often the message was replayed before it became this letter

    @staticmethod
    def of(record: DeadLetterRecord, topic: str, replays: Optional[Mapping[MessageId, int]] = None) -> Letter:
        """The letter that a record holds of the dead letters of this topic. `replays`: how often messages were replayed, by
        where they stood then."""
        ours = {name[len(DEAD_LETTER) :]: text_of(value) for name, value in record.headers if name.startswith(DEAD_LETTER)}
        theirs = [(name, value) for name, value in record.headers if not name.startswith(DEAD_LETTER)]
        letter = Letter(record, ours, theirs, topic)
        return replace(letter, replays=(replays or {}).get(letter.source, 0))

    def without_value(self) -> Letter:
        """The letter without its value, for whoever keeps many."""
        return replace(self, record=self.record._replace(value=None))

    @property
    def place(self) -> LetterId:
        """Where it stands in its dead-letter topic, by which an operator names it."""
        return self.record.partition, self.record.offset

    @property
    def partition(self) -> int:
        """Where the message came from, in its topic; -1: unknown."""
        return self._number("partition")

    @property
    def offset(self) -> int:
        """Where the message came from, in that partition; -1: unknown."""
        return self._number("offset")

    @property
    def source(self) -> MessageId:
        """Where the message came from, in its topic."""
        return self.partition, self.offset

    @property
    def claimed_replays(self) -> int:
        """How often the message was replayed by its own word."""
        return max(0, self._number("replays"))

    @property
    def timestamp(self) -> int:
        """That of the message, milliseconds since 1970. The letter has another where its topic does not take that one."""
        said = self._number("timestamp")
        return self.record.timestamp if said < 0 else said

    @property
    def failed_at(self) -> float:
        """When it failed for the last time, seconds since 1970; for a letter that does not say so, the message's own time."""
        said = moment(self.ours.get("last-failed-at", ""))
        return self.timestamp / 1000 if said is None else said

    @property
    def error(self) -> str:
        """The class and the message of the error."""
        return self.ours.get("error") or self.ours.get("death", "")

    @property
    def origin(self) -> str:
        """The topic where the message came from: that whose dead letters these are, if it is true."""
        return self.ours.get("topic") or self.topic

    def _number(self, name: str) -> int:
        text = self.ours.get(name, "")
        return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else -1


Listed = Tuple[Letter, Optional[Resolution]]  # and what was done about it


def selected(letter: Letter, wanted: DeadLetterRequest) -> bool:
    """Whether the filters let it through. Errors are compared without regard to case."""
    errors = (letter.ours.get(name, "") for name in ("error", "error-class", "error-message", "death"))
    key = letter.record.key
    return (
        (not wanted.places or letter.place in wanted.places)
        and (not wanted.error or any(wanted.error.lower() in error.lower() for error in errors))
        and (wanted.key is None or (key is not None and wanted.key in (text_of(key), readable(key, len(key)))))
        and (wanted.since is None or letter.failed_at >= wanted.since)
        and (wanted.until is None or letter.failed_at < wanted.until)
        and wanted.partition in (None, letter.partition)
        and wanted.offset in (None, letter.offset)
    )


def iso(seconds: float) -> str:
    """A time of day in UTC, for operators."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a forged or senseless timestamp
        return UNKNOWN


def text_of(value: Any) -> str:
    """The value of a header, where it is one."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else ""
