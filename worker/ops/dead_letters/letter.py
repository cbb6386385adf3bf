"""What a record of a dead-letter topic says: a letter, or the marker of one that was dealt with. Pure.

Kafka can't take a single record out of a topic. So who replays or drops a letter leaves a marker behind it in the same
partition: an empty record with one header, `dead-letter.resolved`, that names the letter, what was done, when and by whom. It
lives at least as long as its letter, because retention takes a partition's oldest records first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from kafka_worker.shared.configuration.dead_letter_flags import DeadLetterRequest, LetterId, moment
from kafka_worker.shared.foreign.escaping import readable

PREFIX = "dead-letter."  # of the headers that the service adds (the worker's dead_letter module has the same)
RESOLVED, REPLAYS = PREFIX + "resolved", PREFIX + "replays"
MOST_REPLAYS = 3  # of one message, until somebody insists
_MARKER = re.compile(r"(\d+):(\d+) (replayed|dropped) at (\S+) by (.*)", re.DOTALL)

Headers = List[Tuple[str, Any]]


class DeadLetterRecord(NamedTuple):
    """One record of a dead-letter topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds since 1970
    key: Optional[bytes]
    value: Optional[bytes]
    headers: Headers


class Resolution(NamedTuple):
    """What became of a letter."""

    place: LetterId
    action: str  # "replayed" or "dropped"
    at: str
    by: str

    def __str__(self) -> str:
        """What an operator reads: who did what, and when."""
        return f"{self.action} at {self.at} by {self.by}"

    def header(self) -> Tuple[str, bytes]:
        """The header by which a marker says it."""
        return RESOLVED, "{}:{} {}".format(*self.place, self).encode(errors="replace")


def resolution_of(record: DeadLetterRecord) -> Optional[Resolution]:
    """What a record resolves, if it is a marker that can be read; else None."""
    found = _MARKER.fullmatch(_text(dict(record.headers).get(RESOLVED)))
    return Resolution((int(found[1]), int(found[2])), found[3], found[4], found[5]) if found else None


def is_marker(record: DeadLetterRecord) -> bool:
    """Whether it is no letter. One that can't be read is none either, and resolves nothing."""
    return any(name == RESOLVED for name, _ in record.headers)


def resolutions(records: Iterable[DeadLetterRecord]) -> Dict[LetterId, Resolution]:
    """All that the markers among the records say, the newest of each letter."""
    found = (resolution_of(record) for record in records)
    return {each.place: each for each in found if each is not None}


@dataclass(frozen=True)
class Letter:
    """One dead letter. What its headers do not say, because somebody else wrote it, is empty, or -1 for a number."""

    record: DeadLetterRecord
    ours: Dict[str, str]  # headers of the service, without their prefix
    theirs: Headers  # those of the message

    @staticmethod
    def of(record: DeadLetterRecord) -> Letter:
        """The letter that a record holds."""
        ours = {name[len(PREFIX) :]: _text(value) for name, value in record.headers if name.startswith(PREFIX)}
        return Letter(record, ours, [(name, value) for name, value in record.headers if not name.startswith(PREFIX)])

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
    def replays(self) -> int:
        """How often the message was replayed before it became this letter."""
        return max(0, self._number("replays"))

    @property
    def failed_at(self) -> float:
        """When it failed for the last time, seconds since 1970; for a letter that does not say so, the message's own time."""
        said = moment(self.ours.get("last-failed-at", ""))
        return self.record.timestamp / 1000 if said is None else said

    @property
    def error(self) -> str:
        """The class and the message of the error."""
        return self.ours.get("error") or self.ours.get("death", "")

    def origin(self, suffix: str) -> str:
        """The topic where the message came from: that whose dead letters these are."""
        return self.ours.get("topic") or self.record.topic[: -len(suffix)]

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
        and (wanted.key is None or (key is not None and wanted.key in (_text(key), readable(key, len(key)))))
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
        return "unknown"


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else ""
